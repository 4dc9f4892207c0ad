#pragma once
// What the decoders throw.

#include <stdexcept>

namespace etcdcoll::etcd::codec {

/// A text that is not the reply of etcd that was asked for.
class bad_reply : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace etcdcoll::etcd::codec
