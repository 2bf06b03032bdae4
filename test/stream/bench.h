// SPDX-License-Identifier: GPL-2.0-or-later
// Two model ends, a network on both sides that loses, repeats and swaps, and the stream table between them.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>

#include "alg/stream/stream_table.h"
#include "test/stream/model_tcp.h"

namespace sipalg::test {

struct NetworkOptions {
  double loss = 0, repeat = 0, swap = 0;  // chance of each packet, on each side of the table
  int delay = 1, spread = 0;              // ms
  uint32_t mtu = 1500;
  uint32_t path_mtu = 65'535;             // behind the next link: larger packets are lost
};

struct Setup {
  std::array<TcpOptions, 2> ends{};
  NetworkOptions network{};
  StreamLimits limits{};
  double crash = 0;  // chance at each packet that the process dies and comes back
  int64_t down = 0;  // ms at most until it is back; meanwhile what is guarded is dropped, what is not passes
};

class Bench : public StreamOutlet, public StreamEditor, public StreamStore {
 public:
  Bench(const Setup& setup, uint32_t seed);
  ~Bench() override;

  TcpEnd& end(std::size_t i) { return *ends_[i]; }
  // Runs until nothing is under way any more or `until` is reached. Returns whether it is quiet.
  bool run(int64_t until);
  int64_t now() const { return now_; }
  void at(int64_t time, std::function<void()> what) { events_.push({time, next_++, std::move(what)}); }
  bool is_quiet() const;

  // The pure function of a message that is the editor here.
  static std::string edited(std::string_view message);

  Stats stats;
  std::unique_ptr<StreamTable> table;
  std::map<StreamKey, std::string, bool (*)(const StreamKey&, const StreamKey&)> saved;
  bool may_resize = true;
  bool is_bypassed = false;  // packets go by
  bool is_guarded = false;  // the bench has one connection
  uint64_t tickets = 0, verdicts = 0, rewritten = 0, edits = 0, crashes = 0;
  std::function<bool(std::size_t, const std::vector<uint8_t>&)> is_lost;  // between an end, the sender, and the table
  std::function<void(std::size_t, const std::vector<uint8_t>&)> on_wire;  // every packet that leaves the table, by receiver

 private:
  struct Event {
    int64_t time;
    uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const { return std::tie(time, number) > std::tie(other.time, other.number); }
  };
  struct Pending {
    std::size_t to;
    std::vector<uint8_t> packet;
  };
  void accept(Ticket ticket) override;
  void accept(Ticket ticket, std::span<const uint8_t> packet) override;
  void drop(Ticket ticket) override;
  bool begin_guarding(const Flow&) override { return is_guarded = may_resize; }
  void end_guarding(const StreamKey&) override { is_guarded = false; }
  bool is_alive(const StreamKey&) override { return true; }
  EditedMessage edit(std::string_view held, std::size_t bytes_behind, const Flow& flow, const MayBecome& may_become,
                     Instant now) override;
  void save(const StreamKey& key, std::string_view bytes, bool is_now_guarded) override;
  void forget(const StreamKey& key) override { saved.erase(key); }

  void from_end(std::size_t from, std::vector<uint8_t> packet);
  void to_table(std::size_t from, const std::vector<uint8_t>& packet);
  void to_end(std::size_t to, std::vector<uint8_t> packet);
  void travel(std::function<void()> arrival);
  void crash();
  void restore();
  Instant instant() const { return Instant{std::chrono::milliseconds{now_}}; }

  Setup setup_;
  std::mt19937 random_;
  std::array<std::unique_ptr<TcpEnd>, 2> ends_;
  std::priority_queue<Event> events_;
  std::map<Ticket, Pending> pending_;
  bool is_down_ = false;
  uint64_t next_ = 0;
  int64_t now_ = 1000;
  std::string text_;
};

}  // namespace sipalg::test
