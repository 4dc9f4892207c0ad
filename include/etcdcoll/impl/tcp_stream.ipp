#pragma once

#include <etcdcoll/impl/tcp_stream.hpp>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <string>

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace etcdcoll::detail {

// How long one address of several may take before the next one is tried.
inline constexpr std::chrono::milliseconds address_limit{200};

struct tcp_stream::lookup {
    explicit lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor, time_point::max()) {}
    asio::ip::tcp::resolver resolver;
    asio::steady_timer done; // cancelled when the answer is there
    bool finished = false;
    error_code failure;
    endpoints found;
};

ETCDCOLL_DECL tcp_stream::tcp_stream(const asio::any_io_executor& executor) : socket_(executor) {}
ETCDCOLL_DECL tcp_stream::~tcp_stream() { close(); }

ETCDCOLL_DECL void tcp_stream::close() noexcept {
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);
    if (lookup_) {
        try {
            lookup_->done.cancel();
        } catch (...) { // only Asio's signature makes this possible
        }
    }
}

ETCDCOLL_DECL void tcp_stream::start_lookup(const std::shared_ptr<lookup>& pending, const stream_target& target) {
    pending->resolver.async_resolve(target.host, std::to_string(target.port),
                                    [pending](error_code failure, const asio::ip::tcp::resolver::results_type& results) {
                                        pending->finished = true;
                                        pending->failure = failure;
                                        for (const auto& entry : results) pending->found.push_back(entry.endpoint());
                                        pending->done.cancel();
                                    });
}

ETCDCOLL_DECL asio::awaitable<tcp_stream::endpoints> tcp_stream::resolve(stream_target target, error_code& failure) {
    const auto literal = asio::ip::make_address(target.host, failure);
    if (!failure) co_return endpoints{asio::ip::tcp::endpoint(literal, target.port)};

    failure.clear();
    auto pending = std::make_shared<lookup>(socket_.get_executor());
    lookup_ = pending;
    start_lookup(pending, target);
    error_code woken;
    co_await pending->done.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    failure = pending->finished ? pending->failure : error_code(asio::error::operation_aborted);
    co_return std::move(pending->found);
}

// Who waits for an answer that may take minutes learns within a quarter of one that the other host is gone.
ETCDCOLL_DECL void tcp_stream::keep_alive() noexcept {
    const auto set = [this](int level, int name, int value) { ::setsockopt(socket_.native_handle(), level, name, &value, sizeof value); };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 5);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 13'000); // while something is on its way, when no probes are sent
}

ETCDCOLL_DECL asio::awaitable<void> tcp_stream::connect_one(asio::ip::tcp::endpoint address, bool last, error_code& failure) {
    socket_.open(address.protocol(), failure);
    if (failure) co_return;
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    asio::steady_timer limit(socket_.get_executor());
    auto late = std::make_shared<bool>(false);
    if (!last) {
        limit.expires_after(address_limit);
        limit.async_wait([this, late](error_code stopped) {
            if (stopped || *late) return;
            *late = true;
            error_code ignored;
            socket_.cancel(ignored);
        });
    }
    co_await socket_.async_connect(address, asio::redirect_error(asio::use_awaitable, failure));
    if (*late && failure) failure = asio::error::timed_out;
    *late = true; // a limit that is queued already must not touch the socket any more
}

ETCDCOLL_DECL asio::awaitable<void> tcp_stream::connect(stream_target target, error_code& failure) {
    auto addresses = co_await resolve(std::move(target), failure);
    if (!failure && addresses.empty()) failure = asio::error::host_not_found;
    if (failure) co_return;
    for (std::size_t index = 0; index < addresses.size(); ++index) {
        if (closed_) failure = asio::error::operation_aborted;
        if (closed_) co_return;
        co_await connect_one(addresses[index], index + 1 == addresses.size(), failure);
        if (!failure && !closed_) {
            error_code ignored;
            socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
            keep_alive();
            co_return;
        }
        if (!closed_) {
            error_code ignored;
            socket_.close(ignored);
        }
    }
    if (closed_) failure = asio::error::operation_aborted;
}

ETCDCOLL_DECL asio::awaitable<std::size_t> tcp_stream::read_some(asio::mutable_buffer into, error_code& failure) {
    return socket_.async_read_some(into, asio::redirect_error(asio::use_awaitable, failure));
}

ETCDCOLL_DECL std::size_t tcp_stream::write_now(asio::const_buffer from, error_code& failure) noexcept {
    failure.clear();
    if (closed_) return 0; // write() says so
    const auto size = ::send(socket_.native_handle(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) failure.assign(errno, asio::error::get_system_category());
    return 0;
}

ETCDCOLL_DECL asio::awaitable<std::size_t> tcp_stream::write(asio::const_buffer from, error_code& failure) {
    return asio::async_write(socket_, from, asio::redirect_error(asio::use_awaitable, failure));
}

ETCDCOLL_DECL bool tcp_stream::quiet() noexcept {
    char byte = 0;
    const auto size = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

} // namespace etcdcoll::detail
