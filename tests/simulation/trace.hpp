#pragma once
// What happened in a run: a hash of all of it, and the text of it for who wants to read it.

#include <etcdcoll/environment.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace etcdcoll::sim {

class trace {
public:
    /// Called with a line of text; nothing: the hash only.
    explicit trace(std::function<void(const std::string&)> print) : print_(std::move(print)) {}

    bool printed() const noexcept { return static_cast<bool>(print_); }
    void mix(std::uint64_t number) noexcept {
        hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15ULL;
        hash_ ^= hash_ >> 29;
    }
    void mix(std::string_view text) noexcept;
    /// `who` is a rank, a member, or the network; `text()` is called only when it is printed.
    void line(time_point when, std::string_view who, const std::function<std::string()>& text);
    std::uint64_t hash() const noexcept { return hash_; }

private:
    std::function<void(const std::string&)> print_;
    std::uint64_t hash_ = 0x243f6a8885a308d3ULL;
};

} // namespace etcdcoll::sim
