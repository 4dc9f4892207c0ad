#pragma once
// What the tests of the recipes share.

#include <etcd/support.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/co_spawn.hpp>

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
