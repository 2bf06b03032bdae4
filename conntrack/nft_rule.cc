// SPDX-License-Identifier: GPL-2.0-or-later
// A rule, expression by expression.
#include <cstring>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFQUEUE.h>

#include "conntrack/nft.h"

namespace sipalg::nft {
namespace {

uint32_t register_of(unsigned word) { return NFT_REG32_00 + word; }

} // namespace

void Rule::Free::operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }

Rule::Rule(const std::string& table, const std::string& chain) : rule_(nftnl_rule_alloc()) {
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
}

nftnl_expr* Rule::add(const char* name) {
  nftnl_expr* e = nftnl_expr_alloc(name);
  nftnl_rule_add_expr(rule_.get(), e);
  return e;
}

Rule& Rule::meta(uint32_t key, unsigned reg) {
  nftnl_expr* e = add("meta");
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, register_of(reg));
  return *this;
}

Rule& Rule::ct(uint32_t key, int direction, unsigned reg) {
  nftnl_expr* e = add("ct");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
  if (direction >= 0) nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, static_cast<uint8_t>(direction));
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, register_of(reg));
  return *this;
}

static void set_payload(nftnl_expr* e, uint32_t base, uint32_t offset, uint32_t length, unsigned reg) {
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, length);
}

Rule& Rule::network(uint32_t offset, uint32_t length, unsigned reg) {
  set_payload(add("payload"), NFT_PAYLOAD_NETWORK_HEADER, offset, length, reg);
  return *this;
}

Rule& Rule::transport(uint32_t offset, uint32_t length, unsigned reg) {
  set_payload(add("payload"), NFT_PAYLOAD_TRANSPORT_HEADER, offset, length, reg);
  return *this;
}

static void set_comparison(nftnl_expr* e, uint32_t how, unsigned reg, std::span<const uint8_t> value) {
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, how);
  nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<uint32_t>(value.size()));
}

Rule& Rule::equals(unsigned reg, std::span<const uint8_t> value) {
  set_comparison(add("cmp"), NFT_CMP_EQ, reg, value);
  return *this;
}

Rule& Rule::differs(unsigned reg, std::span<const uint8_t> value) {
  set_comparison(add("cmp"), NFT_CMP_NEQ, reg, value);
  return *this;
}

Rule& Rule::equals_byte(unsigned reg, uint8_t value) { return equals(reg, {&value, 1}); }

Rule& Rule::equals_number(unsigned reg, uint32_t value) {
  std::array<uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return equals(reg, bytes);
}

static void set_mask(nftnl_expr* e, unsigned reg, const void* bits, uint32_t size) {
  constexpr uint32_t zero = 0;
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, bits, size);
  nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &zero, size);
}

Rule& Rule::mask(unsigned reg, uint32_t bits) {
  set_mask(add("bitwise"), reg, &bits, sizeof bits);
  return *this;
}

Rule& Rule::mask_byte(unsigned reg, uint8_t bits) {
  set_mask(add("bitwise"), reg, &bits, sizeof bits);
  return *this;
}

Rule& Rule::in_set(unsigned reg, const std::string& set, bool inverted) {
  nftnl_expr* e = add("lookup");
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, register_of(reg));
  nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  if (inverted) nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  return *this;
}

Rule& Rule::map(unsigned reg, const std::string& set, unsigned result) {
  nftnl_expr* e = add("lookup");
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, register_of(result));
  nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  return *this;
}

Rule& Rule::hash(unsigned reg, uint32_t length, uint32_t seed, uint32_t modulus, unsigned result) {
  nftnl_expr* e = add("hash");
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, length);
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, seed);
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, modulus);
  nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, register_of(result));
  return *this;
}

Rule& Rule::go_by(unsigned reg, const std::string& set) {
  nftnl_expr* e = add("lookup");
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, register_of(reg));
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  return *this;
}

Rule& Rule::dynset(uint32_t operation, unsigned key, std::optional<unsigned> data, const std::string& set,
                   uint64_t milliseconds) {
  nftnl_expr* e = add("dynset");
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, operation);
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, register_of(key));
  if (data) nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, register_of(*data));
  if (milliseconds != 0) nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, milliseconds);
  nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set.c_str());
  return *this;
}

Rule& Rule::nat(uint32_t type, Family family, unsigned address, unsigned port) {
  nftnl_expr* e = add("nat");
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, type);
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, family == Family::v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, register_of(address));
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, register_of(port));
  return *this;
}

Rule& Rule::timeout(const std::string& object) {
  nftnl_expr* e = add("objref");
  nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_CT_TIMEOUT);
  nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, object.c_str());
  return *this;
}

Rule& Rule::queue(uint16_t number, bool native, Unread unread) {
  if (native) {
    nftnl_expr* e = add("queue");
    nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_NUM, number);
    nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_TOTAL, 1);
    if (unread == Unread::passes) nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
    return *this;
  }
  nftnl_expr* e = add("target");
  nftnl_expr_set_str(e, NFTNL_EXPR_TG_NAME, "NFQUEUE");
  nftnl_expr_set_u32(e, NFTNL_EXPR_TG_REV, 3);
  auto* info = static_cast<xt_NFQ_info_v3*>(std::calloc(1, sizeof(xt_NFQ_info_v3))); // libnftnl frees it
  info->queuenum = number;
  info->queues_total = 1;
  info->flags = unread == Unread::passes ? NFQ_FLAG_BYPASS : 0;
  nftnl_expr_set(e, NFTNL_EXPR_TG_INFO, info, sizeof *info);
  return *this;
}

Rule& Rule::reset() {
  nftnl_expr* e = add("reject");
  nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
  return *this;
}

Rule& Rule::verdict(uint32_t code, const std::string& chain) {
  nftnl_expr* e = add("immediate");
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, code);
  if (!chain.empty()) nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  return *this;
}

void Rule::put(NetlinkBatch& batch) const {
  nlmsghdr* m = batch.begin_netfilter(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                                      NFPROTO_INET);
  nftnl_rule_nlmsg_build_payload(m, rule_.get());
  batch.end();
}

void put_rules_delete(NetlinkBatch& batch, const std::string& table, const std::string& chain) {
  nlmsghdr* m = batch.begin_netfilter(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELRULE, 0, NFPROTO_INET);
  mnl_attr_put_strz(m, NFTA_RULE_TABLE, table.c_str());
  mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain.c_str());
  batch.end();
}

} // namespace sipalg::nft
