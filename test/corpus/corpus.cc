// SPDX-License-Identifier: GPL-2.0-or-later
// Reads sample messages from files and captures.
#include "test/corpus/corpus.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include "alg/packet/datagram.h"

namespace sipalg::test {
namespace {

namespace fs = std::filesystem;

using Bytes = std::span<const uint8_t>;

uint16_t read16(Bytes bytes, std::size_t at) { return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

// The IP packet in a frame; empty when there is none.
Bytes packet_in(Bytes frame, int link) {
  if (link == DLT_RAW || link == 101) return frame;
  if (link == DLT_NULL) return frame.size() > 4 ? frame.subspan(4) : Bytes{};
  std::size_t at = link == DLT_LINUX_SLL ? 14 : 12;
  while (at + 2 <= frame.size() && (read16(frame, at) == 0x8100 || read16(frame, at) == 0x88a8)) at += 4;
  if (at + 2 > frame.size() || (read16(frame, at) != 0x0800 && read16(frame, at) != 0x86dd)) return {};
  return frame.subspan(at + 2);
}

struct PcapCloser {
  void operator()(pcap_t* capture) const { pcap_close(capture); }
};

bool has_sip_version(std::string_view text) {
  return text.substr(0, text.find('\n')).find("SIP/2.0") != std::string_view::npos;
}

}  // namespace

fs::path inputs() {
  const char* set = std::getenv("SIPALG_INPUTS");
  const fs::path path = set != nullptr ? set : "../shared/inputs";
  return fs::is_directory(path) ? path : fs::path{};
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Sample> read_folder(std::string_view folder) {
  std::vector<Sample> samples;
  const fs::path root = inputs();
  if (root.empty() || !fs::is_directory(root / folder)) return samples;
  for (const auto& entry : fs::directory_iterator(root / folder))
    if (entry.is_regular_file()) samples.push_back({entry.path().filename().string(), read_file(entry.path())});
  std::ranges::sort(samples, {}, &Sample::name);
  return samples;
}

std::vector<Sample> read_capture(const fs::path& path) {
  std::vector<Sample> samples;
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  const std::unique_ptr<pcap_t, PcapCloser> capture(pcap_open_offline(path.c_str(), error.data()));
  if (!capture) return samples;
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  for (std::size_t number = 1; pcap_next_ex(capture.get(), &header, &data) == 1; ++number) {
    const auto view = view_datagram(packet_in({data, header->caplen}, pcap_datalink(capture.get())));
    if (!view || view->protocol != Protocol::udp) continue;
    samples.push_back({path.filename().string() + "#" + std::to_string(number), std::string(view->payload())});
  }
  return samples;
}

std::vector<Sample> read_captures() {
  std::vector<Sample> samples;
  const fs::path root = inputs();
  if (root.empty() || !fs::is_directory(root / "captures")) return samples;
  for (const auto& entry : fs::directory_iterator(root / "captures"))
    for (Sample& sample : read_capture(entry.path()))
      if (has_sip_version(sample.bytes)) samples.push_back(std::move(sample));
  std::ranges::sort(samples, {}, &Sample::name);
  return samples;
}

}  // namespace sipalg::test
