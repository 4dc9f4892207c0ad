#pragma once
// A condition variable for coroutines of one strand, with deadline and cancellation.

#include <etcdcoll/environment.hpp>

#include <list>

namespace etcdcoll::detail {

/// All members are called on the executor. A condition that is destroyed wakes its waiters as if notified.
class condition {
public:
    condition(asio::any_io_executor executor, std::shared_ptr<environment> system);
    ~condition();
    condition(const condition&) = delete;
    condition& operator=(const condition&) = delete;

    /// True when notified, false when the deadline passed first. Throws errc::cancelled on the coroutine's cancellation.
    asio::awaitable<bool> wait_until(time_point deadline);
    /// Throws errc::cancelled on the coroutine's cancellation.
    asio::awaitable<void> wait();
    void notify_all() noexcept;

private:
    struct waiter;
    struct park;

    asio::any_io_executor executor_;
    std::shared_ptr<environment> system_;
    std::list<waiter*> waiters_;
};

/// Ends at the deadline; throws errc::cancelled on the coroutine's cancellation.
asio::awaitable<void> sleep_until(asio::any_io_executor executor, std::shared_ptr<environment> system, time_point deadline);

/// How many coroutines wait in conditions on that execution context.
std::size_t parked_coroutines(const asio::any_io_executor& executor);

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/condition.ipp>
#endif
