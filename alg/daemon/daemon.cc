// SPDX-License-Identifier: GPL-2.0-or-later
// See daemon.h.
#include "alg/daemon/daemon.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <random>

#include "alg/daemon/memory.h"
#include "alg/daemon/start_error.h"
#include "conntrack/ruleset.h"

namespace sipalg {
namespace {

constexpr std::chrono::seconds housekeeping_period{1}, memory_period{30};

QueueOptions queue_options(const Config& config) {
  QueueOptions options;
  options.queue = config.queue;
  options.tcp = true;
  options.has_siblings = config.workers > 1;
  return options;
}

SteeringOptions steering_options(const Config& config, const ServiceSwitch& service, const std::vector<Network>& inside,
                                 bool births) {
  SteeringOptions options;
  options.table = config.table;
  options.queue = config.queue;
  options.udp_ports = service.steered(Protocol::udp);
  options.tcp = true;
  options.tcp_ports = service.steered(Protocol::tcp);
  options.manual = config.steering == Config::Steering::manual;
  options.births = births;
  options.workers = config.workers;
  options.inside = inside;
  options.peers = config.signalling_peers;
  return options;
}

// The kernel edge throws from its constructors: each gets its cure here, where the members are made.
// (Guaranteed elision: what can not be moved can still be returned.)
Links make_links() {
  return start_step("reading addresses and routes", "is this a Linux with netlink?", [] { return Links(); });
}
Queue make_queue(const Config& config) {
  return start_step("queue " + std::to_string(config.queue),
                    "CAP_NET_ADMIN and the module nfnetlink_queue are needed, and nobody else may read this queue: "
                    "stop another sipalgd; beside another program `queue` in the configuration chooses another",
                    [&] { return Queue(queue_options(config)); });
}
Steering make_steering(const SteeringOptions& options) {
  return start_step("table inet " + options.table,
                    "nf_tables is needed, with nft_ct, nft_nat, nft_hash for several workers, and either nft_queue or xt_NFQUEUE; a table of that name "
                    "must not exist (`table` chooses another name)",
                    [&] { return Steering(options); });
}
Ctnetlink make_conntrack() {
  return start_step("conntrack", "the module nf_conntrack_netlink is needed", [] { return Ctnetlink(); });
}
NfDoorKeeper make_keeper(Steering& steering) {
  return start_step("making pinholes", "the modules nf_conntrack_netlink and nf_conntrack_sip are needed: "
                    "`modprobe -a nf_conntrack_netlink nf_conntrack_sip`",
                    [&] {
                      NfDoorKeeperOptions options;
                      options.has_thread = true;
                      return NfDoorKeeper(steering, options);
                    });
}

std::unique_ptr<Births> make_births(bool has_conntrack, const Config& config) {
  return has_conntrack ? nullptr : std::make_unique<Births>(config.table);
}

uint64_t salt() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// Without it everything works but what the daemon before knew. One that a living daemon has is a mistake that shows
// best at start.
std::unique_ptr<StateStore> make_store(const Config& config, const Log& log) {
  try {
    return std::make_unique<StateStore>(config.state, state_world());
  } catch (const StateInUse&) {
    throw;
  } catch (const std::exception& error) {
    log.warning("no state is kept, TCP connections with edits and registrations will end with this daemon: " + std::string(error.what()) +
                "; the folder of `state` must exist and belong to the user of sipalgd (the unit makes /run/sipalg)");
    return nullptr;
  }
}

}  // namespace

Daemon::Daemon(Config config, LoadConfig load, Log& log)
    : log_(log), load_(std::move(load)), config_(std::move(config)), switch_(config_.service), links_(make_links()),
      queue_(make_queue(config_)),
      steering_(make_steering(steering_options(config_, switch_, inside(), !queue_.has_conntrack()))),
      conntrack_(make_conntrack()), births_(make_births(queue_.has_conntrack(), config_)),
      flows_(conntrack_, births_.get(), steering_.way() == Steering::Way::manual), keeper_(make_keeper(steering_)),
      shared_keeper_(keeper_), gathering_(keeper_), engine_(policy(), keeper_for_engine(), salt(), config_.workers),
      logged_engine_(engine_, log_), guard_(steering_),
      store_(make_store(config_, log_)), kept_(engine_, store_.get(), log_), streams_(logged_engine_, conntrack_, guard_, store_.get(), stats_, log_),
      path_(logged_engine_, engine_, &streams_, stats_, flows_, links_.interfaces(), log_),
      control_(loop_, config_.control_socket, [this](const control::Request& request) { return answer(request); }),
      kernel_counts_cleared_(kernel_counts().size()) {
  engine_.set_service(switch_.service());
  const auto next_packet = [this] { return path_.handle_next(queue_, boot_time()); };
  config_.workers == 1 ? gathering_.set_other_work(next_packet) : SharedDoorKeeper::set_other_work(next_packet);
  static constexpr std::array signals{SIGTERM, SIGINT, SIGHUP};
  loop_.watch_signals(signals, [this](int signal) { on_signal(signal); });
  loop_.watch(queue_.fd(), EPOLLIN, [this] { take_packets(); });
  loop_.watch(keeper_.event_fd(), EPOLLIN, [this] {
    const auto held = shared_keeper_.lock();
    keeper_.on_events();
    keeper_due_ = keeper_.next_tick();
  });
  loop_.watch(links_.event_fd(), EPOLLIN, [this] { on_links(); });
  loop_.set_timer([this] {
    const Instant now = boot_time();  // a flush may leave the keeper something to do: before next_timer() asks for that
    const Instant next_flush = workers_.empty() ? keeper_.flush_when_due(now) : shared_keeper_.flush_when_due(now);
    return std::min(next_flush, next_timer());
  }, [this] { on_timer(); });
  make_workers();
  packets_cleared_ = packets_of_workers();
}

// Both gather what messages want that were read together; one that is alone needs no lock for it.
DoorKeeper& Daemon::keeper_for_engine() {
  if (config_.workers > 1) return shared_keeper_;
  return gathering_;
}

// After the signals are blocked: threads inherit that.
void Daemon::make_workers() {
  if (config_.workers == 1) return;
  work_ = make_eventfd();
  loop_.watch(work_.get(), EPOLLIN, [this] {  // the loop asks for the next tick after this
    eventfd_t told = 0;
    eventfd_read(work_.get(), &told);
    work_is_told_ = false;
  });
  shared_keeper_.set_on_work([this] {
    keeper_due_ = keeper_.next_tick();
    if (keeper_due_.load() < wakes_at_.load() && !work_is_told_.exchange(true)) eventfd_write(work_.get(), 1);
  });
  for (uint32_t number = 1; number < config_.workers; ++number) {
    Worker::Kernel kernel{queue_options(config_), config_.table};
    kernel.queue.queue = ruleset::queue_of(steering_.options(), Protocol::udp, number);
    kernel.queue.tcp = false;
    workers_.push_back(start_step("queue " + std::to_string(kernel.queue.queue) + " of worker " + std::to_string(number + 1),
                                  "nobody else may read this queue (`queue` in the configuration chooses others)", [&] {
      return std::make_unique<Worker>(kernel, number, engine_, shared_keeper_, links_.interfaces(), log_);
    }));
    Worker* worker = workers_.back().get();
    loop_.watch(worker->failure_fd(), EPOLLIN, [worker] { worker->rethrow_failure(); });
  }
}

// A worker looks at the time once a second.
bool Daemon::workers_live(Instant now) const {
  constexpr std::chrono::seconds longest_turn{10};
  return std::ranges::all_of(workers_, [&](const auto& worker) { return worker->last_turn() + longest_turn > now; });
}

Daemon::~Daemon() { SharedDoorKeeper::set_other_work({}); }

void Daemon::run() {
  const std::size_t connections = streams_.restore(boot_time()), registrations = kept_.restore(boot_time());
  for (const Address& address : kept_.outside_addresses())
    if (!links_.is_own(address)) end_flows_of(address);  // lost while there was no daemon
  tell_start();
  if (connections > 0) log_.info("TCP connections that go on: " + std::to_string(connections));
  if (registrations > 0) log_.info("registrations that go on: " + std::to_string(registrations));
  tell_advice();
  on_timer();
  for (const auto& worker : workers_) worker->start(config_.real_time);
  if (config_.real_time) be_prompt();
  service_.ready();
  loop_.run();
  stop();
}

void Daemon::be_prompt() {
  if (const auto done = loop_.be_prompt(); !done)
    log_.info("scheduling: ordinary, for the real-time class is refused (" + done.error().message() +
              "): `LimitRTPRIO=1` in the unit allows it, `real-time = false` asks for none");
}

// --- packets, events, time ---

void Daemon::take_packets() {
  const Instant now = boot_time();
  queue_.receive([this, now](const QueuedPacket& packet, PendingVerdict verdict) {
    path_.handle(packet, std::move(verdict), now);
  });
}

void Daemon::on_links() {
  const std::set<Address> before = links_.own_addresses();
  if (!links_.on_events()) return;
  for (const Address& address : before) {
    if (links_.is_own(address)) continue;
    log_.info("the router lost the address " + to_string(address) + "; its doors are closed");
    engine_.outside_address_lost(address);
    end_flows_of(address);
  }
  for (const Address& address : links_.own_addresses())
    if (!before.contains(address)) engine_.outside_address_returned(address);
  for (const auto& worker : workers_) worker->set_interfaces(links_.interfaces());
  put_inside();
}

// The kernel has to know first that its doors are closed: they would translate the next packet to it again.
void Daemon::end_flows_of(const Address& lost) {
  shared_keeper_.flush_now();
  flows_.end_translated(lost);
}

void Daemon::put_inside() {
  tell_refusal("inside networks", steering_.set_inside(inside()));
  engine_.set_policy(policy());
}

// A line of a provider's, or a tunnel, that has routes of its own and no default route.
void Daemon::note_outside() {
  bool is_new = false;
  for (const Address& address : engine_.take_beyond_nat()) {
    if (!links_.note_outside(address)) continue;
    is_new = true;
    if (!config_.inside) log_.info("the way to " + to_string(address) + " leads outside: the kernel translates what goes there");
  }
  if (!is_new || config_.inside) return;
  put_inside();
}

Instant Daemon::next_timer() const {
  const Instant others = std::min({housekeeping_ + housekeeping_period, engine_.next_timer_of(0), streams_.next_timer()});
  if (workers_.empty()) return std::min(others, keeper_.next_tick());
  for (;;) {  // a worker sees when this thread wakes, or this one sees what the worker wants: none waits for the keeper's lock
    const Instant due = keeper_due_;
    wakes_at_ = std::min(others, due);
    if (keeper_due_.load() == due) return wakes_at_;
  }
}

void Daemon::on_timer() {
  const Instant now = boot_time();
  engine_.tick_shard(0, now, limits::ended_at_once);
  streams_.tick(now);
  queue_.flush();
  const bool is_housekeeping = now >= housekeeping_ + housekeeping_period;
  if (is_housekeeping || now >= (workers_.empty() ? keeper_.next_tick() : keeper_due_.load())) {
    const auto held = shared_keeper_.lock();
    keeper_.tick(now);
    keeper_due_ = keeper_.next_tick();
  }
  if (!is_housekeeping) return;
  housekeeping_ = now;
  drain_ports();
  control_.tick(now);
  if (workers_live(now)) service_.alive(now);
  kept_.save();
  on_links();
  note_outside();
  tell_helper();
  if (now >= memory_looked_at_ + memory_period) {
    memory_looked_at_ = now;
    give_back_free_memory();
  }
  const Engine::Standing standing = engine_.standing();
  service_.status(std::to_string(standing.calls) + " calls, " + std::to_string(standing.registrations) + " registrations, " +
                  std::to_string(standing.doors) + " doors");
}

void Daemon::on_signal(int signal) { signal == SIGHUP ? reload() : loop_.stop(); }

// --- configuration ---

std::vector<Network> Daemon::inside() const { return config_.inside.value_or(links_.inside_networks()); }

Policy Daemon::policy() const {
  const auto& own = links_.own_addresses();
  return make_policy(config_, links_.inside_networks(), {own.begin(), own.end()});
}

void Daemon::reload() {
  service_.reloading();
  try {
    apply(load_());
    log_.info("configuration read again and in force");
  } catch (const BadConfig& bad) {
    for (const ConfigError& error : bad.errors()) log_.error(to_string(error));
    log_.error("the configuration stays as it was");
  }
  service_.ready();
}

void Daemon::apply(Config next) {
  tell_needs_restart(next);
  next.queue = config_.queue;
  next.workers = config_.workers;
  next.real_time = config_.real_time;
  next.table = config_.table;
  next.steering = config_.steering;
  next.control_socket = config_.control_socket;
  next.state = config_.state;
  config_ = std::move(next);
  log_.set_level(config_.log_level);
  ServiceSwitch next_service = switch_;
  next_service.reload(config_.service);
  tell_refusal("ports", put_service(std::move(next_service)));
  if (switch_.differs_from_file()) log_.info("the service stays as `sipalgctl service` switched it");
  tell_refusal("signalling-peers", steering_.set_peers(config_.signalling_peers));
  put_inside();
  {
    const auto held = shared_keeper_.lock();
    keeper_.raise_limit();  // somebody may have set it since
  }
  tell_advice();
}

void Daemon::tell_needs_restart(const Config& next) const {
  const auto tell = [this](bool differs, const char* key) {
    if (differs) log_.warning(std::string("`") + key + "` changes with a restart only; it stays as it was");
  };
  tell(next.queue != config_.queue, "queue");
  tell(next.workers != config_.workers, "workers");
  tell(next.real_time != config_.real_time, "real-time");
  tell(next.table != config_.table, "table");
  tell(next.steering != config_.steering, "steering");
  tell(next.control_socket != config_.control_socket, "control-socket");
  tell(next.state != config_.state, "state");
}

void Daemon::tell_refusal(const char* what, const Steering::Result& result) const {
  if (!result) log_.error(std::string("the kernel refused the new ") + what + ": " + result.error().message());
}

// --- end ---

void Daemon::stop() {
  service_.stopping();
  log_.info("stopping");
  loop_.be_ordinary();
  for (const auto& worker : workers_) worker->let_pass();
  kept_.save_all();
  {
    const auto held = shared_keeper_.lock();
    keeper_.close_all();  // before the engine closes each door by itself, which would end the calls' flows
  }
  engine_.close_all(boot_time());
  if (const auto stopped = steering_.stop(); !stopped) log_.error("the steering rules stay: " + stopped.error().message());
  for (const auto& worker : workers_) worker->drain();
  streams_.stop_editing();
  const Instant now = boot_time();
  queue_.drain([this, now](const QueuedPacket& packet, PendingVerdict verdict) {
    const auto view = view_datagram(packet.bytes);
    if (!view || view->protocol != Protocol::tcp) return;
    // the next daemon edits it, when TCP has sent it again
    streams_.is_guarded(*view) ? verdict.drop() : path_.handle(packet, std::move(verdict), now);
  });
  streams_.release_all();
  queue_.flush();
  streams_.forget_ended();
  guard_.close();
}

}  // namespace sipalg
