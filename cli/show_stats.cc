// SPDX-License-Identifier: GPL-2.0-or-later
// show stats: first the layout that people know from Cisco's `show platform hardware qfp active feature alg statistics sip`,
// with the counters of it that mean something here; then why packets and groups of edits were left alone. Zeros of the second
// part are left out.
#include <algorithm>
#include <array>
#include <iomanip>
#include <ostream>
#include <string>

#include "alg/stats/stats.h"
#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

const Json& member(const Json& object, const char* key) {
  static const Json none = Json::object();
  const auto it = object.find(key);
  return it == object.end() || !it->is_object() ? none : *it;
}

uint64_t number(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || !it->is_number_unsigned() ? 0 : it->get<uint64_t>();
}

// "Label:        17", as wide as its column.
struct Cell {
  const char* label;
  uint64_t count;
  int width;
};
std::ostream& operator<<(std::ostream& out, const Cell& cell) {
  const std::string label = std::string(cell.label) + ":";
  return out << label << std::right << std::setw(cell.width - static_cast<int>(label.size())) << cell.count << std::left;
}

uint64_t received(const Json& methods, const char* name) { return number(member(methods, name), "received"); }
uint64_t answered(const Json& methods, const char* name) { return number(member(methods, name), "ok"); }

// Status codes first to last, without those that have a counter of their own.
uint64_t sum(const Json& responses, int first, int last, std::initializer_list<int> but) {
  uint64_t total = 0;
  for (const auto& [code, count] : responses.items()) {
    const int status = std::stoi(code);
    if (status >= first && status <= last && std::ranges::find(but, status) == but.end()) total += count.get<uint64_t>();
  }
  return total;
}

void show_received(const Json& answer, std::ostream& out) {
  constexpr std::array answered_methods{std::pair{"Register", "REGISTER"}, std::pair{"Invite", "INVITE"}, std::pair{"Update", "UPDATE"},
                                        std::pair{"Bye", "BYE"}, std::pair{"Subscribe", "SUBSCRIBE"}, std::pair{"Refer", "REFER"},
                                        std::pair{"Prack", "PRACK"}};
  const Json &methods = member(answer, "methods"), &responses = member(answer, "responses"), &events = member(answer, "events");
  out << "RECEIVE\n";
  for (const auto& [label, name] : answered_methods) {
    out << Cell{label, received(methods, name), 21} << " -> " << Cell{"200-OK", answered(methods, name), 20};
    if (std::string_view(name) == "INVITE") out << "   " << Cell{"Rexmit-invite", number(events, "retransmitted-invites"), 25};
    out << "\n";
  }
  uint64_t other_ok = 0;
  for (const char* name : {"CANCEL", "INFO", "MESSAGE", "NOTIFY", "PUBLISH", "OPTIONS", "OTHER"}) other_ok += answered(methods, name);
  const auto row = [&out](const Cell& a, const Cell& b) -> std::ostream& { return out << a << "    " << b; };
  row({"Trying", number(responses, "100"), 21}, {"Ringing", number(responses, "180"), 20})
      << "    " << Cell{"Ack", received(methods, "ACK"), 24} << "\n";
  row({"Info", received(methods, "INFO"), 21}, {"Cancel", received(methods, "CANCEL"), 20})
      << "    " << Cell{"Sess Prog", number(responses, "183"), 24} << "\n";
  row({"Message", received(methods, "MESSAGE"), 21}, {"Notify", received(methods, "NOTIFY"), 20}) << "\n";
  row({"Publish", received(methods, "PUBLISH"), 21}, {"Options", received(methods, "OPTIONS"), 20}) << "\n";
  row({"1xx", sum(responses, 100, 199, {100, 180, 183}), 21}, {"2xx", sum(responses, 200, 299, {200}), 20}) << "\n";
  row({"OtherReq", received(methods, "OTHER"), 21}, {"OtherOk", other_ok, 20})
      << "    " << Cell{"3xx-6xx", sum(responses, 300, 699, {}), 24} << "\n";
}

void show_pairs(const char* title, std::initializer_list<std::pair<const char*, uint64_t>> counters, std::ostream& out) {
  out << "\n" << title << "\n";
  bool left = true;
  for (const auto& [label, count] : counters) {
    out << (left ? "" : "    ") << Cell{label, count, 31} << (left ? "" : "\n");
    left = !left;
  }
  if (!left) out << "\n";
}

void show_events(const Json& answer, std::ostream& out) {
  const Json& events = member(answer, "events");
  const uint64_t by_time = number(events, "calls-ended-by-time");
  show_pairs("Events",
             {{"Media Port Zero", number(events, "media-port-zero")},
              {"Media Addr Zero", number(events, "media-address-zero")},
              {"Malform Media", number(events, "media-unreadable")},
              {"No Content Length", number(events, "no-content-length")},
              {"Cr Trunk Chnls", number(events, "calls-begun")},
              {"Del Trunk Chnls", number(events, "calls-ended-by-message") + by_time + number(events, "calls-cleared")},
              {"trunk timer timeout", by_time}},
             out);
}

void show_errors(const Json& answer, std::ostream& out) {
  const Json &events = member(answer, "events"), &packets = member(answer, "packets"), &groups = member(answer, "groups");
  show_pairs("Errors",
             {{"Parse SIP Hdr Fail", number(packets, "malformed") + number(groups, "header-unreadable")},
              {"Parse SDP Fail", number(groups, "body-malformed")},
              {"Error New Chnl", number(events, "doors-refused")},
              {"Add portlist Err", number(groups, "ports-exhausted")},
              {"Create Failed", number(groups, "table-full") + number(groups, "expectations-full")},
              {"Huge Size", number(packets, "too-big")},
              {"Not SIP Msg", number(packets, "not-sip")}},
             out);
}

// The sentence for a reason's name; empty for a name of a newer daemon.
std::string explain(const std::string& name) {
  for (std::size_t i = 0; i < count_of<Reason>; ++i)
    if (name_of(static_cast<Reason>(i)) == name) return std::string(explanation_of(static_cast<Reason>(i)));
  return "";
}

void show_counters(const char* title, const Json& counters, bool explained, std::ostream& out) {
  TextTable table({title, "", ""});
  for (const auto& [name, count] : counters.items())
    if (count != 0) table.add({name, to_text(count), explained ? explain(name) : ""});
  if (table.empty()) return;
  out << "\n";
  table.print(out);
}

}  // namespace

void show_stats(const Json& answer, std::ostream& out) {
  show_received(answer, out);
  show_events(answer, out);
  show_errors(answer, out);
  show_counters("PACKETS", member(answer, "packets"), true, out);
  show_counters("LEFT UNCHANGED", member(answer, "groups"), true, out);
  show_counters("NOT READABLE", member(answer, "scan_errors"), false, out);
  show_counters("THE OTHER PARSER DIFFERS", member(member(answer, "opinions"), "differ"), false, out);
  show_counters("THE OTHER PARSER REFUSES", member(member(answer, "opinions"), "unreadable"), false, out);
  show_counters("DOORS AND CALLS", member(answer, "events"), false, out);
  show_counters("KERNEL", member(answer, "kernel"), false, out);
  if (answer.contains("workers")) show_counters("WORKERS", member(answer, "workers"), false, out);
  show_counters("NOW", member(answer, "now"), false, out);
  out << "\nfields edited: " << text_of(answer, "edits") << "\n";
}

}  // namespace sipalg
