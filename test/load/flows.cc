// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/flows.h"

#include "test/load/proxied.h"

#include <map>
#include <stdexcept>

namespace sipalg::load {

std::optional<Expect> parse_expect(std::string_view word) {
  if (word == "same") return Expect::same;
  if (word == "mapped") return Expect::mapped;
  if (word == "padded") return Expect::padded;
  if (word == "proxied") return Expect::proxied;
  return std::nullopt;
}

Flows::Flows(const Place& place, const Style& style, Expect expect) : place_(place), expect_(expect), texts_(place.flows) {
  if (place.inside_hosts.empty() || place.inside_hosts.size() != place.mapped_hosts.size())
    throw std::invalid_argument("as many mapped hosts are needed as inside hosts, and at least one");
  for (std::size_t flow = 0; flow < place.flows; ++flow) {
    FlowTexts& texts = texts_[flow];
    const std::size_t host = flow % place.inside_hosts.size();
    const auto port = static_cast<uint16_t>(place.first_port + flow);
    texts.inside = {place.inside_hosts[host], port, place.outside_host, place.outside_port};
    texts.outside = {place.mapped_hosts[host], port, place.outside_host, place.outside_port};
    for (std::size_t i = 0; i < kinds; ++i) {
      const auto kind = static_cast<Kind>(i);
      const Ends& writer = leaves_inside(kind) ? texts.inside : texts.outside;
      const Ends& reader = leaves_inside(kind) ? texts.outside : texts.inside;
      texts.written[i] = Template(marked_text(kind, style, writer, writer));
      const Template mapped(marked_text(kind, style, writer, reader));
      texts.due[i] = texts.written[i];
      if (expect == Expect::mapped) texts.due[i] = mapped;
      if (expect == Expect::padded) texts.due[i] = texts.written[i].resized(mapped.size());
    }
  }
}

std::optional<std::size_t> Flows::flow_of(std::string_view host, uint16_t port) const {
  const std::size_t flow = static_cast<std::size_t>(port - place_.first_port);
  if (port < place_.first_port || flow >= size() || texts_[flow].outside.inside_host != host) return std::nullopt;
  return flow;
}

std::pair<std::string, uint16_t> Flows::inside_target() const {
  return {place_.edge_inside.empty() ? place_.outside_host : place_.edge_inside, place_.outside_port};
}

std::pair<std::string, uint16_t> Flows::outside_target(std::size_t flow) const {
  if (!place_.edge_outside.empty()) return {place_.edge_outside, place_.outside_port};
  return {texts_[flow].outside.inside_host, texts_[flow].outside.inside_port};
}

std::optional<Kind> Flows::recognise(std::size_t flow, std::string_view message, bool at_outside, Values& values) const {
  if (expect_ == Expect::proxied) return read_proxied(message, at_outside, at_outside ? place_.edge_outside : place_.edge_inside, values);
  for (std::size_t i = 0; i < kinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    if (leaves_inside(kind) != at_outside || !texts_[flow].due[i].read(message, values)) continue;
    if (!has_sdp(kind)) return kind;
    const uint64_t media = at(values, Slot::media), own = media_port(at(values, Slot::call), hosts());
    // a mapped port may be another one, but a pair stays a pair (RFC 3605)
    const bool may_differ = expect_ == Expect::mapped && at_outside;
    if (may_differ ? media >= 1024 && media <= 65535 && media % 2 == 0 : media == own) return kind;
  }
  return std::nullopt;
}

std::string Flows::lengths(Kind like) const {
  std::map<std::string, std::size_t> known;
  for (const FlowTexts& texts : texts_)
    for (std::size_t i = 0; i < kinds; ++i) {
      const auto kind = static_cast<Kind>(i);
      if (outside_of_calls(kind) != outside_of_calls(like)) continue;
      const auto key = std::string(texts.written[i].beginning(3)) + " " + std::to_string(texts.written[i].size());
      const auto [place, is_new] = known.emplace(key, texts.due[i].size());
      if (!is_new && place->second != texts.due[i].size())
        throw std::logic_error("two messages that begin with " + key + " end differently");
    }
  std::string list;
  for (const auto& [key, size] : known) list += key + " " + std::to_string(size) + "\n";
  return list;
}

}  // namespace sipalg::load
