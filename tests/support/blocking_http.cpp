#include <support/blocking_http.hpp>

#include <process.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string_view>

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace etcdcoll::test {

namespace {

using clock = std::chrono::steady_clock;
using command::unique_fd;

template <auto Free> struct freeing {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};

// OpenSSL writes with write(2), which knows no MSG_NOSIGNAL.
class no_broken_pipe {
public:
    no_broken_pipe() {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        mine_ = ::sigismember(&pending, SIGPIPE) == 0;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    no_broken_pipe(const no_broken_pipe&) = delete;
    no_broken_pipe& operator=(const no_broken_pipe&) = delete;
    ~no_broken_pipe() {
        const timespec now{};
        while (mine_ && ::sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) continue;
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_;
    sigset_t before_;
    bool mine_ = false;
};

struct place {
    bool tls = false;
    std::string host;
    std::string port;
    std::string authority;
};

place parse(const std::string& endpoint) {
    place result;
    const auto slashes = endpoint.find("://");
    const auto scheme = endpoint.substr(0, slashes);
    const auto colon = endpoint.rfind(':');
    if (slashes == std::string::npos || colon <= slashes || (scheme != "http" && scheme != "https")) {
        throw std::invalid_argument("\"" + endpoint + "\" is no endpoint");
    }
    result.tls = scheme == "https";
    result.authority = endpoint.substr(slashes + 3);
    result.host = endpoint.substr(slashes + 3, colon - slashes - 3);
    result.port = endpoint.substr(colon + 1);
    if (result.host.front() == '[') result.host = result.host.substr(1, result.host.size() - 2);
    return result;
}

// Also bounds connect(2).
void bound(int socket, clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline - clock::now()).count();
    if (left <= 0) throw std::runtime_error("no answer in time");
    const timeval time{left / 1'000'000, left % 1'000'000};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

unique_fd connect(const place& to, clock::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (::getaddrinfo(to.host.c_str(), to.port.c_str(), &hints, &list) != 0) throw std::runtime_error("cannot resolve " + to.host);
    const std::unique_ptr<addrinfo, freeing<::freeaddrinfo>> found(list);
    for (const auto* each = found.get(); each != nullptr; each = each->ai_next) {
        unique_fd socket(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!socket) continue;
        bound(socket.get(), deadline);
        if (::connect(socket.get(), each->ai_addr, each->ai_addrlen) == 0) return socket;
    }
    throw std::runtime_error("cannot connect to " + to.authority + ": " + std::generic_category().message(errno));
}

[[noreturn]] void throw_tls(const std::string& what) {
    const auto code = ::ERR_get_error();
    ::ERR_clear_error();
    const char* reason = code != 0 ? ::ERR_reason_error_string(code) : nullptr;
    throw std::runtime_error(what + ": " + (reason != nullptr ? reason : "the server does not answer"));
}

std::string exchange_plain(int socket, const std::string& request, clock::time_point deadline) {
    for (std::string_view left = request; !left.empty();) {
        const auto sent = ::send(socket, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent < 0) throw std::runtime_error("the server does not read");
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::string answer;
    char buffer[16384];
    for (;;) {
        bound(socket, deadline);
        const auto got = ::recv(socket, buffer, sizeof buffer, 0);
        if (got < 0) throw std::runtime_error("the server does not answer");
        if (got == 0) return answer;
        answer.append(buffer, static_cast<std::size_t>(got));
    }
}

std::string exchange_tls(int socket, const std::string& request, const http_access& access, clock::time_point deadline) {
    const no_broken_pipe quiet;
    ::ERR_clear_error();
    const std::unique_ptr<SSL_CTX, freeing<::SSL_CTX_free>> context(::SSL_CTX_new(::TLS_client_method()));
    if (!context) throw_tls("TLS");
    if (!access.certificate.empty() && (::SSL_CTX_use_certificate_chain_file(context.get(), access.certificate.c_str()) != 1 ||
                                        ::SSL_CTX_use_PrivateKey_file(context.get(), access.key.c_str(), SSL_FILETYPE_PEM) != 1)) {
        throw_tls("the client's certificate");
    }
    const std::unique_ptr<SSL, freeing<::SSL_free>> session(::SSL_new(context.get()));
    if (!session || ::SSL_set_fd(session.get(), socket) != 1) throw_tls("TLS");
    if (::SSL_connect(session.get()) != 1) throw_tls("TLS handshake");
    if (::SSL_write(session.get(), request.data(), static_cast<int>(request.size())) <= 0) throw_tls("TLS write");
    std::string answer;
    char buffer[16384];
    for (;;) {
        bound(socket, deadline);
        const int got = ::SSL_read(session.get(), buffer, sizeof buffer);
        if (got <= 0) {
            if (::SSL_get_error(session.get(), got) == SSL_ERROR_ZERO_RETURN) return answer;
            throw_tls("TLS read");
        }
        answer.append(buffer, static_cast<std::size_t>(got));
    }
}

} // namespace

http_answer http_post(const std::string& endpoint, const std::string& path, const std::string& body, const http_access& access) {
    const auto deadline = clock::now() + access.timeout;
    const auto to = parse(endpoint);
    // HTTP/1.0: the answer comes in one piece, and its end is the end of the connection.
    std::string request = "POST " + path + " HTTP/1.0\r\nHost: " + to.authority + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    if (!access.token.empty()) request += "Authorization: " + access.token + "\r\n";
    request += "\r\n" + body;
    try {
        const auto socket = connect(to, deadline);
        const auto answer = to.tls ? exchange_tls(socket.get(), request, access, deadline) : exchange_plain(socket.get(), request, deadline);
        const auto end = answer.find("\r\n\r\n");
        if (answer.compare(0, 5, "HTTP/") != 0 || end == std::string::npos) return {0, "no HTTP: " + answer.substr(0, 100)};
        return {std::stoi(answer.substr(answer.find(' '))), answer.substr(end + 4)};
    } catch (const std::exception& failure) {
        return {0, failure.what()};
    }
}

} // namespace etcdcoll::test
