#pragma once
// Owned and borrowed byte blocks, and their conversion from and to the std::string that etcd's keys and values are.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll {

using bytes = std::vector<std::byte>;

inline std::string_view as_string_view(std::span<const std::byte> block) noexcept {
    return {reinterpret_cast<const char*>(block.data()), block.size()};
}

inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline bytes to_bytes(std::string_view text) {
    const auto view = as_bytes(text);
    return {view.begin(), view.end()};
}

} // namespace etcdcoll
