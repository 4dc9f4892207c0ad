#pragma once
// The version of the library and of its wire protocol.

#include <string_view>

namespace etcdcoll {

inline constexpr std::string_view version = "0.1.0";

/// The number that each group's root key carries (docs/protocol.md). Members of different numbers refuse each other.
inline constexpr int protocol_version = 1;

} // namespace etcdcoll
