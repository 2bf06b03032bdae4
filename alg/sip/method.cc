// SPDX-License-Identifier: GPL-2.0-or-later
// Method names, both ways. Methods are case-sensitive (RFC 3261 section 7.1).
#include "alg/sip/method.h"

#include <array>
#include <utility>

namespace sipalg::sip {
namespace {

using Named = std::pair<Method, std::string_view>;
constexpr std::array<Named, 14> methods{{
    {Method::invite, "INVITE"},       {Method::ack, "ACK"},          {Method::bye, "BYE"},
    {Method::cancel, "CANCEL"},       {Method::registration, "REGISTER"}, {Method::options, "OPTIONS"},
    {Method::prack, "PRACK"},         {Method::subscribe, "SUBSCRIBE"},   {Method::notify, "NOTIFY"},
    {Method::publish, "PUBLISH"},     {Method::info, "INFO"},        {Method::refer, "REFER"},
    {Method::message, "MESSAGE"},     {Method::update, "UPDATE"},
}};

constexpr std::size_t places = 32;
constexpr std::size_t place_of(std::string_view name) {
  return (name.size() + static_cast<unsigned char>(name[0]) * 3U) % places;
}

// Which method can stand at a place: one at most.
constexpr auto candidates = [] {
  std::array<Named, places> table{};
  for (const Named& named : methods) {
    Named& place = table[place_of(named.second)];
    if (!place.second.empty()) throw "two methods in one place";
    place = named;
  }
  return table;
}();

}  // namespace

std::string_view name_of(Method method) {
  for (const auto& [value, name] : methods)
    if (value == method) return name;
  return "OTHER";
}

Method method_of(std::string_view text) noexcept {
  if (text.empty()) return Method::other;
  const Named& one = candidates[place_of(text)];
  return one.second == text ? one.first : Method::other;
}

}  // namespace sipalg::sip
