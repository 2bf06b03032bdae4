// SPDX-License-Identifier: GPL-2.0-or-later
// See births.h.
#include "conntrack/births.h"

#include <array>
#include <cstring>
#include <linux/netlink.h>

#include "conntrack/ruleset.h"

namespace sipalg {
namespace {

Birth parse_birth(Protocol protocol, const nft::Bytes& source, const nft::Bytes& destination) {
  const std::size_t length = source.size() - 8; // address, port padded to 4, third field
  const auto endpoint = [&](const nft::Bytes& data) {
    return Endpoint{Address::from_bytes({data.data(), length}),
                    static_cast<uint16_t>(data[length] << 8 | data[length + 1])};
  };
  Birth birth{{protocol, endpoint(source), endpoint(destination)}, 0, 0};
  std::memcpy(&birth.zone, &source[length + 4], sizeof birth.zone);
  std::memcpy(&birth.status, &destination[length + 4], sizeof birth.status);
  return birth;
}

std::size_t birth_length(Family family) { return (family == Family::v6 ? 16U : 4U) + 8U; }

} // namespace

Births::Births(std::string table) : table_(std::move(table)), socket_(NETLINK_NETFILTER) {}

std::expected<Birth, std::error_code> Births::find(const Tuple& header) {
  const ruleset::Slot slot{header.protocol, header.source.address.family()};
  nft::Bytes key = ruleset::endpoint_key(header.source);
  nft::append(key, header.destination);
  NetlinkBatch batch;
  nft::put_element_get(batch, table_, ruleset::birth_sources(slot), key);
  nft::put_element_get(batch, table_, ruleset::birth_destinations(slot), key);
  std::array<nft::Bytes, 2> data;
  const auto results =
      socket_.exchange(batch, [&](std::size_t i, const nlmsghdr& m) { data[i] = nft::element_data(m); });
  if (const auto error = first_error(results)) return std::unexpected(error);
  for (const auto& half : data)
    if (half.size() != birth_length(slot.family)) return std::unexpected(errno_code(ENOENT));
  return parse_birth(header.protocol, data[0], data[1]);
}

} // namespace sipalg
