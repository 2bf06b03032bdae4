// SPDX-License-Identifier: GPL-2.0-or-later
// nftables objects as messages: tables, chains, sets, elements, timeouts.
#include "conntrack/nft.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif
#ifndef NFT_TABLE_F_PERSIST
#define NFT_TABLE_F_PERSIST 0x4
#endif

namespace sipalg::nft {
namespace {

template <auto free_function> struct Deleter {
  template <typename T> void operator()(T* object) const { free_function(object); }
};
using TablePtr = std::unique_ptr<nftnl_table, Deleter<nftnl_table_free>>;
using ChainPtr = std::unique_ptr<nftnl_chain, Deleter<nftnl_chain_free>>;
using SetPtr = std::unique_ptr<nftnl_set, Deleter<nftnl_set_free>>;
using UserDataPtr = std::unique_ptr<nftnl_udata_buf, Deleter<nftnl_udata_buf_free>>;
using ObjectPtr = std::unique_ptr<nftnl_obj, Deleter<nftnl_obj_free>>;

// A transaction reports what fails without being asked to; only questions ask for an ack.
nlmsghdr* begin(NetlinkBatch& batch, uint8_t type, uint16_t flags, std::size_t room = 4096) {
  return batch.begin_netfilter(NFNL_SUBSYS_NFTABLES, type, flags, NFPROTO_INET, 0, room);
}

SetPtr named_set(const std::string& table, const std::string& set) {
  SetPtr s(nftnl_set_alloc());
  nftnl_set_set_str(s.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(s.get(), NFTNL_SET_NAME, set.c_str());
  nftnl_set_set_u32(s.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  return s;
}

void add_element(nftnl_set& set, const Element& element) {
  nftnl_set_elem* e = nftnl_set_elem_alloc(); // the set owns it from here
  nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, element.key.data(), static_cast<uint32_t>(element.key.size()));
  if (!element.data.empty())
    nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, element.data.data(), static_cast<uint32_t>(element.data.size()));
  if (!element.go_to.empty()) {
    nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_VERDICT, static_cast<uint32_t>(NFT_GOTO));
    nftnl_set_elem_set_str(e, NFTNL_SET_ELEM_CHAIN, element.go_to.c_str());
  }
  if (element.interval_end) nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  if (element.timeout.count() != 0)
    nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, static_cast<uint64_t>(element.timeout.count()));
  nftnl_set_elem_add(&set, e);
}

// One message holds at most this many elements: their nest has a 16-bit length.
constexpr std::size_t elements_per_message = 256;

void put_element_messages(NetlinkBatch& batch, uint8_t type, uint16_t flags, const std::string& table,
                          const std::string& name, std::span<const Element> elements) {
  while (!elements.empty()) {
    const auto now = elements.first(std::min(elements.size(), elements_per_message));
    elements = elements.subspan(now.size());
    const SetPtr set = named_set(table, name);
    for (const Element& element : now) add_element(*set, element);
    nlmsghdr* m = begin(batch, type, flags, 512 + now.size() * 160);
    nftnl_set_elems_nlmsg_build_payload(m, set.get());
    batch.end();
  }
}

void put_batch_mark(NetlinkBatch& batch, uint16_t type) {
  nlmsghdr* m = batch.begin(type, 0, sizeof(nfgenmsg));
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(nfgenmsg)));
  header->nfgen_family = AF_UNSPEC;
  header->version = NFNETLINK_V0;
  header->res_id = htons(NFNL_SUBSYS_NFTABLES);
  batch.end();
}

} // namespace

uint32_t concat(std::initializer_list<Type> types) {
  uint32_t all = 0;
  for (const Type type : types) all = all << 6 | type;
  return all;
}

void begin_batch(NetlinkBatch& batch) { put_batch_mark(batch, NFNL_MSG_BATCH_BEGIN); }
void end_batch(NetlinkBatch& batch) { put_batch_mark(batch, NFNL_MSG_BATCH_END); }

