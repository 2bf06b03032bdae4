// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/text_table.h"

#include <algorithm>
#include <ostream>

namespace sipalg {

void TextTable::print(std::ostream& out) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    out << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  }
}

std::string duration_text(long long milliseconds) {
  const long long s = milliseconds / 1000;
  if (s >= 86'400) return std::to_string(s / 86'400) + "d " + std::to_string(s % 86'400 / 3600) + "h";
  if (s >= 3600) return std::to_string(s / 3600) + "h " + std::to_string(s % 3600 / 60) + "m";
  if (s >= 60) return std::to_string(s / 60) + "m " + std::to_string(s % 60) + "s";
  return std::to_string(s) + "s";
}

}  // namespace sipalg
