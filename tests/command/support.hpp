#pragma once

// What the tests of the command share: deadlines, and processes, directories and sockets to look at.

#include "process.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace command_tests {

using etcdcoll::command::unique_fd;
using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience(20);

/// Returns whether the descriptor becomes readable (a pidfd: the process ends) before the deadline.
inline bool readable(int fd, clock::time_point deadline = clock::now() + patience) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
        if (left < 0) return false;
        pollfd entry{fd, POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(left));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) etcdcoll::command::throw_errno("poll");
    }
}

/// Any process, a child or not: pins its identity, so that its end can be waited for.
class observed_process {
public:
    explicit observed_process(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
        if (!fd_ && errno != ESRCH) etcdcoll::command::throw_errno("pidfd_open");
    }
    bool ends() const { return !fd_ || readable(fd_.get()); }
    bool has_ended() const { return !fd_ || readable(fd_.get(), clock::now()); }

private:
    unique_fd fd_;
};

/// Sets an environment variable (nullopt: unsets it) until the end of the scope.
class environment_variable {
public:
    environment_variable(std::string name, const std::optional<std::string>& value) : name_(std::move(name)) {
        if (const char* before = std::getenv(name_.c_str())) before_ = before;
        set(value);
    }
    environment_variable(const environment_variable&) = delete;
    environment_variable& operator=(const environment_variable&) = delete;
    ~environment_variable() { set(before_); }

private:
    void set(const std::optional<std::string>& value) {
        value ? ::setenv(name_.c_str(), value->c_str(), 1) : ::unsetenv(name_.c_str());
    }

    std::string name_;
    std::optional<std::string> before_;
};

/// A directory for the length of a test.
class test_directory {
public:
    test_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "etcdcoll-test-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) etcdcoll::command::throw_errno("mkdtemp");
        path_ = name;
    }
    test_directory(const test_directory&) = delete;
    test_directory& operator=(const test_directory&) = delete;
    ~test_directory() { std::filesystem::remove_all(path_); }

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// What the server on this loopback port answers to `GET path`; empty if nobody listens, or no answer comes in time.
inline std::string http_get(unsigned short port, const std::string& path) {
    unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
    std::string reply;
    const auto deadline = clock::now() + patience;
    while (readable(socket.get(), deadline)) {
        char buffer[4096];
        const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return reply;
        reply.append(buffer, static_cast<std::size_t>(got));
    }
    return {};
}

} // namespace command_tests
