// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/party.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"

namespace sipalg::test {
namespace {

bool carries_contact(const std::string& method) {
  return method != "ACK" && method != "BYE" && method != "CANCEL" && method != "PRACK" && method != "INFO";
}

std::string second_interface(const std::string& proxy) { return host_of(proxy) + ":5080"; }

// A record-routing proxy on the way of a request: its Routes go, its Via and Record-Route come. `outward`: its side sends.
std::string through_proxy(const Party& party, std::string request, bool outward, const std::string& branch) {
  if (party.proxy.empty() || request.empty()) return request;
  const auto is_own = [&](const std::string& route) {
    return !route.empty() && host_of(host_port_in(uri_in(route))) == host_of(party.proxy);
  };
  while (is_own(value_of(request, "Route"))) request = without_first(request, "Route");
  if (first_line_of(request).starts_with("INVITE")) {
    const std::string inner = "Record-Route: <sip:" + second_interface(party.proxy) + party.inner_transport + ";lr;r2=on>";
    const std::string outer = "Record-Route: <sip:" + party.proxy + ";lr" + (party.double_route ? ";r2=on>" : ">");
    if (party.double_route && outward) request = with_first(request, inner);
    request = with_first(request, outer);
    if (party.double_route && !outward) request = with_first(request, inner);
  }
  return with_first(request, "Via: SIP/2.0/UDP " + party.proxy + ";branch=" + branch + "p;rport");
}

// RFC 3261 section 18.2.1, RFC 3581 section 4.
std::string stamped(std::string request, const std::string& source, bool knows_rport = true) {
  if (request.empty()) return request;
  const std::string via = value_of(request, "Via");
  std::string marked = via;
  const std::string host = host_of(source);
  const std::string bare = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
  if (knows_rport && via.ends_with(";rport")) {
    marked += "=" + source.substr(source.rfind(':') + 1) + ";received=" + bare;
  } else if (via.substr(via.find(' ') + 1).rfind(host + ":", 0) != 0 && via.substr(via.find(' ') + 1).rfind(host + ";", 0) != 0) {
    marked += ";received=" + bare;
  }
  return with_first(without_first(request, "Via"), "Via: " + marked);
}

std::string port_in(const std::string& via) {
  const std::string sent_by = via.substr(via.find(' ') + 1, via.find(';') - via.find(' ') - 1);
  const std::size_t colon = sent_by.rfind(':');
  return colon == std::string::npos ? "5060" : sent_by.substr(colon + 1);
}

std::string body_of(const Content& content) {
  const std::string type = content.sdp.empty() ? "" : "Content-Type: application/sdp\r\n";
  const std::string body = with(content.sdp, "\n", "\r\n");
  return with(content.headers, "\n", "\r\n") + type + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

std::string audio(std::string_view host, int port) {
  const std::string address(host);
  const std::string type = address.find(':') == std::string::npos ? "IN IP4 " : "IN IP6 ";
  return "v=0\no=- 1 1 " + type + address + "\ns=-\nc=" + type + address + "\nt=0 0\nm=audio " + std::to_string(port) + " RTP/AVP 0\n";
}

std::string audio_and_video(std::string_view host, int audio_port, int video_port) {
  return audio(host, audio_port) + "m=video " + std::to_string(video_port) + " RTP/AVP 31\n";
}

Call::Call(Stage& stage, Party caller, Party callee, std::string id) : call_id(std::move(id)), stage_(stage) {
  caller_.party = std::move(caller);
  callee_.party = std::move(callee);
  caller_.target = "sip:" + callee_.party.user + "@example.net";
  caller_.local = "<sip:" + caller_.party.user + "@" + host_of(caller_.party.agent) + ">";
  caller_.remote = "<" + caller_.target + ">";
}

Call& Call::to(std::string uri, std::vector<std::string> routes) {
  caller_.target = std::move(uri);
  caller_.routes = std::move(routes);
  return *this;
}

std::string Call::text_of(const Half& from, const std::string& method, const Content& content, bool by_caller) {
  const Party& party = from.party;
  if (method != "ACK") ++cseq_;
  if (method == "INVITE") invite_cseq_[by_caller] = cseq_;
  const uint32_t number = method == "ACK" ? invite_cseq_[by_caller] : cseq_;  // RFC 3261 section 13.2.2.4
  const std::string port = party.via_port ? party.agent.substr(party.agent.rfind(':')) : "";
  const std::string via = (party.via_host.empty() ? host_of(party.agent) : party.via_host) + port;
  std::string out = method + " " + from.target + " SIP/2.0\r\n";
  const std::string branch = "z9hG4bK" + call_id + party.user + std::to_string(++branch_);
  out += "Via: SIP/2.0/UDP " + via + ";branch=" + branch + (party.rport ? ";rport" : "") + "\r\n";
  out += lines_of("Route", from.routes) + "Max-Forwards: 70\r\n";
  out += "From: " + from.local + ";tag=" + tag_of(by_caller) + "\r\n";
  out += "To: " + from.remote + (has_dialog_ ? ";tag=" + tag_of(!by_caller) : "") + "\r\n";
  out += "Call-ID: " + call_id + "\r\nCSeq: " + std::to_string(number) + " " + method + "\r\n";
  if (carries_contact(method) && content.headers.find("Contact:") == std::string::npos)
    out += "Contact: <sip:" + party.user + "@" + party.agent + ">\r\n";
  return out + body_of(content);
}

// What names the inside comes back as the inside wrote it.
void Call::check_arrived(const Request& request, const Half& to) const {
  if (!has_dialog_ || !to.party.is_inside()) return;
  CHECK(without_tag(value_of(request.arrived, "To")) == to.local);
  const std::string uri = first_line_of(request.got);
  CHECK(uri.find(" sip:" + to.party.user + "@" + half(!request.by_caller).party.agent + " ") != std::string::npos);
  if (to.party.proxy == half(!request.by_caller).party.proxy) CHECK(values_of(request.got, "Route").empty());  // each proxy knew its own
}

void Call::carry(Request& request, const Half& from, const Half& to) {
  const Party &sender = from.party, &receiver = to.party;
  request.sent = through_proxy(sender, request.written, true, "z9hG4bK" + call_id + sender.user + std::to_string(branch_));
  const std::string route = value_of(request.sent, "Route");
  const std::string named = host_port_in(route.empty() ? first_line_of(request.sent).substr(request.method.size() + 1) : uri_in(route));
  const std::string next = named.empty() ? receiver.edge() : named;
  const std::string source = sender.sends_from();
  if (sender.is_inside()) {
    request.arrived = stage_.out(source, next, request.sent);
    request.source = to_string(stage_.world.flow.sender.outside);
  } else {
    request.arrived = stage_.in(source, next, request.sent);
    request.source = source;
  }
  if (request.arrived.empty()) {
    request.got.clear();  // of a CANCEL: its INVITE's
    return;
  }
  const std::string at_edge = stamped(request.arrived, request.source, receiver.knows_rport);
  const std::string via = value_of(at_edge, "Via");
  const bool to_source = via.find(";rport=") != std::string::npos;
  request.reply_to = to_source ? request.source : host_of(request.source) + ":" + port_in(via);
  request.got = through_proxy(receiver, at_edge, false, "z9hG4bKq" + call_id + std::to_string(branch_));
  check_arrived(request, to);
}

// The first message of a dialog tells each end where the other is.
void Call::learn_dialog(Half& half, const std::string& message, bool reversed) {
  half.target = uri_in(value_of(message, "Contact"));
  half.routes = values_of(message, "Record-Route");
  if (reversed) std::ranges::reverse(half.routes);
}

Request Call::send(bool by_caller, const std::string& method, const Content& content) {
  Half &from = half(by_caller), &to = half(!by_caller);
  Request request;
  request.by_caller = by_caller;
  request.method = method;
  if (from.target.empty()) return request;  // it never heard of the other
  request.written = text_of(from, method, content, by_caller);
  carry(request, from, to);
  if (request.got.empty() || !by_caller) return request;
  if (!has_dialog_) {
    callee_.local = without_tag(value_of(request.got, "To"));
    callee_.remote = without_tag(value_of(request.got, "From"));
    learn_dialog(callee_, request.got, false);
  }
  return request;
}

// The Via of an inside party: as it wrote it, received and rport its own; or nothing was mapped and nothing is restored.
void Call::check_via(const Request& request, const std::string& response, const std::string& arrived, const Party& party) const {
  const auto vias = values_of(arrived, "Via"), written = values_of(request.sent, "Via");
  REQUIRE(vias.size() == written.size());
  CHECK(std::equal(vias.begin() + 1, vias.end(), written.begin() + 1));
  if (!party.is_inside()) return;
  if (vias.front() == value_of(response, "Via")) {
    CHECK(value_of(request.arrived, "Via") == written.front());
  } else if (party.rport && (request.by_caller ? callee_ : caller_).party.knows_rport) {
    CHECK(vias.front() == value_of(stamped(request.sent, party.sends_from()), "Via"));
  } else {
    CHECK(vias.front().starts_with(written.front()));
  }
}

std::string Call::carry_back(const Request& request, const std::string& response, const Half& from, const Half& to) {
  const bool through_own_proxy = values_of(response, "Via").size() > values_of(request.arrived, "Via").size();
  const std::string at_edge = through_own_proxy ? without_first(response, "Via") : response;
  const Party& party = from.party;
  const std::string source = party.answers_from.empty() ? party.sends_from() : party.answers_from;
  const std::string arrived =
      party.is_inside() ? stage_.out(source, request.reply_to, at_edge) : stage_.in(source, request.reply_to, at_edge);
  if (arrived.empty()) return {};
  check_via(request, at_edge, arrived, to.party);
  CHECK(value_of(arrived, "From") == value_of(request.sent, "From"));
  if (stage_.works()) CHECK(without_tag(value_of(arrived, "To")) == without_tag(value_of(request.sent, "To")));  // else its group may have fallen
  const auto routes = values_of(arrived, "Record-Route"), recorded = values_of(request.sent, "Record-Route");
  if (!routes.empty()) CHECK(std::equal(recorded.rbegin(), recorded.rend(), routes.rbegin()));
  return to.party.proxy.empty() ? arrived : without_first(arrived, "Via");
}

std::string Call::response_text(const Request& request, std::string_view status, const Content& content, const std::string& own_tag) {
  const Half& from = half(!request.by_caller);
  const bool makes_dialog = request.method == "INVITE" && status[0] <= '2' && !status.starts_with("100");
  const bool names_contact = request.method == "UPDATE" || request.method == "SUBSCRIBE" || request.method == "REFER";
  const std::string to_field = value_of(request.got, "To");
  std::string text = "SIP/2.0 " + std::string(status) + "\r\n" + lines_of("Via", values_of(request.got, "Via"));
  if (makes_dialog) text += lines_of("Record-Route", values_of(request.got, "Record-Route"));
  text += "From: " + value_of(request.got, "From") + "\r\nTo: " + to_field;
  text += (to_field.find(";tag=") == std::string::npos && !status.starts_with("100") ? ";tag=" + own_tag : "") + "\r\n";
  text += "Call-ID: " + call_id + "\r\nCSeq: " + value_of(request.got, "CSeq") + "\r\n";
  if (status[0] == '2' && request.method == "REGISTER")
    text += lines_of("Contact", values_of(request.got, "Contact")) + lines_of("Path", values_of(request.got, "Path"));
  if (makes_dialog || (status[0] == '2' && names_contact))
    text += "Contact: <sip:" + from.party.user + "@" + from.party.agent + ">\r\n";
  return text + body_of(content);
}

std::string Call::respond(const Request& request, std::string_view status, const Content& content, std::string_view tag) {
  if (request.got.empty()) return {};
  const std::string own_tag = tag.empty() ? tag_of(!request.by_caller) : std::string(tag);
  const std::string text = response_text(request, status, content, own_tag);
  const std::string arrived = carry_back(request, text, half(!request.by_caller), half(request.by_caller));
  if (arrived.empty() || has_dialog_ || !request.by_caller) return arrived;
  if (request.method == "REGISTER" || request.method == "OPTIONS" || status[0] > '2' || status.starts_with("100")) return arrived;
  if (!values_of(arrived, "Contact").empty()) learn_dialog(caller_, arrived, true);
  callee_tag = own_tag;
  has_dialog_ = status[0] == '2' || value_of(arrived, "Require") == "100rel";
  return arrived;
}

// CANCEL and the ACK to a non-2xx go hop by hop: who stands at the router sends them, with the INVITE's Via (RFC 3261
// sections 9.1 and 17.1.1.3).
void Call::carry_hop(Request& request, const Request& invite, const std::string& to_field) {
  const auto line = [&](const char* name) { return std::string(name) + ": " + value_of(invite.sent, name) + "\r\n"; };
  const std::string number = std::to_string(std::stoul(value_of(invite.sent, "CSeq")));
  request.written = request.method + first_line_of(invite.sent).substr(invite.method.size()) + "\r\n" + line("Via") +
                    lines_of("Route", values_of(invite.sent, "Route")) + line("From") + "To: " + to_field + "\r\n" + line("Call-ID") +
                    "CSeq: " + number + " " + request.method + "\r\nContent-Length: 0\r\n\r\n";
  Half from = half(invite.by_caller), to = half(!invite.by_caller);
  from.party.agent = from.party.edge();
  to.party.agent = to.party.edge();  // where the INVITE went
  from.party.proxy = to.party.proxy = "";
  carry(request, from, to);
  if (!request.arrived.empty()) CHECK(value_of(request.arrived, "Via") == value_of(invite.arrived, "Via"));
}

Request Call::cancel(const Request& invite) {
  Request request = invite;
  if (invite.sent.empty()) return request;
  request.method = "CANCEL";
  carry_hop(request, invite, value_of(invite.sent, "To"));
  return request;
}

void Call::ack_failure(const Request& invite, const std::string& response) {
  if (response.empty()) return;
  Request request = invite;
  request.method = "ACK";
  carry_hop(request, invite, value_of(response, "To"));
}

Request Call::establish(const std::string& offer, const std::string& answer) {
  const Request invite = send(true, "INVITE", {offer});
  respond(invite, "180 Ringing");
  respond(invite, "200 OK", {answer});
  ack();
  return invite;
}

Request Call::transact(bool by_caller, const std::string& method, const Content& content, const Content& answer) {
  const Request request = send(by_caller, method, content);
  respond(request, "200 OK", answer);
  return request;
}

void Call::reinvite(bool by_caller, const std::string& offer, const std::string& answer) {
  const Request invite = send(by_caller, "INVITE", {offer});
  if (!respond(invite, "200 OK", {answer}).empty()) send(by_caller, "ACK");
}

void Call::refused_reinvite(bool by_caller, const std::string& offer, std::string_view status) {
  const Request invite = send(by_caller, "INVITE", {offer});
  ack_failure(invite, respond(invite, status));
}

void Call::hang_up(bool by_caller) { transact(by_caller, "BYE"); }

Enrolled enroll(Stage& stage, const Party& phone, const Party& registrar, int seconds, const std::string& call_id,
                const std::string& headers) {
  Call call(stage, phone, registrar, call_id);
  const std::string contact = "Contact: <sip:" + phone.user + "@" + phone.agent + ">;expires=" + std::to_string(seconds) + "\n";
  const Request request = call.send(true, "REGISTER", {{}, contact + headers});
  const std::string response = call.respond(request, "200 OK");
  if (response.empty()) return {};
  CHECK(values_of(response, "Contact") == values_of(request.written, "Contact"));
  CHECK(values_of(response, "Path") == values_of(request.written, "Path"));
  return {uri_in(value_of(request.got, "Contact")), values_of(request.got, "Path")};
}

}  // namespace sipalg::test
