#pragma once
// What etcd takes in one request, by default.

#include <cstddef>
#include <string_view>

namespace etcdcoll::etcd::detail {

inline constexpr std::size_t request_limit = 1'572'800; // etcd's --max-request-bytes less the framing
inline constexpr std::size_t operations_limit = 128;

/// Of one put or delete, encoded, at most.
inline std::size_t size_of_write(std::string_view key, std::string_view value, bool leased = false) {
    return key.size() + value.size() + (leased ? 28 : 16);
}

} // namespace etcdcoll::etcd::detail
