// SPDX-License-Identifier: GPL-2.0-or-later
// Header lines of a message as text, for parties that copy them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sipalg::test {

std::string first_line_of(const std::string& message);
std::vector<std::string> values_of(const std::string& message, std::string_view header);  // one line, one value
std::string value_of(const std::string& message, std::string_view header);                // the first; empty: none
std::string uri_in(const std::string& name_addr);    // between < and >
std::string host_port_in(std::string_view uri);      // "10.0.0.2:5060", default port filled in; empty: a name
std::string host_of(std::string_view host_port);     // without the port
std::string without_tag(const std::string& name_addr);
std::string lines_of(std::string_view header, const std::vector<std::string>& values);
std::string without_first(const std::string& message, std::string_view header);
std::string with_first(const std::string& message, std::string_view line);  // as the first header line

}  // namespace sipalg::test
