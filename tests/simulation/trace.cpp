#include "trace.hpp"

#include <cstdio>
#include <cstring>

namespace etcdcoll::sim {

void trace::mix(std::string_view text) noexcept {
    mix(static_cast<std::uint64_t>(text.size()));
    while (text.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), 8);
        mix(word);
        text.remove_prefix(8);
    }
    std::uint64_t rest = 0;
    std::memcpy(&rest, text.data(), text.size());
    mix(rest);
}

void trace::line(time_point when, std::string_view who, const std::function<std::string()>& text) {
    if (!print_) return;
    const auto since = std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch() - std::chrono::hours(24)).count();
    char stamp[64];
    std::snprintf(stamp, sizeof stamp, "%4lld.%06lld %-8.*s ", static_cast<long long>(since / 1000000), static_cast<long long>(since % 1000000),
                  static_cast<int>(who.size()), who.data());
    print_(stamp + text());
}

} // namespace etcdcoll::sim
