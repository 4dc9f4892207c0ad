#pragma once
// Where this process runs, for people to read.

#include <etcdcoll/config.hpp>

#include <cstdint>
#include <string>

#include <unistd.h>

namespace etcdcoll {

/// The machine's name; "localhost" where it has none.
inline std::string host_name() {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
    return name;
}

namespace detail {
inline std::int64_t process_id() { return ::getpid(); }
} // namespace detail

} // namespace etcdcoll
