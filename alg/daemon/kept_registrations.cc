// SPDX-License-Identifier: GPL-2.0-or-later
// See kept_registrations.h.
#include "alg/daemon/kept_registrations.h"

#include <exception>
#include <vector>

#include "alg/base/text_hash.h"
#include "alg/calls/saved_registration.h"

namespace sipalg {
namespace {

constexpr std::string_view prefix = "registration/";
constexpr uint64_t salt = 0;  // the next process has to find what this one wrote

std::string record_key(std::string_view key) {
  const WideHash hash = hash_texts({key}, salt);
  return std::string(prefix) + std::to_string(hash.high) + "/" + std::to_string(hash.low);
}

}  // namespace

std::size_t KeptRegistrations::restore(Instant now) {
  if (store_ == nullptr) return 0;
  std::size_t restored = 0;
  try {
    std::vector<SavedChange> over;
    store_->for_each(prefix, [&](std::string_view key, std::span<const uint8_t> value) {
      const std::string_view bytes(reinterpret_cast<const char*>(value.data()), value.size());
      if (engine_.restore_registration(bytes, now)) {
        ++restored;
      } else {
        over.push_back({std::string(key), {}});
        if (const auto saved = read_saved(bytes); saved && saved->was_own) outside_addresses_.insert(saved->registration.outside.address);
      }
    });
    store_->apply(over);
    engine_.note_registration_changes(true);
  } catch (const std::exception& error) {
    tell_failure(error.what());
  }
  return restored;
}

void KeptRegistrations::save(std::size_t most) {
  if (store_ == nullptr) return;
  try {
    std::vector<SavedChange> changes = engine_.take_registration_changes(most);
    if (changes.empty()) return;
    for (SavedChange& change : changes) change.key = record_key(change.key);
    store_->apply(changes);
  } catch (const std::exception& error) {
    tell_failure(error.what());
  }
}

void KeptRegistrations::tell_failure(const char* what) {
  store_ = nullptr;
  engine_.note_registration_changes(false);
  log_.error("registrations are not kept any more, the next daemon knows phones when they register again: " + std::string(what) +
             "; look at the folder of `state`, then restart sipalgd");
}

}  // namespace sipalg
