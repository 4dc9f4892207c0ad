#pragma once
// Time that passes when it is told to.

#include <etcdcoll/environment.hpp>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace etcdcoll::etcd::model {

/// Any thread may use it.
class virtual_clock : public std::enable_shared_from_this<virtual_clock> {
public:
    time_point now() const noexcept;
    /// The first moment at which something is due.
    std::optional<time_point> next() const;
    /// How many things are still to come.
    std::size_t size() const;
    /// Makes it `when`, unless it is later already, and runs what is due by then, the earliest first, ties in the order in which they were set.
    void advance_to(time_point when);

    /// Nothing is due any more.
    void clear() noexcept;

    using number = std::uint64_t;
    /// Runs `function` in advance_to() when the time has come. Never 0.
    number at(time_point when, std::function<void()> function);
    void forget(time_point when, number which) noexcept;

    /// Its function runs on `executor`.
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor);

private:
    class due_timer;

    mutable std::mutex mutex_;
    time_point now_{std::chrono::hours(24)}; // far from 0: what was "long ago" stays a time
    number last_ = 0;
    std::map<std::pair<time_point, number>, std::function<void()>> due_;
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/virtual_clock.ipp>
#endif
