// SPDX-License-Identifier: GPL-2.0-or-later
// What survives the daemon: small records under binary keys, in an LMDB environment.
//
// How it works. The folder lies on a file system that a reboot empties (/run): so does the kernel's conntrack, and the
// records are worth nothing without it. Each put(), remove() and apply() is one transaction; LMDB never overwrites a page that the
// last complete transaction uses, so whatever moment the process dies at, the next one reads the state before or after a
// change, never half of it. Nothing is synced to a disk: the page cache survives a process.
// LMDB runs without its own locks, for one process and one thread. That there is one alone is what a lock on the folder
// (flock) says: the kernel lets go of it with the process, however that ends, so that the next one can start at once.
// The first record says which format, boot and network namespace the others belong to; those of another are thrown away.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "alg/base/saved_bytes.h"
#include "alg/daemon/file_descriptor.h"

struct MDB_env;

namespace sipalg {

// The folder is another living store's.
class StateInUse : public std::runtime_error {
 public:
  explicit StateInUse(const std::string& folder)
      : std::runtime_error("state " + folder + ": another sipalgd uses it; stop it first, or give this one its own `state`") {}
};

class StateStore {
 public:
  static constexpr std::size_t most_bytes = 256U << 20;  // of the file; sparse

  // Makes the folder (mode 0700) when it is not there. Throws StateInUse before it looks at a record, std::runtime_error with
  // the reason when it can not work there. `world`: records of another one (another boot, another network namespace, another format) are thrown away.
  StateStore(const std::string& folder, std::string_view world);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // Throw std::runtime_error: the store is full, or its folder went away.
  void put(std::string_view key, std::span<const uint8_t> value);
  void remove(std::string_view key);  // what is not there is no error
  void apply(std::span<const SavedChange> changes);  // one after the other, in one transaction
  void clear() noexcept;                // every record, as far as that still works
  // Keys that begin with `prefix`, in their order. The spans hold until the callback returns.
  void for_each(std::string_view prefix, const std::function<void(std::string_view key, std::span<const uint8_t> value)>& f);

 private:
  struct Close {
    void operator()(MDB_env* env) const;
  };
  class Transaction;
  void settle_in(std::string_view world);
  void put(const Transaction& transaction, std::string_view key, std::string_view value);
  bool remove(const Transaction& transaction, std::string_view key);
  std::string world_;
  FileDescriptor folder_;  // locked; closed behind the environment
  std::unique_ptr<MDB_env, Close> env_;
  unsigned database_ = 0;
};

// This boot and this network namespace, in the format of this version.
std::string state_world();

}  // namespace sipalg
