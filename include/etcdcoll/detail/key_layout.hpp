#pragma once
// The keys of a group (docs/protocol.md). No I/O.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace etcdcoll::detail {

/// A name as one path segment: what is not a letter, a digit, '.', '_' or '-' as %XX. Different names never share a segment, and none is "."
/// or "..".
inline std::string encode_segment(std::string_view name) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string text;
    for (const char c : name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || c == '_' || c == '-' || (c == '.' && !text.empty())) {
            text += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            text += '%';
            text += digits[byte >> 4];
            text += digits[byte & 15];
        }
    }
    return text;
}

class key_layout {
public:
    key_layout() = default;
    key_layout(const std::string& name_space, std::string_view group) : base_(name_space + "/" + encode_segment(group) + "/") {}

    /// The keys of the epoch with this id.
    void use_epoch(const std::string& id) { epoch_ = base_ + id + "/"; }

    const std::string& base() const noexcept { return base_; }
    const std::string& epoch() const noexcept { return epoch_; }
    std::string epoch_of(const std::string& id) const { return base_ + id + "/"; }
    std::string root() const { return base_ + "root"; }
    std::string joined() const { return epoch_ + "joined"; }
    std::string watched() const { return epoch_ + "w/"; }
    std::string members() const { return epoch_ + "w/member/"; }
    std::string member(int rank) const { return members() + std::to_string(rank); }
    std::string release() const { return epoch_ + "w/release"; }
    std::string end() const { return epoch_ + "w/end"; }
    std::string arrivals() const { return epoch_ + "arrive/"; }
    std::string arrival(int rank) const { return arrivals() + std::to_string(rank); }
    std::string count() const { return epoch_ + "count"; }
    std::string blocks(std::uint64_t sequence) const { return epoch_ + (sequence % 2 == 0 ? "block/0/" : "block/1/"); }
    std::string block(std::uint64_t sequence, int rank) const { return blocks(sequence) + std::to_string(rank); }
    /// Of blocks that are more than their share of a release.
    std::string large_blocks(std::uint64_t sequence) const { return epoch_ + (sequence % 2 == 0 ? "large/0/" : "large/1/"); }
    std::string large_block(std::uint64_t sequence, int rank) const { return large_blocks(sequence) + std::to_string(rank); }

    /// The number behind `prefix`; nothing for a key that is not one of these.
    static std::optional<int> rank_behind(std::string_view prefix, std::string_view key) {
        if (!key.starts_with(prefix)) return std::nullopt;
        key.remove_prefix(prefix.size());
        if (key.empty() || key.size() > 6 || (key.size() > 1 && key.front() == '0')) return std::nullopt;
        int rank = 0;
        for (const char c : key) {
            if (c < '0' || c > '9') return std::nullopt;
            rank = rank * 10 + (c - '0');
        }
        return rank;
    }

private:
    std::string base_;
    std::string epoch_;
};

} // namespace etcdcoll::detail