// As nft writes it.
static void set_comment(nftnl_table* table, const std::string& comment) {
  const UserDataPtr data(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_TABLE_COMMENT, comment.c_str());
  nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

static std::string comment_of(const nftnl_table* table) {
  uint32_t size = 0;
  const void* data = nftnl_table_get_data(table, NFTNL_TABLE_USERDATA, &size);
  std::string comment;
  if (data == nullptr) return comment;
  const auto take = [](const nftnl_udata* field, void* into) {
    const auto* text = static_cast<const char*>(nftnl_udata_get(field));
    if (nftnl_udata_type(field) == NFTNL_UDATA_TABLE_COMMENT)
      static_cast<std::string*>(into)->assign(text, strnlen(text, nftnl_udata_len(field)));
    return 0;
  };
  static_cast<void>(nftnl_udata_parse(data, size, take, &comment));
  return comment;
}

void put_table(NetlinkBatch& batch, const std::string& table, const std::string& comment) {
  const TablePtr t(nftnl_table_alloc());
  nftnl_table_set_str(t.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_set_u32(t.get(), NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
  if (!comment.empty()) set_comment(t.get(), comment);
  nftnl_table_nlmsg_build_payload(begin(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL), t.get());
  batch.end();
}

void put_lasting_table(NetlinkBatch& batch, const std::string& table, Lasting lasting) {
  const TablePtr t(nftnl_table_alloc());
  nftnl_table_set_str(t.get(), NFTNL_TABLE_NAME, table.c_str());
  if (lasting == Lasting::owned) nftnl_table_set_u32(t.get(), NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST);
  nftnl_table_nlmsg_build_payload(begin(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE), t.get());
  batch.end();
}

static void put_named_table(NetlinkBatch& batch, uint8_t type, uint16_t flags, const std::string& table) {
  const TablePtr t(nftnl_table_alloc());
  nftnl_table_set_str(t.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_nlmsg_build_payload(begin(batch, type, flags), t.get());
  batch.end();
}

void put_table_get(NetlinkBatch& batch, const std::string& table) { put_named_table(batch, NFT_MSG_GETTABLE, NLM_F_ACK, table); }
void put_table_delete(NetlinkBatch& batch, const std::string& table) { put_named_table(batch, NFT_MSG_DELTABLE, 0, table); }

void put_tables_get(NetlinkBatch& batch) {
  begin(batch, NFT_MSG_GETTABLE, NLM_F_ACK);
  batch.end();
}

TableReply parse_table(const nlmsghdr& message) {
  const TablePtr t(nftnl_table_alloc());
  if (nftnl_table_nlmsg_parse(&message, t.get()) < 0 || !nftnl_table_is_set(t.get(), NFTNL_TABLE_NAME)) return {};
  return {nftnl_table_get_str(t.get(), NFTNL_TABLE_NAME), comment_of(t.get()), nftnl_table_get_u32(t.get(), NFTNL_TABLE_OWNER)};
}

void put_chain(NetlinkBatch& batch, const std::string& table, const std::string& chain, const Hook* hook) {
  const ChainPtr c(nftnl_chain_alloc());
  nftnl_chain_set_str(c.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(c.get(), NFTNL_CHAIN_NAME, chain.c_str());
  if (hook != nullptr) {
    nftnl_chain_set_u32(c.get(), NFTNL_CHAIN_HOOKNUM, hook->number);
    nftnl_chain_set_s32(c.get(), NFTNL_CHAIN_PRIO, hook->priority);
    nftnl_chain_set_str(c.get(), NFTNL_CHAIN_TYPE, hook->type);
    nftnl_chain_set_u32(c.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nftnl_chain_nlmsg_build_payload(begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE), c.get());
  batch.end();
}

void put_set(NetlinkBatch& batch, const std::string& table, const SetSpec& spec) {
  const SetPtr set = named_set(table, spec.name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, spec.id);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, spec.flags);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, spec.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, spec.key_length);
  if ((spec.flags & NFT_SET_MAP) != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, spec.data_type);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, spec.data_length);
  }
  if (spec.size != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, spec.size);
  nftnl_set_nlmsg_build_payload(begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE), set.get());
  batch.end();
}

void append(Bytes& bytes, const Address& address) {
  bytes.insert(bytes.end(), address.bytes().begin(), address.bytes().end());
}

void append(Bytes& bytes, uint16_t port) {
  bytes.insert(bytes.end(), {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port & 0xff), 0, 0});
}

void append(Bytes& bytes, const Endpoint& endpoint) {
  append(bytes, endpoint.address);
  append(bytes, endpoint.port);
}

void put_elements(NetlinkBatch& batch, const std::string& table, const std::string& set,
                  std::span<const Element> elements) {
  put_element_messages(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, elements);
}

void put_elements_delete(NetlinkBatch& batch, const std::string& table, const std::string& set,
                         std::span<const Element> elements) {
  put_element_messages(batch, NFT_MSG_DELSETELEM, 0, table, set, elements);
}

void put_flush(NetlinkBatch& batch, const std::string& table, const std::string& set) {
  nftnl_set_elems_nlmsg_build_payload(begin(batch, NFT_MSG_DELSETELEM, 0), named_set(table, set).get());
  batch.end();
}

void put_element_get(NetlinkBatch& batch, const std::string& table, const std::string& set, const Bytes& key) {
  const Element element{key, {}, false};
  put_element_messages(batch, NFT_MSG_GETSETELEM, NLM_F_ACK, table, set, {&element, 1});
}

