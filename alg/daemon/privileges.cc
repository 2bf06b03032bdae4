// SPDX-License-Identifier: GPL-2.0-or-later
// Capabilities by the system calls themselves: two calls do not want another library.
#include "alg/daemon/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace sipalg {
namespace {

constexpr uint32_t net_admin = 1U << CAP_NET_ADMIN, nice = 1U << CAP_SYS_NICE;
static_assert(CAP_NET_ADMIN < 32 && CAP_SYS_NICE < 32);

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
};

Capabilities current() {
  Capabilities now;
  syscall(SYS_capget, &now.header, now.data.data());
  return now;
}

bool are(const Capabilities& now, uint32_t wanted) { return now.data[0].permitted == wanted && now.data[1].permitted == 0; }

void check(long result, const std::string& what) {
  if (result < 0) throw std::runtime_error(what + ": " + std::strerror(errno));
}

void make_directory(const std::string& socket, const passwd& user) {
  const std::string directory = socket.substr(0, socket.rfind('/'));
  if (directory.empty() || mkdir(directory.c_str(), 0755) != 0) return;  // it is there, or the socket will tell
  check(chown(directory.c_str(), user.pw_uid, user.pw_gid), "giving " + directory + " to " + user.pw_name);
}

// Needs CAP_SETPCAP in effect: before the user changes. Without it (systemd did all this) nothing is left to drop.
void drop_bounding_set(uint32_t wanted) {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (capability >= 32 || (wanted >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability);
}

void keep(uint32_t capabilities) {
  Capabilities wanted;
  wanted.data[0].effective = wanted.data[0].permitted = capabilities;
  drop_bounding_set(capabilities);
  if (!are(current(), capabilities))  // under systemd they are, and its filter allows no capset()
    check(syscall(SYS_capset, &wanted.header, wanted.data.data()), "keeping CAP_NET_ADMIN alone");
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

}  // namespace

bool has_net_admin() { return (current().data[0].effective & net_admin) != 0; }

bool allow_real_time() {
  const rlimit lowest{1, 1};
  return setrlimit(RLIMIT_RTPRIO, &lowest) == 0;
}

void keep_net_admin_alone() { keep(net_admin); }
void keep_net_admin_and_nice() { keep(net_admin | (current().data[0].permitted & nice)); }

void become_user(const std::string& user, const std::string& socket) {
  errno = 0;
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) throw std::runtime_error("there is no user '" + user + "'; `systemd-sysusers` makes it, or `useradd -r`");
  make_directory(socket, *entry);
  drop_bounding_set(net_admin);
  check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keeping capabilities");
  check(initgroups(entry->pw_name, entry->pw_gid), "setting the groups of " + user);
  check(setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid), "becoming group of " + user);
  check(setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid), "becoming " + user);
  keep_net_admin_alone();
}

}  // namespace sipalg
