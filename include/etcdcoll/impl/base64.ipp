#pragma once

#include <etcdcoll/detail/base64.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace etcdcoll::detail {

inline constexpr char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// What each of four digits adds to the 24 bits of its group, by place; with a bit above them set where the byte is no digit.
inline constexpr std::uint32_t base64_bad = 0x80000000;

struct base64_places {
    std::array<std::array<std::uint32_t, 256>, 4> add;
};

consteval base64_places make_base64_places() {
    base64_places result{};
    for (auto& place : result.add)
        for (auto& value : place) value = base64_bad;
    for (std::uint32_t digit = 0; digit < 64; ++digit)
        for (std::size_t place = 0; place < 4; ++place)
            result.add[place][static_cast<unsigned char>(base64_digits[digit])] = digit << (18 - 6 * place);
    return result;
}

inline constexpr base64_places base64_table = make_base64_places();

// Texts grow by pieces of this size: a string that is resized first would be written twice.
inline constexpr std::size_t base64_piece = 3 * 1024;

ETCDCOLL_DECL std::uint32_t base64_group(const char* digits, std::size_t count) {
    std::uint32_t bits = 0;
    for (std::size_t place = 0; place < count; ++place) bits |= base64_table.add[place][static_cast<unsigned char>(digits[place])];
    return bits;
}

ETCDCOLL_DECL void append_base64(std::string& text, std::string_view raw) {
    char encoded[base64_piece / 3 * 4];
    while (!raw.empty()) {
        const auto piece = raw.substr(0, base64_piece);
        const auto* in = reinterpret_cast<const unsigned char*>(piece.data());
        const auto* const whole = in + piece.size() / 3 * 3;
        char* out = encoded;
        for (; in != whole; in += 3, out += 4) {
            const auto bits = std::uint32_t(in[0]) << 16 | std::uint32_t(in[1]) << 8 | in[2];
            out[0] = base64_digits[bits >> 18];
            out[1] = base64_digits[bits >> 12 & 63];
            out[2] = base64_digits[bits >> 6 & 63];
            out[3] = base64_digits[bits & 63];
        }
        if (const auto rest = piece.size() % 3; rest != 0) {
            const auto bits = std::uint32_t(in[0]) << 16 | (rest == 2 ? std::uint32_t(in[1]) << 8 : 0);
            out[0] = base64_digits[bits >> 18];
            out[1] = base64_digits[bits >> 12 & 63];
            out[2] = rest == 2 ? base64_digits[bits >> 6 & 63] : '=';
            out[3] = '=';
            out += 4;
        }
        text.append(encoded, out);
        raw.remove_prefix(piece.size());
    }
}

ETCDCOLL_DECL std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    const std::size_t size = text.size() / 4 * 3 - padding;
    std::string raw;
    raw.reserve(size);
    char decoded[base64_piece];
    std::uint32_t seen = 0;
    const auto* in = text.data();
    const auto* const end = in + (text.size() - (padding != 0 ? 4 : 0));
    while (in != end) {
        const auto* const stop = in + std::min<std::ptrdiff_t>(end - in, base64_piece / 3 * 4);
        char* out = decoded;
        for (; in != stop; in += 4, out += 3) {
            const auto bits = base64_group(in, 4);
            seen |= bits;
            out[0] = static_cast<char>(bits >> 16);
            out[1] = static_cast<char>(bits >> 8);
            out[2] = static_cast<char>(bits);
        }
        raw.append(decoded, out);
    }
    if (padding != 0) {
        const auto bits = base64_group(end, 4 - padding);
        seen |= bits;
        raw += static_cast<char>(bits >> 16);
        if (padding == 1) raw += static_cast<char>(bits >> 8);
    }
    if ((seen & base64_bad) != 0) return std::nullopt;
    return raw;
}

} // namespace etcdcoll::detail
