#pragma once
// Which keys a range has. No I/O.

#include <etcdcoll/etcd/types.hpp>

#include <string_view>

namespace etcdcoll::detail {

/// In byte order, as etcd compares.
inline bool covers(const etcd::key_range& range, std::string_view key) noexcept {
    if (range.end.empty()) return key == range.key;
    const bool open = range.end.size() == 1 && range.end.front() == '\0';
    return key >= range.key && (open || key < range.end);
}

} // namespace etcdcoll::detail
