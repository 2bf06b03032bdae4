// SPDX-License-Identifier: GPL-2.0-or-later
// See stream_path.h.
#include "alg/daemon/stream_path.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

namespace sipalg {
namespace {

constexpr std::string_view prefix = "stream/";
constexpr char guarded_mark = 'g', faithful_mark = 'f';  // the first byte of a record; the table's bytes follow

// "stream/ZONE INSIDE OUTSIDE INSIDE OUTSIDE": the opener's ends, then the answerer's.
std::string record_key(const StreamKey& key) {
  std::string text(prefix);
  text += std::to_string(key.zone);
  for (const Endpoint& endpoint : {key.opener.inside, key.opener.outside, key.answerer.inside, key.answerer.outside})
    text += ' ' + to_string(endpoint);
  return text;
}

std::optional<StreamKey> parse_record_key(std::string_view text) {
  text.remove_prefix(prefix.size());
  std::array<std::string_view, 5> words;
  for (auto& word : words) {
    const std::size_t end = std::min(text.find(' '), text.size());
    word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto zone = parse_number(words[0]);
  std::array<Endpoint, 4> ends;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const auto endpoint = parse_endpoint(words[i + 1]);
    if (!endpoint) return std::nullopt;
    ends[i] = *endpoint;
  }
  if (!zone || *zone > 65535) return std::nullopt;
  return StreamKey{{ends[0], ends[1]}, {ends[2], ends[3]}, static_cast<uint16_t>(*zone)};
}

Tuple original_of(const StreamKey& key) { return {Protocol::tcp, key.opener.inside, key.answerer.outside}; }

}  // namespace

StreamPath::StreamPath(LoggedEngine& engine, Ctnetlink& conntrack, StreamGuard& guard, StateStore* store, Stats& stats,
                       const Log& log)
    : engine_(engine), conntrack_(conntrack), guard_(guard), store_(store), log_(log), table_(*this, *this, this, stats) {}

// A connection whose conntrack is gone can not be translated any more: it is not taken back. Nor is one that was guarded and
// whose lease is over: its ends were told by a reset. Those whose lengths never changed are not guarded: they can do without us.
std::size_t StreamPath::restore(Instant now) {
  std::vector<Record> records;
  if (store_)
    store_->for_each(prefix, [&](std::string_view text, std::span<const uint8_t> value) {
      const auto key = parse_record_key(text);
      if (!key || value.empty()) return;
      records.push_back({*key, value.front() == guarded_mark, std::string(value.begin() + 1, value.end())});
    });
  std::vector<Tuple> guarded, taken_back;
  for (const Record& record : records)
    if (record.is_guarded) guarded.push_back(original_of(record.key));
  const std::vector<bool> held = guard_.are_held(guarded);
  std::size_t restored = 0, at = 0;
  for (const Record& record : records) {
    const bool is_covered = !record.is_guarded || held[at++];
    const bool is_alive = is_covered && conntrack_.find_flow(original_of(record.key), record.key.zone);
    if (!is_alive || !table_.restore(record.key, record.bytes, now)) {
      store_->remove(record_key(record.key));
      continue;
    }
    ++restored;
    if (!record.is_guarded) continue;
    note_guarded(record.key, true);
    taken_back.push_back(original_of(record.key));
  }
  if (const auto adopted = guard_.adopt(taken_back); !adopted)
    log_.error("TCP connections of the time before can not be guarded: " + adopted.error().message());
  return restored;
}

void StreamPath::handle(const DatagramView& view, const Flow& flow, uint32_t mtu, PendingVerdict verdict, Instant now) {
  const Ticket ticket = next_ticket_++;
  pending_.emplace(ticket, std::move(verdict));
  if (!guarded_.empty()) keep_liberal(flow, view);
  try {
    table_.handle(ticket, view, flow, mtu, now);
  } catch (...) {
    if (pending_.contains(ticket)) is_guarded(view) ? drop(ticket) : accept(ticket);
    throw;
  }
}

void StreamPath::tick(Instant now) {
  if (now >= table_.next_timer()) table_.tick(now);
  if (const auto renewed = guard_.renew(now); !renewed)
    log_.error("guarding TCP connections: " + renewed.error().message());
}

void StreamPath::forget_ended() {
  std::vector<StreamKey> ended;
  for (const auto& [header, key] : guarded_)
    if (!conntrack_.find_flow(original_of(key), key.zone)) ended.push_back(key);
  for (const StreamKey& key : ended) table_.forget(key);
}

std::vector<report::Connection> StreamPath::report(Instant now) const {
  const auto end = [](const FlowEnd& which) { return report::End{which.inside, which.outside}; };
  constexpr std::array state_names{"opening", "open", "closing"};
  std::vector<report::Connection> out;
  for (const StreamSummary& stream : table_.summaries())
    out.push_back({end(stream.key.opener), end(stream.key.answerer), stream.key.zone,
                   state_names.at(static_cast<std::size_t>(stream.state)), stream.reads_opener,
                   stream.reads_answerer, stream.is_resized, stream.held_packets, stream.held_bytes,
                   std::chrono::duration_cast<std::chrono::milliseconds>(now - stream.last_seen).count()});
  return out;
}

// After `conntrack -F` the kernel makes a new entry of the connection's next segment, which judges again.
void StreamPath::keep_liberal(const Flow& flow, const DatagramView& view) {
  if (!guarded_.contains(header_of(view))) return;
  const StreamKey key = StreamKey::of(flow);
  if (flow.is_new) {
    reborn_.insert(original_of(key));
  } else if (!reborn_.empty() && reborn_.erase(original_of(key)) != 0) {
    static_cast<void>(conntrack_.set_liberal(original_of(key), flow.zone));
  }
}

PendingVerdict StreamPath::take(Ticket ticket) {
  auto node = pending_.extract(ticket);
  return std::move(node.mapped());
}
void StreamPath::accept(Ticket ticket) { take(ticket).accept(); }
void StreamPath::accept(Ticket ticket, std::span<const uint8_t> packet) { take(ticket).accept(packet); }
void StreamPath::drop(Ticket ticket) { take(ticket).drop(); }

bool StreamPath::begin_guarding(const Flow& flow) {
  const StreamKey key = StreamKey::of(flow);
  if (!conntrack_.set_liberal(original_of(key), flow.zone) || !guard_.add(original_of(key))) return false;
  note_guarded(key, true);
  return true;
}

void StreamPath::end_guarding(const StreamKey& key) {
  note_guarded(key, false);
  reborn_.erase(original_of(key));
  static_cast<void>(guard_.remove(original_of(key)));
}

// One that conntrack has forgotten may have ends all the same: what they say next is answered by a reset.
bool StreamPath::is_alive(const StreamKey& key) {
  if (conntrack_.find_flow(original_of(key), key.zone)) return true;
  static_cast<void>(guard_.abandon(original_of(key)));
  return false;
}

void StreamPath::note_guarded(const StreamKey& key, bool is_guarded) {
  for (const Tuple& header : {Tuple{Protocol::tcp, key.opener.outside, key.answerer.inside},
                              Tuple{Protocol::tcp, key.answerer.outside, key.opener.inside}})
    is_guarded ? static_cast<void>(guarded_.emplace(header, key)) : static_cast<void>(guarded_.erase(header));
}

EditedMessage StreamPath::edit(std::string_view held, std::size_t bytes_behind, const Flow& flow, Instant now) {
  if (!is_editing_) return {};
  constexpr std::size_t no_bound = 1U << 20;  // a stream's message may grow: it is cut into segments
  const Verdict verdict = engine_.handle({held, flow, no_bound, bytes_behind}, now);
  return {verdict.edited(), verdict.bytes};
}

void StreamPath::save(const StreamKey& key, std::string_view bytes, bool is_guarded) {
  if (!store_ || store_failed_) return;
  try {
    record_.assign(1, is_guarded ? guarded_mark : faithful_mark).append(bytes);
    store_->put(record_key(key), {reinterpret_cast<const uint8_t*>(record_.data()), record_.size()});
  } catch (const std::exception& error) {
    tell_store_failure(error.what());
  }
}

void StreamPath::forget(const StreamKey& key) {
  end_guarding(key);
  if (!store_ || store_failed_) return;
  try {
    store_->remove(record_key(key));
  } catch (const std::exception& error) {
    tell_store_failure(error.what());
  }
}

void StreamPath::tell_store_failure(const char* what) {
  store_failed_ = true;
  store_->clear();  // old records would be wrong maps
  log_.error("the state can not be kept, TCP connections end with this daemon: " + std::string(what));
}

}  // namespace sipalg
