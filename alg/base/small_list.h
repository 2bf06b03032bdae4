// SPDX-License-Identifier: GPL-2.0-or-later
// A list that needs no allocation until it has more than `n` items: for what one message gathers.
#pragma once
#include <boost/container/small_vector.hpp>

namespace sipalg {

template <typename T, std::size_t n> using SmallList = boost::container::small_vector<T, n>;
// Any of them, for those who fill it.
template <typename T> using AnySmallList = boost::container::small_vector_base<T>;

}  // namespace sipalg
