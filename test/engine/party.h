// SPDX-License-Identifier: GPL-2.0-or-later
// Parties of a call as RFC 3261 wants them: each copies, reverses and hands back what it was given, perhaps behind a
// record-routing proxy of its own side. So a scenario says who sends what, and what comes back is checked here: Via, From,
// To, Record-Route, Request-URI and Route must reach their writer as they were written.
#pragma once
#include <vector>

#include "test/engine/stage.h"

namespace sipalg::test {

struct Party {
  std::string user;
  std::string agent;             // where the user agent listens, and what it names: "10.0.0.2:5060"
  std::string source = {};       // where it sends from, when from elsewhere
  std::string answers_from = {}; // the same for its responses
  std::string via_host = {};     // stands in Via instead of the address: "phone.lan"
  std::string proxy = {};        // of its own side, between it and the router: "10.0.0.5:5060"
  bool double_route = false;     // the proxy has two interfaces and writes two Record-Route (RFC 5658)
  std::string inner_transport = {};  // of the inner one: ";transport=tcp"
  bool rport = true;
  bool via_port = true;      // Via names its port
  bool knows_rport = true;   // as a server

  bool is_inside() const { return agent.starts_with("10.0.0.") || agent.starts_with("[fd00:"); }
  const std::string& edge() const { return proxy.empty() ? agent : proxy; }  // who stands next to the router
  const std::string& sends_from() const { return !proxy.empty() || source.empty() ? edge() : source; }
};

// "sendonly" and the like are put in by with().
std::string audio(std::string_view host, int port);
std::string audio_and_video(std::string_view host, int audio_port, int video_port);

struct Content {
  std::string sdp = {};
  std::string headers = {};  // whole lines
};

struct Request {
  bool by_caller = true;
  std::string method;
  std::string written;   // by the sender's agent
  std::string sent;      // by the last of the sender's side
  std::string arrived;   // first of the receiver's side
  std::string got;       // the receiver's agent; empty: lost on the way
  std::string source;    // where it came from, as the receiver's side sees it
  std::string reply_to;  // where its response goes
};

class Call {
 public:
  Call(Stage& stage, Party caller, Party callee, std::string call_id);
  // What the initial request names; else the callee's user at example.net, sent to its edge.
  Call& to(std::string uri, std::vector<std::string> routes = {});

  Request send(bool by_caller, const std::string& method, const Content& content = {});
  // What arrived at the sender's agent. The tag: another branch of a fork answers.
  std::string respond(const Request& request, std::string_view status, const Content& content = {}, std::string_view tag = {});
  Request cancel(const Request& invite);
  void ack_failure(const Request& invite, const std::string& response);
  Request ack(const Content& content = {}) { return send(true, "ACK", content); }

  // INVITE, 180, 200, ACK.
  Request establish(const std::string& offer, const std::string& answer);
  // A request with its 200.
  Request transact(bool by_caller, const std::string& method, const Content& content = {}, const Content& answer = {});
  // INVITE, 200, ACK of either side in the dialog.
  void reinvite(bool by_caller, const std::string& offer, const std::string& answer);
  // The same, refused.
  void refused_reinvite(bool by_caller, const std::string& offer, std::string_view status);
  void hang_up(bool by_caller);

  std::string call_id, caller_tag = "a", callee_tag = "b";
  uint32_t cseq() const { return cseq_; }

 private:
  struct Half {
    Party party;
    std::string target;               // of requests to the other end
    std::vector<std::string> routes;  // in the order of Route
    std::string local, remote;        // From or To as this end knows them, without tags
  };
  Half& half(bool of_caller) { return of_caller ? caller_ : callee_; }
  const Half& half(bool of_caller) const { return of_caller ? caller_ : callee_; }
  std::string tag_of(bool of_caller) const { return of_caller ? caller_tag : callee_tag; }
  std::string text_of(const Half& from, const std::string& method, const Content& content, bool by_caller);
  std::string response_text(const Request& request, std::string_view status, const Content& content, const std::string& own_tag);
  void carry(Request& request, const Half& from, const Half& to);
  void carry_hop(Request& request, const Request& invite, const std::string& to_field);
  std::string carry_back(const Request& request, const std::string& response, const Half& from, const Half& to);
  void learn_dialog(Half& half, const std::string& message, bool reversed);
  void check_arrived(const Request& request, const Half& to) const;
  void check_via(const Request& request, const std::string& response, const std::string& arrived, const Party& party) const;

  Stage& stage_;
  Half caller_, callee_;
  uint32_t cseq_ = 0, branch_ = 0;
  uint32_t invite_cseq_[2] = {};  // each end's last
  bool has_dialog_ = false;
};

// REGISTER of `phone` at `registrar`, granted as asked; what the registrar knows it by.
struct Enrolled {
  std::string contact;                // URI; empty: lost
  std::vector<std::string> routes;    // from Path
};
Enrolled enroll(Stage& stage, const Party& phone, const Party& registrar, int seconds, const std::string& call_id = "reg-1",
                const std::string& headers = {});

}  // namespace sipalg::test
