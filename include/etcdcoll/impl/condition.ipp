#pragma once

#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace etcdcoll::detail {

// The Asio timer never expires: cancelling it is the notification. The deadline is the environment's, so that simulated time moves it.
struct condition::waiter {
    explicit waiter(condition& of) : owner(of), wake(of.executor_, time_point::max()) { of.waiters_.push_back(this); }
    // notify_all() takes the waiter out of the list, so the owner may be gone once `notified` is set.
    ~waiter() {
        if (!notified) owner.waiters_.remove(this);
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    condition& owner;
    asio::steady_timer wake;
    bool notified = false;
    bool expired = false;
};

ETCDCOLL_DECL condition::condition(asio::any_io_executor executor, std::shared_ptr<environment> system)
    : executor_(std::move(executor)), system_(std::move(system)) {}

ETCDCOLL_DECL condition::~condition() { notify_all(); }

ETCDCOLL_DECL void condition::notify_all() noexcept {
    for (auto* waiting : std::exchange(waiters_, {})) {
        waiting->notified = true;
        try {
            waiting->wake.cancel();
        } catch (...) { // only Asio's signature makes this possible
        }
    }
}

ETCDCOLL_DECL asio::awaitable<bool> condition::wait_until(time_point deadline) {
    waiter self(*this);
    std::unique_ptr<timer> limit;
    if (deadline != time_point::max()) {
        limit = system_->make_timer(executor_);
        limit->arm(deadline, [&self] {
            self.expired = true;
            self.wake.cancel();
        });
    }
    error_code woken;
    co_await self.wake.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    if (!self.notified && !self.expired) throw error(errc::cancelled, "cancelled");
    co_return self.notified;
}

ETCDCOLL_DECL asio::awaitable<void> condition::wait() {
    const bool notified = co_await wait_until(time_point::max());
    static_cast<void>(notified);
}

ETCDCOLL_DECL asio::awaitable<void> sleep_until(asio::any_io_executor executor, std::shared_ptr<environment> system,
                                                time_point deadline) {
    condition never(std::move(executor), std::move(system));
    const bool notified = co_await never.wait_until(deadline);
    static_cast<void>(notified);
}

} // namespace etcdcoll::detail
