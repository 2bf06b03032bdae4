// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/random_session.h"

#include <array>

namespace sipalg::test {
namespace {

constexpr std::array directions{"", "sendrecv", "sendonly", "recvonly", "inactive"};

std::string text_of(const MediaLine& line, const std::string& host) {
  const std::string port = std::to_string(line.port);
  std::string out = "m=" + line.media + " " + port + " " + line.transport + (line.is_rtp() ? " 0\n" : " t38\n");
  if (line.port == 0) return out;
  if (!line.direction.empty()) out += "a=" + line.direction + "\n";
  if (line.rtcp != 0) out += "a=rtcp:" + std::to_string(line.rtcp) + "\n";
  if (line.mux) out += "a=rtcp-mux\n";
  if (line.mux_only) out += "a=rtcp-mux-only\n";
  if (line.ice) {
    out += "a=candidate:1 1 UDP 2130706431 " + host + " " + port + " typ host\n";
    if (!line.mux) out += "a=candidate:1 2 UDP 2130706430 " + host + " " + std::to_string(line.rtcp != 0 ? line.rtcp : line.port + 1) + " typ host\n";
  }
  return out;
}

}  // namespace

std::string Description::text() const {
  const std::string type = host.find(':') == std::string::npos ? "IN IP4 " : "IN IP6 ";
  std::string out = "v=0\no=- 1 " + std::to_string(version) + " " + type + host + "\ns=-\nc=" + type +
                    (hides_address ? "0.0.0.0" : host) + "\nt=0 0\n";
  for (const MediaLine& line : lines) out += text_of(line, host);
  return out;
}

int MediaPorts::take() {
  while (used_.contains(next_)) next_ = next_ + 2 < first_ + 400 ? next_ + 2 : first_;
  used_.insert(next_);
  return next_;
}

int Describer::port() {
  taken.push_back(ports.take());
  return taken.back();
}

// Nobody's pair of RTP and RTCP: whoever gives up rtcp-mux later finds the port beside his free.
int Describer::rtcp_port() { return port() + 10'001; }

MediaLine Describer::new_line(const std::string& media) {
  MediaLine line{.media = media};
  line.port = port();
  if (media == "image") {
    line.transport = "udptl";
    return line;
  }
  if (one_in(random, 4)) line.transport = one_in(random, 2) ? "RTP/SAVP" : "RTP/AVPF";
  if (one_in(random, 5)) line.rtcp = rtcp_port();
  line.mux = one_in(random, 4);
  line.mux_only = line.mux && line.rtcp == 0 && one_in(random, 3);
  line.ice = one_in(random, 4);
  return line;
}

void Describer::change(MediaLine& line) {
  if (line.port == 0) {
    if (one_in(random, 2)) line = new_line(line.media);
    return;
  }
  switch (random() % 10) {
    case 0: line.port = 0; break;
    case 1: line = new_line(one_in(random, 4) ? "image" : "audio"); break;
    case 2: line.port = port(); line.rtcp = 0; break;
    case 3: if (line.is_rtp() && !line.mux) line.rtcp = line.rtcp == 0 ? rtcp_port() : 0; break;
    case 4: if (line.is_rtp() && line.rtcp == 0) line.mux = true; break;
    case 5: if (line.is_rtp()) line.ice = !line.ice; break;
    case 6: case 7: line.direction = directions[random() % directions.size()]; break;
    default: break;
  }
}

Description Describer::offer(const Description& before) {
  Description out = before;
  ++out.version;
  out.hides_address = may_hide && !out.lines.empty() && out.host.find(':') == std::string::npos && one_in(random, 8);
  if (out.hides_address) return out;
  for (MediaLine& line : out.lines) change(line);
  const bool first = out.lines.empty();
  if (first || (out.lines.size() < 4 && one_in(random, 6))) out.lines.push_back(new_line("audio"));
  if (out.lines.size() < 4 && one_in(random, 5)) out.lines.push_back(new_line(one_in(random, 3) ? "image" : "video"));
  return out;
}

Description Describer::answer(const Description& before, const Description& offered) {
  Description out = before;
  ++out.version;
  out.hides_address = false;
  for (std::size_t i = 0; i < offered.lines.size(); ++i) {
    const MediaLine& theirs = offered.lines[i];
    if (i == out.lines.size()) out.lines.push_back(new_line(theirs.media));
    MediaLine& mine = out.lines[i];
    if (mine.media != theirs.media || (mine.port == 0 && theirs.port != 0)) mine = new_line(theirs.media);
    else if (one_in(random, 8)) mine.port = port(), mine.rtcp = 0;
    mine.transport = theirs.transport;
    if (theirs.port == 0 || one_in(random, 12)) mine.port = 0;
    mine.mux = theirs.mux && (theirs.mux_only || mine.mux || !one_in(random, 3));
    mine.mux_only = false;
    if (mine.mux) mine.rtcp = 0;
    mine.direction = theirs.direction == "sendonly" ? "recvonly" : theirs.direction == "inactive" ? "inactive" : "";
    mine.ice = mine.is_rtp() && theirs.ice && !one_in(random, 3);
  }
  return out;
}

}  // namespace sipalg::test
