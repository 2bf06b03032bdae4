// SPDX-License-Identifier: GPL-2.0-or-later
// The journal gets every field by its name, stderr gets them behind the text.
#include "alg/daemon/log.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace sipalg {
namespace {

// systemd names the device and inode of the journal's stream; somebody may have redirected stderr since
// (systemd.exec(5), $JOURNAL_STREAM).
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat about {};
  if (stream == nullptr || fstat(STDERR_FILENO, &about) != 0) return false;
  return stream == std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
}

bool send_to_journal(LogLevel level, const std::string& text, const Log::Fields& fields) {
  std::vector<std::string> lines{"MESSAGE=" + text, "PRIORITY=" + std::to_string(static_cast<int>(level)),
                                 "SYSLOG_IDENTIFIER=sipalgd"};
  for (const auto& [name, value] : fields) lines.push_back(std::string(name) + "=" + value);
  std::vector<iovec> pieces;
  for (std::string& line : lines) pieces.push_back({line.data(), line.size()});
  return sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size())) == 0;
}

// Peers write into texts and values: what could pass for the next field stands in quotes, and no quote within them.
std::string quoted(const std::string& text, const char* needs_quotes) {
  if (text.find_first_of(needs_quotes) == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\\x22" : std::string(1, c);
  return out + '"';
}

void send_to_stderr(LogLevel level, const std::string& text, const Log::Fields& fields) {
  std::string line = level <= LogLevel::warning ? (level == LogLevel::error ? "error: " : "warning: ") : "";
  line += fields.empty() ? text : quoted(text, "=\"");
  for (const auto& [name, value] : fields) line += " " + std::string(name) + "=" + quoted(value, " =\"");
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());  // nowhere left to complain
}

}  // namespace

Log::Log() : to_journal_(stderr_is_journal()) {}

void Log::write(LogLevel level, const std::string& text, const Fields& fields) const {
  if (!has(level)) return;
  if (!to_journal_ || !send_to_journal(level, text, fields)) send_to_stderr(level, text, fields);
}

}  // namespace sipalg
