// SPDX-License-Identifier: GPL-2.0-or-later
// Aligned columns for people.
#pragma once
#include <iosfwd>
#include <string>
#include <vector>

namespace sipalg {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> heads) : rows_{std::move(heads)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "3d 4h", "59m 12s", "7s".
std::string duration_text(long long milliseconds);

}  // namespace sipalg
