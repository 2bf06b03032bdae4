// SPDX-License-Identifier: GPL-2.0-or-later
// See stream_path.h.
#include "alg/daemon/stream_path.h"

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
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

// Conntrack's original tuple; when its entry was lost and the answerer spoke first since, the reply tuple of its new one.
Tuple tuple_of(const StreamKey& key) { return {Protocol::tcp, key.opener.inside, key.answerer.outside}; }

// The two that may be original: what nftables compares.
std::array<Tuple, 2> originals_of(const StreamKey& key) {
  return {tuple_of(key), {Protocol::tcp, key.answerer.inside, key.opener.outside}};
}

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
    if (record.is_guarded) guarded.push_back(tuple_of(record.key));
  const std::vector<bool> held = guard_.are_held(guarded);
  std::size_t restored = 0, at = 0;
  for (const Record& record : records) {
    const bool is_covered = !record.is_guarded || held[at++];
    if (!is_covered || !is_known(record.key) || !table_.restore(record.key, record.bytes, now)) {
      store_->remove(record_key(record.key));
      continue;
    }
    ++restored;
    if (!record.is_guarded) continue;
    note_guarded(record.key, true);
    std::ranges::copy(originals_of(record.key), std::back_inserter(taken_back));
  }
  if (const auto adopted = guard_.adopt(taken_back); !adopted)
    log_.error("TCP connections of the time before can not be guarded: " + adopted.error().message());
  return restored;
}

bool StreamPath::is_known(const StreamKey& key) const { return conntrack_.find_flow(tuple_of(key), key.zone).has_value(); }

void StreamPath::handle(const DatagramView& view, const Flow& flow, uint32_t mtu, PendingVerdict verdict, Instant now) {
  const Ticket ticket = next_ticket_++;
  pending_.emplace(ticket, std::move(verdict));
  const auto guarded = guarded_.find(header_of(view));
  Flow as_opened = flow;
  if (guarded != guarded_.end()) {
    keep_liberal(flow);
    const StreamKey seen = StreamKey::of(flow);
    const bool is_reversed = seen.opener == guarded->second.answerer && seen.answerer == guarded->second.opener;
    if (is_reversed) as_opened.begun_by_sender = !flow.begun_by_sender;
  }
  try {
    table_.handle(ticket, view, as_opened, mtu, now);
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
    if (!is_known(key)) ended.push_back(key);
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

// After `conntrack -F` the kernel makes a new entry of the connection's next segment, whoever sends it, which judges again.
void StreamPath::keep_liberal(const Flow& flow) {
  const Tuple original = tuple_of(StreamKey::of(flow));
  if (flow.is_new) {
    reborn_.insert(original);
  } else if (!reborn_.empty() && reborn_.erase(original) != 0) {
    static_cast<void>(conntrack_.set_liberal(original, flow.zone, true));
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
  if (!conntrack_.set_liberal(tuple_of(key), key.zone, true) || !guard_.add(originals_of(key))) return false;
  note_guarded(key, true);
  return true;
}

void StreamPath::end_guarding(const StreamKey& key) {
  unguard(key);
  static_cast<void>(conntrack_.set_liberal(tuple_of(key), key.zone, false));
}

void StreamPath::unguard(const StreamKey& key) {
  note_guarded(key, false);
  for (const Tuple& original : originals_of(key)) reborn_.erase(original);
  static_cast<void>(guard_.remove(originals_of(key)));
}

// One that conntrack has forgotten may have ends all the same: what they say next is answered by a reset.
bool StreamPath::is_alive(const StreamKey& key) {
  if (is_known(key)) return true;
  static_cast<void>(guard_.abandon(originals_of(key)));
  return false;
}

void StreamPath::note_guarded(const StreamKey& key, bool is_guarded) {
  for (const Tuple& header : {Tuple{Protocol::tcp, key.opener.outside, key.answerer.inside},
                              Tuple{Protocol::tcp, key.answerer.outside, key.opener.inside}})
    is_guarded ? static_cast<void>(guarded_.emplace(header, key)) : static_cast<void>(guarded_.erase(header));
}

EditedMessage StreamPath::edit(std::string_view held, std::size_t bytes_behind, const Flow& flow, const MayBecome& may_become,
                               Instant now) {
  if (!is_editing_) return {};
  constexpr std::size_t no_bound = 1U << 20;  // a stream's message may grow: it is cut into segments
  const Verdict verdict = engine_.handle({held, flow, no_bound, bytes_behind, &may_become}, now, scratch_);
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
  unguard(key);
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
