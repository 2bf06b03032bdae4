// SPDX-License-Identifier: GPL-2.0-or-later
// LMDB, used as a map from keys to bytes.
#include "alg/daemon/state_store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace sipalg {
namespace {

constexpr std::string_view world_key{"\0world", 6};
constexpr std::string_view format = "1";

void check(int result, const char* what) {
  if (result != MDB_SUCCESS) throw std::runtime_error(std::string(what) + ": " + mdb_strerror(result));
}

// LMDB's types are not const; it does not write to what it is given.
MDB_val value_of(const void* bytes, std::size_t size) { return {size, const_cast<void*>(bytes)}; }
MDB_val value_of(std::string_view text) { return value_of(text.data(), text.size()); }
std::string_view text_of(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

[[noreturn]] void fail(const std::string& folder, int error) {
  throw std::runtime_error(folder + ": " + std::system_category().message(error));
}

FileDescriptor take_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) fail(folder, errno);
  FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail(folder, errno);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) throw StateInUse(folder);
  fail(folder, errno);
}

}  // namespace

void StateStore::Close::operator()(MDB_env* env) const { mdb_env_close(env); }

// Aborted unless committed.
class StateStore::Transaction {
 public:
  Transaction(MDB_env* env, unsigned flags) { check(mdb_txn_begin(env, nullptr, flags, &transaction_), "state"); }
  ~Transaction() {
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  MDB_txn* get() const { return transaction_; }
  void commit() { check(mdb_txn_commit(std::exchange(transaction_, nullptr)), "state"); }

 private:
  MDB_txn* transaction_ = nullptr;
};

StateStore::StateStore(const std::string& folder, std::string_view world) : world_(world), folder_(take_folder(folder)) {
  MDB_env* env = nullptr;
  check(mdb_env_create(&env), "state");
  env_.reset(env);
  check(mdb_env_set_mapsize(env, most_bytes), "state");
  // one thread of one process, which has locked the folder: no lock file
  check(mdb_env_open(env, folder.c_str(), MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS, 0600), folder.c_str());
  Transaction transaction(env, 0);
  check(mdb_dbi_open(transaction.get(), nullptr, 0, &database_), "state");
  transaction.commit();
  settle_in(world_);
}
StateStore::~StateStore() = default;

void StateStore::settle_in(std::string_view world) {
  Transaction transaction(env_.get(), 0);
  MDB_val key = value_of(world_key), known{};
  const int found = mdb_get(transaction.get(), database_, &key, &known);
  if (found == MDB_SUCCESS && text_of(known) == world) return;
  check(mdb_drop(transaction.get(), database_, 0), "state");
  MDB_val now = value_of(world);
  check(mdb_put(transaction.get(), database_, &key, &now, 0), "state");
  transaction.commit();
}

void StateStore::put(std::string_view key, std::span<const uint8_t> value) {
  Transaction transaction(env_.get(), 0);
  put(transaction, key, {reinterpret_cast<const char*>(value.data()), value.size()});
  transaction.commit();
}

void StateStore::remove(std::string_view key) {
  Transaction transaction(env_.get(), 0);
  if (remove(transaction, key)) transaction.commit();
}

void StateStore::apply(std::span<const SavedChange> changes) {
  if (changes.empty()) return;
  Transaction transaction(env_.get(), 0);
  for (const SavedChange& change : changes)
    change.bytes.empty() ? void(remove(transaction, change.key)) : put(transaction, change.key, change.bytes);
  transaction.commit();
}

void StateStore::put(const Transaction& transaction, std::string_view key, std::string_view value) {
  MDB_val k = value_of(key), v = value_of(value);
  check(mdb_put(transaction.get(), database_, &k, &v, 0), "state");
}

bool StateStore::remove(const Transaction& transaction, std::string_view key) {
  MDB_val k = value_of(key);
  const int result = mdb_del(transaction.get(), database_, &k, nullptr);
  if (result != MDB_NOTFOUND) check(result, "state");
  return result != MDB_NOTFOUND;
}

void StateStore::clear() noexcept {
  try {
    settle_in({});
    settle_in(world_);
  } catch (const std::exception&) {
    // its caller has told that the store does not work
  }
}

void StateStore::for_each(std::string_view prefix,
                          const std::function<void(std::string_view, std::span<const uint8_t>)>& f) {
  const Transaction transaction(env_.get(), MDB_RDONLY);
  MDB_cursor* cursor = nullptr;
  check(mdb_cursor_open(transaction.get(), database_, &cursor), "state");
  const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> closed(cursor, mdb_cursor_close);
  MDB_val key = value_of(prefix), value{};
  const MDB_cursor_op begin = prefix.empty() ? MDB_FIRST : MDB_SET_RANGE;  // LMDB searches no empty key
  for (int result = mdb_cursor_get(cursor, &key, &value, begin); result == MDB_SUCCESS;
       result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    if (!text_of(key).starts_with(prefix)) return;
    f(text_of(key), {static_cast<const uint8_t*>(value.mv_data), value.mv_size});
  }
}

std::string state_world() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  struct stat ns{};
  const bool known = stat("/proc/self/ns/net", &ns) == 0;
  return std::string(format) + " " + boot + " " + (known ? std::to_string(ns.st_ino) : "?");
}

}  // namespace sipalg
