// SPDX-License-Identifier: GPL-2.0-or-later
// Every message that nobody here wrote, through the engine: only edited spans change, the result parses, and what a UAS
// would copy into its response comes back as it was written (RFC 3261 sections 8.2.6.2 and 10.3).
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "alg/sip/scanner.h"
#include "test/corpus/corpus.h"
#include "test/fake/fake_door_keeper.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

std::vector<Sample> all_samples() {
  std::vector<Sample> out;
  for (const char* folder : {"rfc3665", "rfc4475", "rfc5118", "kamailio", "libosip2"}) {
    auto samples = read_folder(folder);
    std::ranges::move(samples, std::back_inserter(out));
  }
  auto captured = read_captures();
  std::ranges::move(captured, std::back_inserter(out));
  return out;
}

// Header lines with their folded continuations, names in lower case and long form.
using Lines = std::vector<std::pair<std::string, std::string>>;
Lines head_lines(std::string_view message) {
  static const std::map<std::string, std::string> long_form{{"v", "via"}, {"f", "from"}, {"t", "to"}, {"i", "call-id"}, {"m", "contact"}};
  Lines lines;
  std::size_t at = message.find_first_not_of("\r\n");
  bool first = true;
  while (at < message.size()) {
    const std::size_t feed = message.find('\n', at);
    const std::string_view line = message.substr(at, feed == std::string_view::npos ? feed : feed + 1 - at);
    at += line.size();
    if (line == "\r\n" || line == "\n") break;
    if (std::exchange(first, false)) continue;
    if ((line.front() == ' ' || line.front() == '\t') && !lines.empty()) {
      lines.back().second += line;
      continue;
    }
    lines.emplace_back("", line);
  }
  for (auto& [name, line] : lines) {
    name = line.substr(0, line.find(':'));
    name.erase(std::ranges::find_if(name, [](char c) { return c <= ' '; }), name.end());
    std::ranges::transform(name, name.begin(), to_lower);
    if (const auto it = long_form.find(name); it != long_form.end()) name = it->second;
  }
  return lines;
}

bool is_copied(const std::string& name, bool is_register) {
  static const std::vector<std::string> names{"via", "from", "to", "call-id", "cseq", "record-route"};
  return std::ranges::find(names, name) != names.end() || (is_register && name == "contact");
}

std::string response_to(std::string_view request, bool is_register) {
  std::string out = "SIP/2.0 200 OK\r\n";
  for (const auto& [name, line] : head_lines(request))
    if (is_copied(name, is_register)) out += line;
  return out + "Content-Length: 0\r\n\r\n";
}

struct Router {
  FakeDoorKeeper kernel;
  Engine engine;
  Scratch scratch;
  Instant now{std::chrono::hours{1}};
  Trace trace;
  explicit Router(const Address& inside) : engine(policy(inside), kernel) {}
  static Policy policy(const Address& inside) {
    Policy p;
    p.inside = {Network::of(inside)};
    return p;
  }
  std::string run(std::string_view bytes, const Flow& flow) {
    const Exact exact(bytes);
    trace = {};
    const Verdict verdict = engine.handle({exact.view(), flow, 65'507}, now, scratch, &trace);
    return verdict.edited() ? std::string(verdict.bytes) : std::string(bytes);
  }
};

// Who sent it: the top Via's literal, so that there is something to map.
Endpoint sender_of(const sip::Message& message) {
  const sip::HostPort& sent_by = message.vias.front().sent_by;
  const Address address = sent_by.address && sent_by.address->is_unicast() ? *sent_by.address : *parse_address("10.0.0.2");
  const uint16_t port = sent_by.port.is_set() ? sent_by.port_number : uint16_t{5060};
  return {address, port < limits::lowest_port ? uint16_t{5060} : port};
}

Flow flow_of(const Endpoint& inside) {
  const bool v6 = inside.address.family() == Family::v6;
  const Endpoint remote{*parse_address(v6 ? "2001:db8:ffff::2" : "198.18.0.2"), 5060};
  const Endpoint outside{*parse_address(v6 ? "2001:db8:ffff::1" : "198.18.0.1"), 5060};
  return {Protocol::udp, {inside, outside}, {remote, remote}, 0, true};
}
Flow back(const Flow& flow) { return {flow.protocol, flow.receiver, flow.sender, flow.zone, false}; }

std::string rebuilt(std::string_view bytes, const Trace& trace) {
  std::string out;
  std::size_t at = 0;
  for (const auto& edit : trace.edits) {
    out += bytes.substr(at, edit.offset - at);
    CHECK(bytes.substr(edit.offset, edit.before.size()) == edit.before);
    out += edit.after;
    at = edit.offset + edit.before.size();
  }
  return out + std::string(bytes.substr(at));
}

void check_there_and_back(const Sample& sample, const sip::Message& message) {
  Router router(sender_of(message).address);
  const Flow flow = flow_of(sender_of(message));
  const std::string sent = router.run(sample.bytes, flow);
  CHECK(rebuilt(sample.bytes, router.trace) == sent);
  sip::Message again;
  CHECK(sip::scan(sent, again));
  CHECK(router.run(sample.bytes, flow) == sent);
  if (!message.is_request || message.method == sip::Method::ack) return;
  const bool is_register = message.method == sip::Method::registration;
  const std::string answer = router.run(response_to(sent, is_register), back(flow));
  CHECK(answer == response_to(sample.bytes, is_register));
}

}  // namespace

TEST_CASE("every input: only edited spans change, the result parses, and the answer comes back as written") {
  const auto samples = all_samples();
  if (samples.empty()) WARN("no inputs: set SIPALG_INPUTS");
  std::size_t mapped = 0;
  for (const Sample& sample : samples) {
    INFO(sample.name);
    sip::Message message;
    const Exact exact(sample.bytes);
    if (!sip::scan(exact.view(), message)) {
      Router router(*parse_address("10.0.0.2"));
      CHECK(router.run(sample.bytes, flow_of({*parse_address("10.0.0.2"), 5060})) == sample.bytes);
      continue;
    }
    ++mapped;
    check_there_and_back(sample, message);
  }
  WARN(mapped << " of " << samples.size() << " inputs are SIP that the scanner reads");
  CHECK((samples.empty() || mapped > samples.size() / 2));
}

TEST_CASE("every input coming in: no crash, only edited spans change") {
  Router router(*parse_address("10.0.0.2"));
  const Flow flow = flow_of({*parse_address("10.0.0.2"), 5060});
  for (const Sample& sample : all_samples()) {
    INFO(sample.name);
    const std::string got = router.run(sample.bytes, back(flow));
    CHECK(rebuilt(sample.bytes, router.trace) == got);
  }
}
