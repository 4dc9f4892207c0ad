#pragma once
// What a session's handle and its renewals share.

#include <etcdcoll/detail/lease_clock.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>

#include <functional>
#include <optional>

namespace etcdcoll::detail {

/// All members are used on the client's strand.
class session_state : public std::enable_shared_from_this<session_state> {
public:
    session_state(etcd::client client, etcd::lease_id lease, time_point sent, duration ttl);

    void start();
    /// Ends the renewals; the lease is left to run out.
    void stop() noexcept;
    asio::awaitable<void> revoke();
    asio::awaitable<void> wait_lost();

    bool alive() const noexcept { return !lost_ && !stopped_; }
    etcd::lease_id lease() const noexcept { return lease_; }
    duration ttl() const noexcept { return ttl_; }
    etcd::client& client() noexcept { return client_; }
    client_core& core() noexcept { return *client_.core(); }
    /// Why the lease is lost; nothing while it is not.
    const std::optional<error>& lost() const noexcept { return lost_; }
    /// Called once when the lease is lost.
    void on_lost(std::function<void(const error&)> listener) { listener_ = std::move(listener); }

private:
    asio::awaitable<void> keep_alive(std::shared_ptr<session_state> self);
    void arm_expiry();
    void lose(std::string why);

    etcd::client client_;
    etcd::lease_id lease_;
    duration ttl_;
    lease_clock clock_;
    std::unique_ptr<timer> expiry_;
    condition changed_;
    std::function<void(const error&)> listener_;
    std::optional<error> lost_;
    bool stopped_ = false;
};

/// Ends the renewals at the end of the scope, however it is left.
class session_mark {
public:
    explicit session_mark(session_state& session) : session_(session) {}
    session_mark(const session_mark&) = delete;
    session_mark& operator=(const session_mark&) = delete;
    ~session_mark() { session_.stop(); }

private:
    session_state& session_;
};

asio::awaitable<std::shared_ptr<session_state>> open_session(etcd::client client, std::chrono::seconds ttl, call_options options);
asio::awaitable<void> revoke_session(std::shared_ptr<session_state> state);

} // namespace etcdcoll::detail