Bytes element_data(const nlmsghdr& answer) {
  const SetPtr set(nftnl_set_alloc());
  if (nftnl_set_elems_nlmsg_parse(&answer, set.get()) < 0) return {};
  const std::unique_ptr<nftnl_set_elems_iter, Deleter<nftnl_set_elems_iter_destroy>> elements(
      nftnl_set_elems_iter_create(set.get()));
  const nftnl_set_elem* element = nftnl_set_elems_iter_next(elements.get());
  if (element == nullptr || !nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_DATA)) return {};
  uint32_t length = 0;
  const auto* data = static_cast<const uint8_t*>(
      nftnl_set_elem_get(const_cast<nftnl_set_elem*>(element), NFTNL_SET_ELEM_DATA, &length));
  return data == nullptr ? Bytes{} : Bytes(data, data + length);
}

SetHead::SetHead(const std::string& table, const std::string& set) {
  nlmsghdr* m = begin(head_, NFT_MSG_NEWSETELEM, 0);
  mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table.c_str());
  mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set.c_str());
  head_.end();
}

Key& Key::append(const Address& address) {
  const auto bytes = address.bytes();
  std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += bytes.size();
  return *this;
}

Key& Key::append(const Endpoint& endpoint) {
  append(endpoint.address);
  bytes_[size_] = static_cast<uint8_t>(endpoint.port >> 8);
  bytes_[size_ + 1] = static_cast<uint8_t>(endpoint.port & 0xff);
  size_ += 4;
  return *this;
}

namespace {

constexpr std::size_t attribute_head = sizeof(nlattr);

uint8_t* write_head(uint8_t* place, int type, std::size_t payload) {
  const nlattr head{static_cast<uint16_t>(attribute_head + payload), static_cast<uint16_t>(type)};
  std::memcpy(place, &head, sizeof head);
  return place + sizeof head;
}

// The nest of a key or of data, whose value is all there is in it.
std::size_t size_of(const Key& key) { return 2 * attribute_head + key.bytes().size(); }
uint8_t* write(uint8_t* place, int type, const Key& key) {
  const auto bytes = key.bytes();
  place = write_head(place, type | NLA_F_NESTED, attribute_head + bytes.size());
  place = write_head(place, NFTA_DATA_VALUE, bytes.size());
  return std::copy(bytes.begin(), bytes.end(), place);
}

} // namespace

void ElementMessages::begin(const SetHead& set) {
  batch_.append(set.bytes());
  const bool adds = action_ == Action::add;
  batch_.last()->nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | (adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM));
  batch_.last()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | (adds ? NLM_F_CREATE | NLM_F_EXCL : 0));
  write_head(batch_.extend(attribute_head), NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, 0);
  set_ = &set;
  count_ = 0;
}

void ElementMessages::add(const SetHead& set, const Key& key, const Key* data) {
  if (set_ != &set || count_ == elements_per_message) end(), begin(set);
  const std::size_t size = size_of(key) + (data != nullptr ? size_of(*data) : 0);
  uint8_t* place = write_head(batch_.extend(attribute_head + size), NFTA_LIST_ELEM | NLA_F_NESTED, size);
  place = write(place, NFTA_SET_ELEM_KEY, key);
  if (data != nullptr) write(place, NFTA_SET_ELEM_DATA, *data);
  ++count_;
}

// The list's length is known now.
void ElementMessages::end() {
  if (set_ == nullptr) return;
  const std::size_t head = set_->bytes().size();
  auto* list = static_cast<uint8_t*>(static_cast<void*>(batch_.last())) + head;
  write_head(list, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, batch_.last()->nlmsg_len - head - attribute_head);
  set_ = nullptr;
}

void put_udp_timeout(NetlinkBatch& batch, const std::string& table, const std::string& name, uint32_t unreplied,
                     uint32_t replied) {
  const ObjectPtr object(nftnl_obj_alloc());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_FAMILY, NFPROTO_INET);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, table.c_str());
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_CT_TIMEOUT);
  nftnl_obj_set_u8(object.get(), NFTNL_OBJ_CT_TIMEOUT_L4PROTO, IPPROTO_UDP);
  const std::array<uint32_t, 2> times{unreplied, replied};
  nftnl_obj_set_data(object.get(), NFTNL_OBJ_CT_TIMEOUT_ARRAY, times.data(), sizeof times);
  nftnl_obj_nlmsg_build_payload(begin(batch, NFT_MSG_NEWOBJ, NLM_F_CREATE), object.get());
  batch.end();
}

} // namespace sipalg::nft
