// SPDX-License-Identifier: GPL-2.0-or-later
// One call whose two ends do at random what RFC 3261, 3262, 3264, 3311 and 3515 let them do, one message a step, so that the steps of
// several calls mix. It knows which descriptions stand, and looks whether what they announced leads to the phone.
#pragma once
#include <deque>
#include <functional>
#include <optional>

#include "test/engine/party.h"
#include "test/engine/random_session.h"

namespace sipalg::test {

class RandomDialog {
 public:
  struct Ends {
    Party caller, callee;
    std::string caller_media, callee_media;  // hosts of their media
    MediaPorts &caller_ports, &callee_ports;
    std::string call_id;
  };
  RandomDialog(Stage& stage, Random& random, const Ends& ends);
  ~RandomDialog();
  RandomDialog(const RandomDialog&) = delete;
  RandomDialog& operator=(const RandomDialog&) = delete;

  Call call;
  void step();
  bool has_ended() const { return has_ended_ && todo_.empty(); }
  bool is_quiet() const { return todo_.empty(); }  // nobody waits for a response
  void check_media() const;
  void add_flows(std::set<Endpoint>& flows) const;  // of its media

 private:
  // What one end told the other.
  struct Announced {
    bool by_caller;
    Description description;
    std::string arrived;    // the message that told it
    bool is_offer;
    bool muxed(std::size_t line) const { return description.lines[line].mux && (!is_offer || description.lines[line].mux_only); }
  };
  using Step = std::function<void()>;

  void then(Step step) { todo_.push_back(std::move(step)); }
  bool is_inside(bool of_caller) const { return of_caller ? caller_is_inside_ : !caller_is_inside_; }
  Describer describer(bool of_caller);
  Content make_offer(bool by_caller, const std::string& headers = {});
  Content make_answer(bool by_caller, const std::string& headers = {});
  void commit();
  void drop_offer();

  void begin();
  void ring(const Request& invite);
  void early_media(const Request& invite);
  void reliable(const Request& invite);
  void fork(const Request& invite);
  void fail(const Request& invite);
  void answer_call(const Request& invite);
  void next_operation();
  void reinvite();
  void late_reinvite();
  void update();
  void refused();
  void other_request();
  void refer();
  void bye();
  void end() { has_ended_ = true, standing_.clear(), offered_.reset(), answered_.reset(); }

  Stage& stage_;
  Random& random_;
  Ends ends_;
  bool caller_is_inside_, began_ = false, has_ended_ = false;
  int operations_left_;
  std::deque<Step> todo_;
  Description described_[2];           // what each end wrote last and stands; [1]: the caller's
  std::vector<int> taken_[2];
  std::vector<Announced> standing_;    // agreed upon
  std::optional<Announced> offered_, answered_;
};

}  // namespace sipalg::test
