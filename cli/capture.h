// SPDX-License-Identifier: GPL-2.0-or-later
// Capture files: libpcap, owned.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "alg/base/instant.h"

struct pcap;
struct pcap_dumper;

namespace sipalg {

class CaptureReader {
 public:
  explicit CaptureReader(const std::string& file);  // "-" is standard input. Throws CommandError
  struct Frame {
    std::span<const uint8_t> bytes;  // borrows until the next call
    Instant time;                    // since 1970 here: only differences count
  };
  std::optional<Frame> next();  // throws CommandError when the file is broken
  int link_type() const;

 private:
  struct Close { void operator()(pcap* handle) const; };
  std::unique_ptr<pcap, Close> handle_;
};

class CaptureWriter {  // raw IP packets
 public:
  explicit CaptureWriter(const std::string& file);  // "-" is standard output. Throws CommandError
  void write(std::span<const uint8_t> packet, Instant time);
  void finish();  // throws CommandError when not everything could be written

 private:
  struct Close {
    void operator()(pcap* handle) const;
    void operator()(pcap_dumper* dumper) const;
  };
  std::unique_ptr<pcap, Close> handle_;
  std::unique_ptr<pcap_dumper, Close> dumper_;
};

}  // namespace sipalg
