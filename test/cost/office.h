// SPDX-License-Identifier: GPL-2.0-or-later
// The router whose messages are looked at: masquerade between 10.0.0.0/24 and 203.0.113.1.
#pragma once
#include "alg/rewrite/policy.h"

namespace sipalg::load {

inline Policy office_policy() {
  Policy policy;
  policy.inside = {*parse_network("10.0.0.0/24")};
  policy.router = {*parse_address("10.0.0.1"), *parse_address("203.0.113.1")};
  return policy;
}

}  // namespace sipalg::load
