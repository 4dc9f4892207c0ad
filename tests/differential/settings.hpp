#pragma once
// What the environment says about a run.

#include <cstdint>
#include <cstdlib>
#include <random>

namespace etcdcoll::test {

inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* const value = std::getenv(name);
    return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

inline std::uint64_t drawn_seed() { return std::random_device{}(); }

} // namespace etcdcoll::test
