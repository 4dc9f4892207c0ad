#pragma once
// All chance of one run, from its seed.

#include <chrono>
#include <cstdint>
#include <random>

namespace etcdcoll::sim {

using duration = std::chrono::steady_clock::duration;

class chance {
public:
    explicit chance(std::uint64_t seed) : engine_(seed) {}

    std::uint64_t bits() { return engine_(); }
    /// From 0 to `bound` - 1. The modulus favours small numbers by less than anybody could see here, and is the same on every compiler.
    std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    bool per_mille(std::uint64_t n) { return below(1000) < n; }
    duration between(duration least, duration most) {
        return least + duration(static_cast<duration::rep>(below(static_cast<std::uint64_t>((most - least).count()) + 1)));
    }

private:
    std::mt19937_64 engine_;
};

} // namespace etcdcoll::sim
