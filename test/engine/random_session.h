// SPDX-License-Identifier: GPL-2.0-or-later
// Session descriptions as RFC 3264 lets two ends change them, at random.
#pragma once
#include <random>
#include <set>
#include <string>
#include <vector>

namespace sipalg::test {

using Random = std::mt19937;

inline bool one_in(Random& random, unsigned n) { return random() % n == 0; }

struct MediaLine {
  std::string media = "audio", transport = "RTP/AVP", direction = {};
  int port = 0, rtcp = 0;  // rtcp: named by a=rtcp; 0: the next port
  bool mux = false, mux_only = false, ice = false;

  bool is_rtp() const { return transport.starts_with("RTP"); }
};

struct Description {
  std::string host;
  bool hides_address = false;  // c=0.0.0.0
  int version = 1;
  std::vector<MediaLine> lines{};

  std::string text() const;
};

// The ports of one host, each used once at a time.
class MediaPorts {
 public:
  explicit MediaPorts(int first) : first_(first), next_(first) {}
  int take();
  void give_back(int port) { used_.erase(port); }

 private:
  int first_, next_;
  std::set<int> used_;
};

// What `taken` names was taken from `ports`. `before`: what this end described last; no lines: nothing yet.
struct Describer {
  Random& random;
  MediaPorts& ports;
  std::vector<int>& taken;
  bool may_hide = true;  // hold by c=0.0.0.0

  Description offer(const Description& before);
  Description answer(const Description& before, const Description& offered);

 private:
  int port();
  int rtcp_port();
  MediaLine new_line(const std::string& media);
  void change(MediaLine& line);
};

}  // namespace sipalg::test
