// SPDX-License-Identifier: GPL-2.0-or-later
// Standard input, output and error of our programs: nobody else gets their places, and output that is lost is told.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

namespace sipalg {

// Before anything is opened. Started with one of them closed, the next file or socket would get its place, and what is
// printed. What stands there instead can not be used in that direction, which is told as a closed one would be.
inline void occupy_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

// At the end. What was printed waits in a buffer until here: only now is it known whether it could be written.
// `code` is what the program would end with.
inline int finish_output(const char* program, int code) {
  if (std::cout.flush()) return code;
  std::cerr << program << ": the output could not be written: " << std::strerror(errno) << "\n";
  return code == 0 ? 1 : code;
}

}  // namespace sipalg
