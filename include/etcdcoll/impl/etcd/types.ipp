#pragma once

#include <etcdcoll/etcd/types.hpp>

namespace etcdcoll::etcd {

// The first key behind all that begin with `text`: its last byte below 0xff raised by one, what follows cut off.
ETCDCOLL_DECL key_range prefix(std::string text) {
    std::string end = text;
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (end.empty()) {
        end.assign(1, '\0');
    } else {
        end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    }
    if (text.empty()) text.assign(1, '\0'); // etcd refuses an empty key
    return {std::move(text), std::move(end)};
}

ETCDCOLL_DECL key_range from(std::string key) {
    if (key.empty()) key.assign(1, '\0');
    return {std::move(key), std::string(1, '\0')};
}

} // namespace etcdcoll::etcd
