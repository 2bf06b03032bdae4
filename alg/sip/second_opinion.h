// SPDX-License-Identifier: GPL-2.0-or-later
// The other parser: a guarded sofia-sip reads the same bytes and must find the same endpoints (sip-rules section 10).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "alg/sip/message.h"

namespace sipalg::sip {

// Header fields whose endpoints are compared, as a set of bits.
enum class Compared : uint16_t {
  none = 0, request_uri = 1, top_via = 2, contact = 4, record_route = 8, route = 16, path = 32, service_route = 64,
  from = 128, to = 256, refer_to = 512,
};
constexpr Compared operator|(Compared a, Compared b) { return static_cast<Compared>(static_cast<uint16_t>(a) | static_cast<uint16_t>(b)); }
constexpr bool has(Compared set, Compared one) { return (static_cast<uint16_t>(set) & static_cast<uint16_t>(one)) != 0; }

struct Opinion {
  Compared differs = Compared::none;     // both read it, endpoints or offsets are not the same
  Compared unreadable = Compared::none;  // sofia-sip did not read it, or the guard kept the message from it
  bool agrees() const { return differs == Compared::none && unreadable == Compared::none; }
};

// Owns a scratch buffer. Not to be shared between threads.
class SecondOpinion {
 public:
  SecondOpinion();
  ~SecondOpinion();
  SecondOpinion(const SecondOpinion&) = delete;
  SecondOpinion& operator=(const SecondOpinion&) = delete;
  // `message` is what our scanner found in `bytes`. Compares host and port (text and position) of each header field in
  // `fields`: all values of Contact, Record-Route..., the top Via alone. Errors in other headers do not count.
  Opinion on(std::string_view bytes, const Message& message, Compared fields);

 private:
  struct Scratch;
  Opinion on_scratch(std::string_view bytes, const Message& message, Compared fields);
  Scratch* scratch_;
};

}  // namespace sipalg::sip
