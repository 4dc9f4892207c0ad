#pragma once
// What the tests of the recipes share.

#include <etcd/support.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <mutex>

namespace etcdcoll::test {

/// A coroutine that runs on its own until it is joined, here in the same thread.
class task {
public:
    task(asio::any_io_executor executor, asio::awaitable<void> body) : done_(executor, environment::system()) {
        asio::co_spawn(executor, std::move(body), [this](std::exception_ptr failure) {
            failure_ = failure;
            ended_ = true;
            done_.notify_all();
        });
    }
    task(const task&) = delete;
    task& operator=(const task&) = delete;

    bool ended() const { return ended_; }
    asio::awaitable<void> join() {
        while (!ended_) co_await done_.wait();
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    detail::condition done_;
    std::exception_ptr failure_;
    bool ended_ = false;
};

/// The next request of its kind never reaches etcd through the proxy: it looks lost to the client, and arrives later.
class stolen_request {
public:
    stolen_request(fault_proxy& proxy, std::string path) : kept_(std::make_shared<kept>()) {
        const auto keep = [into = kept_](std::string_view request) {
            const std::scoped_lock lock(into->mutex);
            if (!into->text.empty()) return false;
            into->text = request;
            return true;
        };
        proxy.add(fault_rule(std::move(path)).when(keep).cut_request_after(0));
    }

    /// Returns what etcd says to it.
    asio::awaitable<std::string> arrive(unsigned short port) {
        const auto executor = co_await asio::this_coro::executor;
        asio::ip::tcp::socket socket(executor);
        co_await socket.async_connect(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), port), asio::use_awaitable);
        std::string text;
        {
            const std::scoped_lock lock(kept_->mutex);
            text = kept_->text;
        }
        const auto sent = co_await asio::async_write(socket, asio::buffer(text), asio::use_awaitable);
        static_cast<void>(sent);
        std::string reply(4096, '\0');
        const auto got = co_await socket.async_read_some(asio::buffer(reply), asio::use_awaitable);
        reply.resize(got);
        co_return reply;
    }

private:
    struct kept {
        std::mutex mutex;
        std::string text;
    };
    std::shared_ptr<kept> kept_;
};

/// Returns when etcd holds exactly `count` keys that begin with `prefix`.
inline asio::awaitable<void> wait_for_keys(client c, std::string prefix, std::int64_t count) {
    auto seen = co_await c.range(etcd::range_request(etcd::prefix(prefix)));
    if (seen.count == count) co_return;
    auto changes = c.watch(etcd::watch_request(etcd::prefix(prefix), etcd::revision(seen.header.revision.value + 1)));
    while (seen.count != count) {
        const auto change = co_await changes.next();
        static_cast<void>(change);
        seen = co_await c.range(etcd::range_request(etcd::prefix(prefix)));
    }
}

} // namespace etcdcoll::test
