#pragma once

#include <etcdcoll/detail/base64.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

namespace etcdcoll::detail {

// OpenSSL counts in int, so long texts go through in pieces of whole groups.
inline constexpr std::size_t base64_piece = 3 * (std::size_t(1) << 24);

ETCDCOLL_DECL void append_base64(std::string& text, std::string_view raw) {
    while (!raw.empty()) {
        const auto piece = raw.substr(0, base64_piece);
        const auto old = text.size();
        text.resize(old + (piece.size() + 2) / 3 * 4 + 1); // EVP_EncodeBlock ends its output with a zero byte
        const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data() + old),
                                         reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
        text.resize(old + static_cast<std::size_t>(size));
        raw.remove_prefix(piece.size());
    }
}

ETCDCOLL_DECL std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    // EVP_DecodeBlock would skip blanks at both ends and take '=' anywhere: neither is base64 of etcd's.
    const auto digits = text.substr(0, text.size() - padding);
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/'; };
    if (!std::all_of(digits.begin(), digits.end(), plain)) return std::nullopt;

    std::string raw(text.size() / 4 * 3, '\0');
    std::size_t used = 0;
    for (auto rest = text; !rest.empty();) {
        const auto piece = rest.substr(0, base64_piece / 3 * 4);
        const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(raw.data() + used),
                                         reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
        if (size < 0) return std::nullopt;
        used += static_cast<std::size_t>(size);
        rest.remove_prefix(piece.size());
    }
    raw.resize(used - padding);
    return raw;
}

} // namespace etcdcoll::detail
