#pragma once
// A lock that one process of all holds at a time, with a token that keeps out a holder who has lost it.

#include <etcdcoll/session.hpp>

#include <memory>
#include <optional>
#include <string>

namespace etcdcoll {

namespace detail {
class place;
class receipts;
} // namespace detail

/// That a mutex is held. Move-only. Destroying it gives the lock up in the background, repeated until etcd has taken or refused it, or the session ends; unlock() tells
/// how that went. A lock is a lease: who was paused too long, or cut off, holds it no more and may not know yet. So what must not be changed without
/// the lock is changed by a transaction with still_held() among its compares, or by a store that refuses tokens smaller than the last.
class ETCDCOLL_API mutex_hold {
public:
    mutex_hold(mutex_hold&&) noexcept;
    mutex_hold& operator=(mutex_hold&&) noexcept;
    ~mutex_hold();

    /// The fencing token: greater than that of every holder before.
    etcd::revision token() const;
    /// Holds as long as the lock does.
    etcd::compare still_held() const;
    /// The key that stands for this hold.
    const std::string& key() const;

    /// Gives the lock up. The next in line has it when this returns, or before.
    ///
    /// Errors:  lease_lost, when the lock had been lost before; closed, when it was given up before; outcome_unknown and the client's: it is then
    ///          given up in the background.
    /// Cancel:  terminal; as outcome_unknown.
    /// Cost:    1 request.
    asio::awaitable<void> unlock();

    /// Returns when the lock is lost: the lease has ended, or somebody has deleted the key.
    ///
    /// Errors:  closed, when it was given up instead, or the session was closed.
    /// Cancel:  terminal; the lock stays held.
    /// Cost:    a watch.
    asio::awaitable<void> lost();

private:
    friend class mutex;
    explicit mutex_hold(std::shared_ptr<detail::place> held);
    std::shared_ptr<detail::place> held_;
};

/// A name that is locked. A copyable handle; any thread may use it. First come, first served, across all processes; two calls from one session are two
/// contenders. Keys: `<name>/@mutex/...`, one for each that holds or waits, under its session's lease: a process that dies gives up its lock, and its
/// place in line, when its lease runs out.
class ETCDCOLL_API mutex {
public:
    /// `label` tells others who holds the lock; "host, pid 123" where it is empty. Throws errc::invalid_argument for a name that is empty, longer
    /// than 1024 bytes or contains "/@", and errc::closed where the session is not open.
    mutex(const session& of, std::string name, std::string label = {});
    mutex(const mutex&) noexcept;
    mutex& operator=(const mutex&) noexcept;
    ~mutex();

    /// Returns when all that came before have given up the lock, or died.
    ///
    /// Errors:  timed_out (who holds it, and since which revision); lease_lost and closed, when the session has ended; the client's.
    /// Cancel:  terminal; the place in line is given up, in the background, as after every error.
    /// Cost:    1 request where nobody holds it; otherwise 1 more, a watch of the one key before its own, and 1 event and 1 request when that goes.
    asio::awaitable<mutex_hold> lock(duration timeout = std::chrono::seconds(300));

    /// Takes the lock where nobody holds it or waits for it; nothing otherwise.
    ///
    /// Errors, Cancel: as lock(). Cost: 1 request.
    asio::awaitable<std::optional<mutex_hold>> try_lock(duration timeout = std::chrono::seconds(8));

    /// Who holds it: `value` is the label, `create_revision` the token. Nothing where nobody does. Cost: 1 request.
    asio::awaitable<std::optional<etcd::key_value>> holder();

private:
    static asio::awaitable<mutex_hold> hold_of(asio::awaitable<std::shared_ptr<detail::place>> locking);
    static asio::awaitable<std::optional<mutex_hold>> perhaps(asio::awaitable<std::shared_ptr<detail::place>> locking);
    std::shared_ptr<detail::receipts> book_;
    std::string label_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/mutex.ipp>
#endif
