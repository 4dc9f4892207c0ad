#pragma once
// A lease that is kept alive: what is put with it lasts as long as this process, and a little longer.

#include <etcdcoll/etcd/client.hpp>

#include <chrono>
#include <memory>

namespace etcdcoll {

namespace detail {
class session_state;
}

/// Move-only. The lease is renewed at a third of its time to live, on the client's strand. Destroying a session ends the renewals: its keys
/// go when the lease runs out; close() takes them away at once.
class ETCDCOLL_API session {
public:
    /// Grants a lease of `ttl` (2 s at least).
    ///
    /// Errors:  invalid_argument; the client's.
    /// Cancel:  terminal; a lease that was granted all the same runs out unused.
    /// Cost:    1 request, then 1 each ttl / 3.
    static asio::awaitable<session> open(etcd::client client, std::chrono::seconds ttl = std::chrono::seconds(10));

    session(session&&) noexcept;
    session& operator=(session&&) noexcept;
    ~session();

    etcd::lease_id lease() const;

    /// Returns when the lease is lost: it expired in this process's own time, or the server says that it is gone.
    ///
    /// Errors:  closed, when the session was closed instead.
    /// Cancel:  terminal; the session goes on.
    asio::awaitable<void> lost();

    /// Revokes the lease, and with it deletes its keys.
    ///
    /// Errors:  the client's; the keys then go when the lease runs out.
    /// Cost:    1 request.
    asio::awaitable<void> close();

    const std::shared_ptr<detail::session_state>& state() const noexcept { return state_; } // for the layers above

    session() noexcept; ///< holds nothing; every call throws errc::closed

private:
    explicit session(std::shared_ptr<detail::session_state> state);
    std::shared_ptr<detail::session_state> state_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/session.ipp>
#endif
