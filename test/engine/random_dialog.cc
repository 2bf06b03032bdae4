// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/random_dialog.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "alg/sdp/session.h"
#include "alg/sip/scanner.h"
#include "test/engine/message_text.h"

namespace sipalg::test {
namespace {

const KernelDoor* media_door(const World& world, const Endpoint& outside) {
  for (const auto& [handle, door] : world.kernel.living)
    if (door.kind == KernelDoor::Kind::inbound && !door.signalling && door.outside == outside) return &door;
  return nullptr;
}

struct Read {
  sip::Message message;
  sdp::Session session;
  explicit Read(const std::string& bytes) {
    REQUIRE(sip::scan(bytes, message));
    const auto parts = sdp::find_parts(bytes, message);
    REQUIRE(parts.sdp.size() == 1);
    REQUIRE(sdp::scan(bytes, parts.sdp[0].body, session));
    CHECK(value_of(bytes, "Content-Length") == std::to_string(bytes.size() - bytes.find("\r\n\r\n") - 4));
  }
};

Endpoint at(const std::string& host, int port) { return {*parse_address(host), static_cast<uint16_t>(port)}; }

void check_leads(const World& world, const Endpoint& outside, const Endpoint& inside) {
  INFO(to_string(outside) << " should lead to " << to_string(inside));
  const KernelDoor* door = media_door(world, outside);
  CHECK(door != nullptr);
  if (door != nullptr) CHECK(door->inside == inside);
}

}  // namespace

RandomDialog::RandomDialog(Stage& stage, Random& random, const Ends& ends)
    : call(stage, ends.caller, ends.callee, ends.call_id), stage_(stage), random_(random), ends_(ends),
      caller_is_inside_(ends.caller.is_inside()), operations_left_(static_cast<int>(random() % 12)) {
  described_[1].host = ends.caller_media, described_[0].host = ends.callee_media;
}

RandomDialog::~RandomDialog() {
  for (int port : taken_[1]) ends_.caller_ports.give_back(port);
  for (int port : taken_[0]) ends_.callee_ports.give_back(port);
}

Describer RandomDialog::describer(bool of_caller) {
  return {random_, of_caller ? ends_.caller_ports : ends_.callee_ports, taken_[of_caller],
          !stage_.sends_again};  // a copy of such an offer that leaves after the call has ended has lost its doors
}

Content RandomDialog::make_offer(bool by_caller, const std::string& headers) {
  offered_ = Announced{by_caller, describer(by_caller).offer(described_[by_caller]), {}, true};
  return {offered_->description.text(), headers};
}

// One that was given is given again.
Content RandomDialog::make_answer(bool by_caller, const std::string& headers) {
  if (!answered_) {
    answered_ = Announced{by_caller, describer(by_caller).answer(described_[by_caller], offered_->description), {}, false};
  }
  return {answered_->description.text(), headers};
}

void RandomDialog::commit() {
  if (!offered_ || !answered_) return;
  for (std::size_t i = 0; i < answered_->description.lines.size(); ++i) {
    if (answered_->description.lines[i].mux) offered_->description.lines[i].mux_only = true;  // accepted
    if (answered_->description.lines[i].port == 0) offered_->description.lines[i].port = 0;
  }
  standing_.clear();
  for (const auto& one : {*offered_, *answered_}) {
    described_[one.by_caller] = one.description;
    for (MediaLine& line : described_[one.by_caller].lines) line.mux_only = false;
    described_[one.by_caller].hides_address = false;
    standing_.push_back(one);
  }
  offered_.reset(), answered_.reset();
}

void RandomDialog::drop_offer() { offered_.reset(), answered_.reset(); }

void RandomDialog::step() {
  if (todo_.empty() && !has_ended_) {
    if (!began_) begin();
    else next_operation();
  }
  if (todo_.empty()) return;
  const Step step = std::move(todo_.front());
  todo_.pop_front();
  step();
}

void RandomDialog::check_media() const {
  std::vector<const Announced*> all;
  for (const Announced& one : standing_) all.push_back(&one);
  if (offered_) all.push_back(&*offered_);
  if (answered_) all.push_back(&*answered_);
  for (const Announced* one : all) {
    if (!is_inside(one->by_caller) || one->arrived.empty()) continue;
    INFO(ends_.call_id << (one->is_offer ? " offered by " : " answered by ") << (one->by_caller ? "caller\n" : "callee\n") << one->description.text()
                       << "\nwhich arrived as\n" << one->arrived);
    const Read read(one->arrived);
    REQUIRE(read.session.media.size() == one->description.lines.size());
    for (std::size_t i = 0; i < read.session.media.size(); ++i) {
      const MediaLine& line = one->description.lines[i];
      const sdp::Media& media = read.session.media[i];
      if (line.port == 0) continue;
      const sdp::Connection& connection = media.connections.empty() ? read.session.connection : media.connections.front();
      const Address address = one->description.hides_address ? *parse_address(stage_.world.uplink) : *connection.address;
      const Address announced = one->description.hides_address && !stage_.nat() ? *parse_address(one->description.host) : address;
      check_leads(stage_.world, {announced, static_cast<uint16_t>(media.port_number)}, at(one->description.host, line.port));
      if (!line.is_rtp() || one->muxed(i)) continue;
      const uint16_t rtcp = media.rtcp.port.is_set() ? media.rtcp.port_number : static_cast<uint16_t>(media.port_number + 1);
      check_leads(stage_.world, {announced, rtcp}, at(one->description.host, line.rtcp != 0 ? line.rtcp : line.port + 1));
    }
  }
}

void RandomDialog::add_flows(std::set<Endpoint>& flows) const {
  for (const Announced& one : standing_)
    for (const auto& [handle, door] : stage_.world.kernel.living)
      for (const MediaLine& line : one.description.lines)
        if (is_inside(one.by_caller) && line.port != 0 && door.kind == KernelDoor::Kind::inbound && !door.signalling &&
            door.inside == at(one.description.host, line.port))
          flows.insert(door.outside);
}

void RandomDialog::begin() {
  began_ = true;
  then([this] {
    const bool late = one_in(random_, 6);
    Content content = late ? Content{} : make_offer(true);
    const Request invite = call.send(true, "INVITE", content);
    if (offered_) offered_->arrived = invite.arrived;
    if (one_in(random_, 6)) {  // challenged: once more with the same offer
      call.ack_failure(invite, call.respond(invite, one_in(random_, 2) ? "401 Unauthorized" : "407 Proxy Authentication Required"));
      content.headers = "Authorization: Digest username=\"x\"\n";
      if (offered_) offered_->arrived.clear();
      then([this, content] {
        const Request again = call.send(true, "INVITE", content);
        if (offered_) offered_->arrived = again.arrived;
        ring(again);
      });
      return;
    }
    ring(invite);
  });
}

void RandomDialog::ring(const Request& invite) {
  if (one_in(random_, 2)) then([=, this] { call.respond(invite, "100 Trying"); });
  if (offered_ && is_inside(true) && one_in(random_, 6)) return fork(invite);
  for (auto n = random_() % 3; n > 0; --n) {
    if (one_in(random_, 2) && offered_) then([=, this] { early_media(invite); });
    else then([=, this] { call.respond(invite, "180 Ringing"); });
  }
  if (one_in(random_, 5)) return fail(invite);
  if (one_in(random_, 4)) reliable(invite);
  then([=, this] { answer_call(invite); });
}

void RandomDialog::early_media(const Request& invite) {
  const std::string arrived = call.respond(invite, "183 Session Progress", make_answer(false));
  answered_->arrived = arrived;
}

// RFC 3262: a 183 with an offer or an answer, its PRACK, perhaps an UPDATE of either end.
void RandomDialog::reliable(const Request& invite) {
  then([=, this] {
    const bool offers = !offered_;
    const Content content = offers ? make_offer(false, "Require: 100rel\nRSeq: 1\n") : make_answer(false, "Require: 100rel\nRSeq: 1\n");
    const std::string arrived = call.respond(invite, "183 Session Progress", content);
    (offers ? offered_ : answered_)->arrived = arrived;
    if (!offers) commit();
  });
  then([=, this] {
    const bool answers = offered_.has_value();
    Content content = answers ? make_answer(true, "RAck: 1 1 INVITE\n") : Content{{}, "RAck: 1 1 INVITE\n"};
    const bool offers = !answers && one_in(random_, 3);
    if (offers) content = make_offer(true, "RAck: 1 1 INVITE\n");
    const Request prack = call.send(true, "PRACK", content);
    if (answers) answered_->arrived = prack.arrived, commit();
    if (offers) offered_->arrived = prack.arrived;
    todo_.push_front([=, this] {
      const std::string arrived = call.respond(prack, "200 OK", offers ? make_answer(false) : Content{});
      if (offers) answered_->arrived = arrived, commit();
    });
  });
  if (one_in(random_, 3)) update();
}

// Two or three phones ring, with descriptions of their own; one answers, another perhaps as well.
void RandomDialog::fork(const Request& invite) {
  const auto ringing = [=, this](const std::string& tag) {
    const Description theirs = describer(false).answer({.host = ends_.callee_media}, offered_->description);
    call.respond(invite, "183 Session Progress", {theirs.text()}, tag);
  };
  then([=] { ringing("c"); });
  then([=, this] { call.respond(invite, "183 Session Progress", make_answer(false), "d"); });  // and answers so
  if (one_in(random_, 4)) return fail(invite);
  then([=, this] { answer_call(invite); });
  if (!one_in(random_, 2)) return;
  then([=, this] {  // both answered: the second is let go
    const Description theirs = describer(false).answer({.host = ends_.callee_media}, standing_.empty() ? described_[1] : standing_.front().description);
    if (call.respond(invite, "200 OK", {theirs.text()}, "c").empty()) return;
    const std::string first = std::exchange(call.callee_tag, "c");
    call.ack();
    call.hang_up(true);
    call.callee_tag = first;
  });
}

void RandomDialog::fail(const Request& invite) {
  constexpr std::array failures{"302 Moved Temporarily", "404 Not Found", "486 Busy Here", "500 Server Internal Error", "603 Decline"};
  const bool cancels = one_in(random_, 2);
  const std::string status = cancels ? "487 Request Terminated" : failures[random_() % failures.size()];
  if (cancels) {
    if (one_in(random_, 3)) {  // the CANCEL crosses the 200
      then([=, this] { const Request cancel = call.cancel(invite); answer_call(invite); todo_.push_front([=, this] { call.respond(cancel, "200 OK"); }); });
      return;
    }
    then([=, this] { call.respond(call.cancel(invite), "200 OK"); });
  }
  then([=, this] {
    const std::string arrived = call.respond(invite, status);
    end();
    then([=, this] { call.ack_failure(invite, arrived); });
  });
}

void RandomDialog::answer_call(const Request& invite) {
  const bool settled = !standing_.empty() && !offered_;  // in a reliable response
  const bool offers = !settled && !offered_;
  const Content content = settled ? Content{} : offers ? make_offer(false) : make_answer(false);
  const std::string arrived = call.respond(invite, "200 OK", content);
  if (offers) offered_->arrived = arrived;
  else if (!settled) answered_->arrived = arrived, commit();
  todo_.push_front([=, this] {
    const Content ack = offers ? make_answer(true) : Content{};
    const Request sent = call.ack(ack);
    if (offers) answered_->arrived = sent.arrived, commit();
  });
  if (one_in(random_, 8)) then([=, this] { call.respond(invite, "180 Ringing"); });  // overtaken
}

void RandomDialog::next_operation() {
  if (operations_left_-- <= 0) return bye();
  switch (random_() % 10) {
    case 0: case 1: case 2: return reinvite();
    case 3: return late_reinvite();
    case 4: case 5: return update();
    case 6: return refused();
    case 7: return refer();
    default: return other_request();
  }
}

void RandomDialog::reinvite() {
  const bool by = one_in(random_, 2);
  then([=, this] {
    const Request invite = call.send(by, "INVITE", make_offer(by));
    offered_->arrived = invite.arrived;
    if (one_in(random_, 3)) then([=, this] { call.respond(invite, "100 Trying"); });
    if (one_in(random_, 4)) then([=, this] { const std::string a = call.respond(invite, "183 Session Progress", make_answer(!by)); answered_->arrived = a; });
    then([=, this] {
      const std::string arrived = call.respond(invite, "200 OK", make_answer(!by));
      answered_->arrived = arrived;
      commit();
    });
    then([=, this] { call.send(by, "ACK"); });
  });
}

void RandomDialog::late_reinvite() {
  const bool by = one_in(random_, 2);
  then([=, this] {
    const Request invite = call.send(by, "INVITE");
    then([=, this] {
      const std::string arrived = call.respond(invite, "200 OK", make_offer(!by));
      offered_->arrived = arrived;
    });
    then([=, this] {
      const Request ack = call.send(by, "ACK", make_answer(by));
      answered_->arrived = ack.arrived;
      commit();
    });
  });
}

void RandomDialog::update() {
  const bool by = one_in(random_, 2), refused = one_in(random_, 4);
  then([=, this] {
    const Request update = call.send(by, "UPDATE", make_offer(by));
    offered_->arrived = update.arrived;
    todo_.push_front([=, this] {
      if (refused) {
        call.respond(update, one_in(random_, 2) ? "488 Not Acceptable Here" : "491 Request Pending");
        return drop_offer();
      }
      const std::string arrived = call.respond(update, "200 OK", make_answer(!by));
      answered_->arrived = arrived;
      commit();
    });
  });
}

void RandomDialog::refused() {
  const bool by = one_in(random_, 2), cancels = one_in(random_, 3);
  constexpr std::array failures{"488 Not Acceptable Here", "491 Request Pending", "401 Unauthorized", "500 Server Internal Error", "408 Request Timeout"};
  then([=, this] {
    const Request invite = call.send(by, "INVITE", make_offer(by));
    offered_->arrived = invite.arrived;
    if (cancels) then([=, this] { call.respond(call.cancel(invite), "200 OK"); });
    then([=, this] {
      const std::string arrived = call.respond(invite, cancels ? "487 Request Terminated" : failures[random_() % failures.size()]);
      drop_offer();
      then([=, this] { call.ack_failure(invite, arrived); });
    });
  });
}

void RandomDialog::other_request() {
  constexpr std::array methods{"OPTIONS", "INFO", "MESSAGE"};
  const bool by = one_in(random_, 2);
  const std::string method = methods[random_() % methods.size()];
  then([=, this] {
    const Request request = call.send(by, method);
    if (!one_in(random_, 10)) then([=, this] { call.respond(request, one_in(random_, 5) ? "501 Not Implemented" : "200 OK"); });
  });
}

void RandomDialog::refer() {
  const bool by = one_in(random_, 2);
  then([=, this] {
    const Request refer = call.send(by, "REFER", {{}, "Refer-To: <sip:dave@example.net>\n"});
    todo_.push_front([=, this] { call.respond(refer, "202 Accepted"); });
  });
  for (const std::string state : {"active;expires=60", "terminated;reason=noresource"})
    then([=, this] {
      const Request notify = call.send(!by, "NOTIFY", {{}, "Event: refer\nSubscription-State: " + state + "\n"});
      todo_.push_front([=, this] { call.respond(notify, "200 OK"); });
    });
}

void RandomDialog::bye() {
  const bool by = one_in(random_, 2);
  if (one_in(random_, 6)) {  // a re-INVITE crosses it
    then([=, this] {
      const Request invite = call.send(!by, "INVITE", make_offer(!by));
      const Request bye = call.send(by, "BYE");
      const std::string arrived = call.respond(invite, "487 Request Terminated");
      drop_offer();
      call.respond(bye, "200 OK");
      end();
      call.ack_failure(invite, arrived);
    });
    return;
  }
  if (one_in(random_, 8)) then([=, this] { call.respond(call.send(by, "BYE"), "401 Unauthorized"); });
  then([=, this] {
    const Request bye = call.send(by, "BYE");
    const bool crosses = one_in(random_, 6);
    const Request other = crosses ? call.send(!by, "BYE") : Request{};
    then([=, this] {
      if (crosses) call.respond(other, one_in(random_, 2) ? "200 OK" : "481 Call/Transaction Does Not Exist");
      call.respond(bye, "200 OK");
      end();
    });
  });
}

}  // namespace sipalg::test
