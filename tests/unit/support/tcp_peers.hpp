#pragma once
// Both ends of a proxied connection for its tests, on blocking sockets: they share no code with the proxy.

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace peers {

constexpr std::chrono::seconds deadline{10};

enum class ending { open, eof, reset, timeout };

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A socket whose reads give up at the deadline.
class stream {
public:
    explicit stream(int fd) : fd_(fd) {
        const timeval limit{deadline.count(), 0};
        const int on = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    ~stream() { ::close(fd_); }

    bool send(std::string_view bytes) const {
        return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    /// Appends what one read gives.
    ending receive(std::string& into) const {
        std::array<char, 4096> buffer;
        const auto n = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (n > 0) into.append(buffer.data(), static_cast<std::size_t>(n));
        if (n > 0) return ending::open;
        if (n == 0) return ending::eof;
        return errno == EAGAIN || errno == EWOULDBLOCK ? ending::timeout : ending::reset;
    }
    ending receive_until(std::string& into, std::string_view last) const {
        auto how = ending::open;
        while (how == ending::open && into.find(last) == std::string::npos) how = receive(into);
        return how;
    }
    ending receive_all(std::string& into) const {
        auto how = ending::open;
        while (how == ending::open) how = receive(into);
        return how;
    }
    /// True if nothing has come by now.
    bool silent() const {
        char byte;
        return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    void shut(int how) const { ::shutdown(fd_, how); }

private:
    int fd_;
};

/// A connected socket, or -1 with errno.
inline int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
}

/// Answers each POST with its own body, and a request to /v3/watch with one chunk per received piece, without end.
class echo_server {
public:
    echo_server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        auto address = loopback(0);
        socklen_t size = sizeof address;
        ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(listener_, 64);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread{[this] { accept(); }};
    }
    ~echo_server() {
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (auto& connection : streams_) connection.shut(SHUT_RDWR);
        for (auto& thread : threads_) thread.join();
        ::close(listener_);
    }

    std::uint16_t port() const { return port_; }

    /// The bytes of the n-th connection once it has ended; fails the wait with "(timeout)".
    std::string ended(std::size_t n) {
        return wait(n, [](const record& r) { return r.ended; });
    }
    /// The bytes of the n-th connection once there are at least `size`.
    std::string received(std::size_t n, std::size_t size) {
        return wait(n, [size](const record& r) { return r.bytes.size() >= size; });
    }
    std::string now(std::size_t n) {
        const std::lock_guard lock{mutex_};
        return n < records_.size() ? records_[n].bytes : "";
    }

    static std::string response_to(std::string_view body) {
        return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
    }

private:
    struct record {
        std::string bytes;
        bool ended = false;
    };

    template <class Reached> std::string wait(std::size_t n, Reached reached) {
        std::unique_lock lock{mutex_};
        const bool ok = changed_.wait_until(lock, std::chrono::system_clock::now() + deadline,
                                            [&] { return n < records_.size() && reached(records_[n]); });
        return ok ? records_[n].bytes : "(timeout)";
    }

    void accept() {
        for (;;) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            const std::lock_guard lock{mutex_};
            records_.emplace_back();
            auto& connection = streams_.emplace_back(fd);
            threads_.emplace_back([this, &connection, n = records_.size() - 1] { serve(connection, n); });
        }
    }

    void serve(stream& connection, std::size_t n) {
        std::string unanswered;
        bool watching = false;
        for (std::string piece; connection.receive(piece) == ending::open; piece.clear()) {
            {
                const std::lock_guard lock{mutex_};
                records_[n].bytes += piece;
                changed_.notify_all();
            }
            unanswered += piece;
            if (!watching && unanswered.starts_with("POST /v3/watch")) {
                watching = true;
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            }
            if (watching) {
                connection.send("15\r\n{\"events\":[{\"kv\":{}}]\r\n");
            } else {
                answer(connection, unanswered);
            }
        }
        connection.shut(SHUT_RDWR);
        const std::lock_guard lock{mutex_};
        records_[n].ended = true;
        changed_.notify_all();
    }

    static void answer(const stream& connection, std::string& requests) {
        for (;;) {
            const auto head = requests.find("\r\n\r\n");
            if (head == std::string::npos) return;
            const auto length = requests.find("Content-Length: ");
            const auto size = static_cast<std::size_t>(std::atoi(requests.c_str() + length + 16));
            if (requests.size() < head + 4 + size) return;
            connection.send(response_to(std::string_view{requests}.substr(head + 4, size)));
            requests.erase(0, head + 4 + size);
        }
    }

    int listener_;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<record> records_;
    std::list<stream> streams_;
    std::list<std::thread> threads_;
    std::thread acceptor_;
};

} // namespace peers
