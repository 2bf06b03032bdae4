// SPDX-License-Identifier: GPL-2.0-or-later
// One line of log with fields: to the journal when it reads us, else to stderr.
#pragma once
#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alg/daemon/config.h"

namespace sipalg {

class Log {
 public:
  // Names as the journal wants them: CALL_ID, METHOD, DIRECTION, REASON. Values from peers must be escaped already.
  using Field = std::pair<std::string_view, std::string>;
  using Fields = std::vector<Field>;

  Log();  // finds out whether the journal reads stderr
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  bool has(LogLevel level) const { return level <= level_.load(std::memory_order_relaxed); }

  void error(const std::string& text, const Fields& fields = {}) const { write(LogLevel::error, text, fields); }
  void warning(const std::string& text, const Fields& fields = {}) const { write(LogLevel::warning, text, fields); }
  void info(const std::string& text, const Fields& fields = {}) const { write(LogLevel::info, text, fields); }
  void debug(const std::string& text, const Fields& fields = {}) const { write(LogLevel::debug, text, fields); }

 private:
  void write(LogLevel level, const std::string& text, const Fields& fields) const;
  std::atomic<LogLevel> level_ = LogLevel::info;  // workers read it
  bool to_journal_ = false;
};

}  // namespace sipalg
