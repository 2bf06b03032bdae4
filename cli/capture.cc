// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/capture.h"

#include <pcap/pcap.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/client.h"
#include "cli/link_layer.h"

namespace sipalg {
namespace {

constexpr int largest_packet = 65'575;  // IPv6 with its header

// Another descriptor of it: libpcap closes what it wrote to, and who ends the program looks at std::cout once more.
pcap_dumper* open_standard_output(pcap* handle) {
  FILE* file = fdopen(dup(STDOUT_FILENO), "wb");
  if (file == nullptr) throw CommandError("the capture can not be written to standard output: " + std::string(std::strerror(errno)));
  return pcap_dump_fopen(handle, file);
}

}  // namespace

void CaptureReader::Close::operator()(pcap* handle) const { pcap_close(handle); }
void CaptureWriter::Close::operator()(pcap* handle) const { pcap_close(handle); }
void CaptureWriter::Close::operator()(pcap_dumper* dumper) const { pcap_dump_close(dumper); }

CaptureReader::CaptureReader(const std::string& file) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  handle_.reset(pcap_open_offline(file.c_str(), error.data()));
  if (!handle_) throw CommandError("the capture can not be read: " + std::string(error.data()));
  if (!is_known_link_type(link_type()))
    throw CommandError(file + ": the link type " + std::to_string(link_type()) + " is not known here; capture on an Ethernet " +
                       "interface or on `any`");
}

int CaptureReader::link_type() const { return pcap_datalink(handle_.get()); }

std::optional<CaptureReader::Frame> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const uint8_t* bytes = nullptr;
  const int result = pcap_next_ex(handle_.get(), &header, &bytes);
  if (result == PCAP_ERROR_BREAK) return std::nullopt;
  if (result != 1) throw CommandError("the capture is broken: " + std::string(pcap_geterr(handle_.get())));
  const std::chrono::milliseconds time(header->ts.tv_sec * 1000LL + header->ts.tv_usec / 1000);
  return Frame{{bytes, header->caplen}, Instant(time)};
}

CaptureWriter::CaptureWriter(const std::string& file) : handle_(pcap_open_dead(DLT_RAW, largest_packet)) {
  dumper_.reset(file == "-" ? open_standard_output(handle_.get()) : pcap_dump_open(handle_.get(), file.c_str()));
  if (!dumper_) throw CommandError("the capture can not be written: " + std::string(pcap_geterr(handle_.get())));
}

void CaptureWriter::write(std::span<const uint8_t> packet, Instant time) {
  const auto ms = time.time_since_epoch().count();
  pcap_pkthdr header{};
  header.ts = {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
  header.caplen = header.len = static_cast<bpf_u_int32>(packet.size());
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, packet.data());
}

void CaptureWriter::finish() {
  if (pcap_dump_flush(dumper_.get()) != 0 || std::ferror(pcap_dump_file(dumper_.get())) != 0)
    throw CommandError("the capture could not be written whole");
}

}  // namespace sipalg
