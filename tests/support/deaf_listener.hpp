#pragma once
// An address that connects to nobody: neither accepted nor refused, as behind a firewall that drops what it does not like.

#include <cstdint>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// Listens, but its queue of connections is full from the beginning.
class deaf_listener {
public:
    /// `port` 0: a free one. Throws std::runtime_error.
    explicit deaf_listener(const std::string& host = "127.0.0.1", std::uint16_t port = 0);
    deaf_listener(const deaf_listener&) = delete;
    deaf_listener& operator=(const deaf_listener&) = delete;
    ~deaf_listener();

    /// "127.0.0.1:port"
    std::string endpoint() const;

private:
    std::string host_;
    std::uint16_t port_ = 0;
    std::vector<int> sockets_; // the listener, and those that fill its queue
};

/// Whether anything can listen on ::1 here.
bool has_ipv6_loopback();

} // namespace etcdcoll::test
