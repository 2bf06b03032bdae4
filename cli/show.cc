// SPDX-License-Identifier: GPL-2.0-or-later
// The pieces the show commands share, and the two that only print a text.
#include "cli/show.h"

#include <ostream>

#include "cli/text_table.h"

namespace sipalg {

std::string text_of(const Json& row, const char* key) {
  const auto it = row.find(key);
  if (it == row.end() || it->is_null()) return "-";
  if (!it->is_string()) return to_text(*it);
  return it->get_ref<const std::string&>().empty() ? "-" : it->get<std::string>();
}

std::string list_of(const Json& row, const char* key) {
  std::string out;
  for (const Json& item : row.value(key, Json::array()))
    out += (out.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : to_text(item));
  return out.empty() ? "-" : out;
}

std::string duration_of(const Json& row, const char* key) {
  const auto it = row.find(key);
  return it == row.end() || !it->is_number() ? "-" : duration_text(it->get<long long>());
}

std::string endpoint_of(const Json& row, const char* key) {
  std::string text = text_of(row, key);
  if (text.ends_with(":0")) text.back() = '*';
  return text;
}

void show_left_off(const Json& answer, std::ostream& out) {
  if (answer.contains("left_off")) out << "... and " << text_of(answer, "left_off") << " more\n";
}

void show_ruleset(const Json& answer, std::ostream& out) { out << answer.value("ruleset", ""); }

void show_cleared(const Json& answer, std::ostream& out) { out << "cleared: " << text_of(answer, "cleared") << "\n"; }

}  // namespace sipalg
