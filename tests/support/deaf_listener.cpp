#include <support/deaf_listener.hpp>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace etcdcoll::test {

namespace {

struct address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

address address_of(const std::string& host, std::uint16_t port) {
    address result;
    auto* four = reinterpret_cast<sockaddr_in*>(&result.storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&result.storage);
    if (::inet_pton(AF_INET, host.c_str(), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        result.size = sizeof *four;
    } else if (::inet_pton(AF_INET6, host.c_str(), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        result.size = sizeof *six;
    } else {
        throw std::runtime_error("not an address: " + host);
    }
    return result;
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("deaf_listener: " + what + ": " + std::strerror(errno)); }

} // namespace

deaf_listener::deaf_listener(const std::string& host, std::uint16_t port) : host_(host) {
    auto here = address_of(host, port);
    const auto make = [&here, this] {
        const int made = ::socket(here.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (made < 0) fail("no socket");
        sockets_.push_back(made);
        return made;
    };
    const int listener = make();
    if (::bind(listener, here.get(), here.size) != 0) fail("cannot bind to " + host);
    if (::listen(listener, 0) != 0) fail("cannot listen");
    ::getsockname(listener, here.get(), &here.size);
    const bool four = here.storage.ss_family == AF_INET;
    port_ = ntohs(four ? reinterpret_cast<sockaddr_in*>(&here.storage)->sin_port : reinterpret_cast<sockaddr_in6*>(&here.storage)->sin6_port);
    for (int attempt = 0; attempt < 64; ++attempt) {
        const int filler = make();
        if (::connect(filler, here.get(), here.size) != 0 && errno != EINPROGRESS) fail("cannot connect");
        pollfd connected{filler, POLLOUT, 0};
        if (::poll(&connected, 1, 50) == 0) return; // this one got no answer, and no other will
    }
    throw std::runtime_error("deaf_listener: the queue never fills");
}

deaf_listener::~deaf_listener() {
    for (const int each : sockets_) ::close(each);
}

std::string deaf_listener::endpoint() const {
    return (host_.find(':') == std::string::npos ? host_ : '[' + host_ + ']') + ':' + std::to_string(port_);
}

bool has_ipv6_loopback() {
    auto here = address_of("::1", 0);
    const int probe = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool bound = ::bind(probe, here.get(), here.size) == 0;
    ::close(probe);
    return bound;
}

} // namespace etcdcoll::test
