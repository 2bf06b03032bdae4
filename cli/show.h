// SPDX-License-Identifier: GPL-2.0-or-later
// How each answer of the daemon looks to people. The JSON is what the daemon sent.
#pragma once
#include <iosfwd>

#include "alg/control/json.h"

namespace sipalg {

void show_stats(const Json& answer, std::ostream& out);
void show_calls(const Json& answer, std::ostream& out);
void show_call(const Json& answer, std::ostream& out);
void show_doors(const Json& answer, std::ostream& out);
void show_registrations(const Json& answer, std::ostream& out);
void show_connections(const Json& answer, std::ostream& out);
void show_config(const Json& answer, std::ostream& out);
void show_ruleset(const Json& answer, std::ostream& out);
void show_cleared(const Json& answer, std::ostream& out);  // how many
void show_service(const Json& answer, std::ostream& out);

// --- pieces they share ---
std::string text_of(const Json& row, const char* key);      // strings as they are, null as "-", numbers as digits
std::string duration_of(const Json& row, const char* key);  // milliseconds; null as "-"
std::string list_of(const Json& row, const char* key);      // its elements with commas; "-" when there is none
std::string endpoint_of(const Json& row, const char* key);  // port 0 as "*"
void show_left_off(const Json& answer, std::ostream& out);

}  // namespace sipalg
