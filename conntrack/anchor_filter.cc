// SPDX-License-Identifier: GPL-2.0-or-later
// Wakes the keeper for its own anchors only: a socket filter of libnetfilter_conntrack.
#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <memory>
#include <system_error>

#include "conntrack/ctnetlink.h"

namespace sipalg {
namespace {

struct Destroy {
  void operator()(nfct_filter* filter) const { nfct_filter_destroy(filter); }
};

} // namespace

// The filter looks into the first attribute: CTA_TUPLE_ORIG of a conntrack, CTA_EXPECT_MASTER of an expectation. Both
// are number 1 and built alike, so it does for both.
void attach_anchor_filter(int fd) {
  const std::unique_ptr<nfct_filter, Destroy> filter(nfct_filter_create());
  const nfct_filter_ipv4 v4{0x7f4d0000, 0xffff0000}; // 127.77.0.0/16, host order
  nfct_filter_add_attr(filter.get(), NFCT_FILTER_SRC_IPV4, &v4);
  const nfct_filter_ipv6 v6{{0x01000000, 0, 0, 0x00010000}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffff0000}};
  nfct_filter_add_attr(filter.get(), NFCT_FILTER_SRC_IPV6, &v6);
  if (nfct_filter_attach(fd, filter.get()) < 0) throw std::system_error(errno_code(errno), "conntrack event filter");
}

} // namespace sipalg
