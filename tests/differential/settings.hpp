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

/// Fewer where a sanitizer makes each take several times as long.
inline std::uint64_t default_operations() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 20'000;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return 20'000;
#endif
#endif
    return 100'000;
}

inline std::uint64_t drawn_seed() { return std::random_device{}(); }

} // namespace etcdcoll::test
