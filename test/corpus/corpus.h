// SPDX-License-Identifier: GPL-2.0-or-later
// Messages for tests: from files and captures, each in a heap block of exactly its size, so that ASan sees one byte too far.
#pragma once
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sipalg::test {

// A copy that ends where its memory ends.
class Exact {
 public:
  explicit Exact(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    std::memcpy(bytes_.get(), text.data(), text.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }
  operator std::string_view() const { return view(); }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

struct Sample {
  std::string name;  // file, and number of the packet in a capture
  std::string bytes;
};

// SIPALG_INPUTS, or the folder the build knows; empty when there is none.
std::filesystem::path inputs();

std::string read_file(const std::filesystem::path& path);
// All regular files of a folder below inputs(), by name. Empty when the folder is absent.
std::vector<Sample> read_folder(std::string_view folder);
// The payload of every UDP packet of a capture (Ethernet, VLAN, Linux cooked, raw IP).
std::vector<Sample> read_capture(const std::filesystem::path& path);
// The payloads of all captures that look like SIP, TCP apart.
std::vector<Sample> read_captures();

}  // namespace sipalg::test
