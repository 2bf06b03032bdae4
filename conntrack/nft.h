// SPDX-License-Identifier: GPL-2.0-or-later
// nftables objects as messages: RAII over libnftnl, and a rule written from left to right.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alg/base/endpoint.h"
#include "conntrack/netlink.h"

struct nftnl_expr;
struct nftnl_rule;

namespace sipalg::nft {

// Data types as nft numbers them; they only matter to what `nft list` prints.
enum Type : uint32_t { ipv4_address = 7, ipv6_address = 8, service = 13, mark = 19 };
// The fields of a concatenation, each in registers of its own.
uint32_t concat(std::initializer_list<Type> types);

// A transaction: begin_batch(), objects, end_batch(), then NetlinkSocket::exchange(batch, {}, everything).
void begin_batch(NetlinkBatch& batch);
void end_batch(NetlinkBatch& batch);

// Flag owner. `comment`: kept by the kernel beside it, shown by nft; empty: none.
void put_table(NetlinkBatch& batch, const std::string& table, const std::string& comment = {});
enum class Lasting : uint8_t { anybodys, owned };
// Stays when the process ends; may exist already. `owned` (kernel 6.9): until then nobody else can change or flush it.
void put_lasting_table(NetlinkBatch& batch, const std::string& table, Lasting lasting);
void put_table_get(NetlinkBatch& batch, const std::string& table); // ENOENT: it is not there
void put_tables_get(NetlinkBatch& batch);                          // for a dump: all of family inet
struct TableReply {
  std::string name, comment;
  uint32_t owner = 0; // netlink port of the socket it will end with; 0: none
};
TableReply parse_table(const nlmsghdr& message);
void put_table_delete(NetlinkBatch& batch, const std::string& table);
struct Hook {
  uint32_t number = 0;
  int32_t priority = 0;
  const char* type = "filter";
};
void put_chain(NetlinkBatch& batch, const std::string& table, const std::string& chain, const Hook* hook = nullptr);

void put_rules_delete(NetlinkBatch& batch, const std::string& table, const std::string& chain); // all of the chain

struct SetSpec {
  std::string name;
  uint32_t id = 0;    // unique in the transaction
  uint32_t flags = 0; // NFT_SET_*
  uint32_t key_type = 0, key_length = 0;
  uint32_t data_type = 0, data_length = 0;
  uint32_t size = 0;
};
void put_set(NetlinkBatch& batch, const std::string& table, const SetSpec& set);

// Keys and data: fields padded to four bytes each.
using Bytes = std::vector<uint8_t>;
void append(Bytes& bytes, const Address& address);
void append(Bytes& bytes, uint16_t port);
void append(Bytes& bytes, const Endpoint& endpoint);

struct Element {
  Bytes key;
  Bytes data;
  bool interval_end = false;
  std::string go_to{}; // a chain, in a map of verdicts; empty: none
  std::chrono::milliseconds timeout{0}; // 0: none
};
void put_elements(NetlinkBatch& batch, const std::string& table, const std::string& set,
                  std::span<const Element> elements);
void put_elements_delete(NetlinkBatch& batch, const std::string& table, const std::string& set,
                         std::span<const Element> elements);
void put_flush(NetlinkBatch& batch, const std::string& table, const std::string& set);
void put_element_get(NetlinkBatch& batch, const std::string& table, const std::string& set, const Bytes& key);
Bytes element_data(const nlmsghdr& answer); // empty when it has none

// The same for elements that come and go with calls: without libnftnl's objects. The head of a set's messages is made
// once, a Key holds up to 3 fields.
class SetHead {
 public:
  SetHead(const std::string& table, const std::string& set);
  std::span<const uint8_t> bytes() const { return head_.message(0); }

 private:
  NetlinkBatch head_;
};
class Key {
 public:
  Key& append(const Address& address);
  Key& append(const Endpoint& endpoint);
  std::span<const uint8_t> bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, 16 + 4 + 16> bytes_{};
  std::size_t size_ = 0;
};
// Messages about elements of one set; several when there are many. Between the first add() and end() the batch takes
// nothing else.
class ElementMessages {
 public:
  enum class Action : uint8_t {
    add,    // EEXIST: it is there, whatever its data
    remove, // ENOENT: it is not there
  };
  ElementMessages(NetlinkBatch& batch, Action action) : batch_(batch), action_(action) {}
  void add(const SetHead& set, const Key& key, const Key* data = nullptr);
  void end(); // closes the message last begun; another set does it, too

 private:
  void begin(const SetHead& set);
  NetlinkBatch& batch_;
  Action action_;
  const SetHead* set_ = nullptr;
  std::size_t count_ = 0;
};

void put_udp_timeout(NetlinkBatch& batch, const std::string& table, const std::string& name, uint32_t unreplied,
                     uint32_t replied);

// A rule; every member adds one expression. Registers are counted in 32-bit words, 0 to 15.
class Rule {
 public:
  Rule(const std::string& table, const std::string& chain);
  Rule& meta(uint32_t key, unsigned reg);
  Rule& ct(uint32_t key, int direction, unsigned reg);             // direction -1: none
  Rule& network(uint32_t offset, uint32_t length, unsigned reg);   // bytes of the IP header
  Rule& transport(uint32_t offset, uint32_t length, unsigned reg); // bytes of the UDP or TCP header
  Rule& equals(unsigned reg, std::span<const uint8_t> value);
  Rule& differs(unsigned reg, std::span<const uint8_t> value);
  Rule& equals_byte(unsigned reg, uint8_t value);
  Rule& equals_number(unsigned reg, uint32_t value); // host order
  Rule& mask(unsigned reg, uint32_t bits); // host order
  Rule& mask_byte(unsigned reg, uint8_t bits);
  Rule& in_set(unsigned reg, const std::string& set, bool inverted = false);
  Rule& map(unsigned reg, const std::string& set, unsigned result);
  Rule& hash(unsigned reg, uint32_t length, uint32_t seed, uint32_t modulus, unsigned result); // jhash of `length` bytes
  Rule& go_by(unsigned reg, const std::string& set); // a map of verdicts
  Rule& dynset(uint32_t operation, unsigned key, std::optional<unsigned> data, const std::string& set,
               uint64_t milliseconds);
  Rule& nat(uint32_t type, Family family, unsigned address, unsigned port);
  Rule& timeout(const std::string& object);
  enum class Unread : uint8_t { passes, is_dropped }; // a packet when nobody reads the queue
  Rule& queue(uint16_t number, bool native, Unread unread = Unread::passes);
  Rule& reset(); // reject with a TCP RST
  Rule& verdict(uint32_t code, const std::string& chain = {});
  void put(NetlinkBatch& batch) const;

 private:
  nftnl_expr* add(const char* name);
  struct Free {
    void operator()(nftnl_rule* rule) const;
  };
  std::unique_ptr<nftnl_rule, Free> rule_;
};

} // namespace sipalg::nft
