#pragma once
// What the etcd under test can do.

#include <local_etcd.hpp>

#include <string>

namespace etcdcoll::test {

/// Whether the server is etcd 3.`minor` or later.
inline bool etcd_is_at_least(int minor) {
    static const std::string version = command::etcd_version(); // "3.4.23"
    const auto first = version.find('.');
    return std::stoi(version.substr(0, first)) > 3 || std::stoi(version.substr(first + 1)) >= minor;
}

} // namespace etcdcoll::test
