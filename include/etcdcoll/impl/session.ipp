#pragma once

#include <etcdcoll/impl/session_state.hpp>
#include <etcdcoll/session.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL session_state::session_state(etcd::client client, etcd::lease_id lease, time_point sent, duration ttl)
    : client_(std::move(client)), lease_(lease), ttl_(ttl), clock_(sent, ttl), expiry_(core().system()->make_timer(core().strand())),
      changed_(core().strand(), core().system()) {}

ETCDCOLL_DECL void session_state::start() {
    arm_expiry();
    asio::co_spawn(core().strand(), keep_alive(shared_from_this()), asio::detached);
}

ETCDCOLL_DECL void session_state::stop() noexcept {
    stopped_ = true;
    expiry_->disarm();
    listener_ = nullptr;
    changed_.notify_all();
}

// Apart from the renewals: the lease ends on time also while one of them is under way.
ETCDCOLL_DECL void session_state::arm_expiry() {
    expiry_->arm(clock_.expires_at(), [this] {
        lose("not renewed for " + seconds_text(core().now() - clock_.renewed_at()) + ", its time to live is " + seconds_text(ttl_));
    });
}

ETCDCOLL_DECL void session_state::lose(std::string why) {
    if (lost_ || stopped_) return;
    lost_.emplace(errc::lease_lost, "the lease of this process is lost: " + why);
    expiry_->disarm();
    if (core().log().enabled(log_level::warning)) core().log().write(log_level::warning, lost_->what());
    changed_.notify_all();
    const auto listener = std::exchange(listener_, nullptr);
    if (listener) listener(*lost_);
}

ETCDCOLL_DECL asio::awaitable<void> session_state::keep_alive([[maybe_unused]] std::shared_ptr<session_state> self) {
    while (alive()) {
        const bool woken = co_await changed_.wait_until(clock_.renew_at());
        if (woken || !alive()) continue;
        const auto sent = core().now();
        const call_options options{.timeout = std::max<duration>(clock_.expires_at() - sent, std::chrono::milliseconds(1))};
        std::optional<error> failed;
        etcd::lease_keep_alive_response reply;
        try {
            reply = co_await client_.lease_keep_alive(lease_, options);
        } catch (const error& failure) {
            failed.emplace(failure);
        }
        if (!alive() || (failed && failed->reason() == errc::closed)) break;
        if (failed) {
            // Only time takes the lease away now: an answer like "permission denied" may be different in a moment.
            if (core().log().enabled(log_level::warning)) core().log().write(log_level::warning, failed->what());
            clock_.postponed(core().now() + std::chrono::milliseconds(200));
        } else if (reply.ttl <= std::chrono::seconds(0)) {
            lose("it was revoked, or expired, at the server");
        } else {
            clock_.renewed(sent, reply.ttl);
            arm_expiry();
        }
    }
}

ETCDCOLL_DECL asio::awaitable<void> session_state::revoke() {
    const bool needed = alive();
    stop();
    if (!needed) co_return;
    try {
        const auto revoked = co_await client_.lease_revoke(lease_);
        static_cast<void>(revoked);
    } catch (const error& failure) {
        if (failure.reason() != errc::not_found) throw; // gone already, and its keys with it
    }
}

ETCDCOLL_DECL asio::awaitable<void> session_state::wait_lost() {
    while (alive()) co_await changed_.wait();
    if (!lost_) throw error(errc::closed, "the session was closed");
}

ETCDCOLL_DECL asio::awaitable<std::shared_ptr<session_state>> open_session(etcd::client client, std::chrono::seconds ttl, call_options options) {
    const auto sent = client.core()->now();
    const auto granted = co_await client.lease_grant(ttl, etcd::lease_id(), options);
    const auto state = std::make_shared<session_state>(client, granted.id, sent, granted.ttl);
    state->start();
    co_return state;
}

ETCDCOLL_DECL asio::awaitable<void> revoke_session(std::shared_ptr<session_state> state) { co_await state->revoke(); }
ETCDCOLL_DECL asio::awaitable<void> wait_session_lost(std::shared_ptr<session_state> state) { co_await state->wait_lost(); }

ETCDCOLL_DECL session_state& opened(const std::shared_ptr<session_state>& state) {
    if (!state) throw error(errc::closed, "the session is not open");
    return *state;
}

} // namespace detail

ETCDCOLL_DECL session::session() noexcept = default;
ETCDCOLL_DECL session::session(std::shared_ptr<detail::session_state> state) : state_(std::move(state)) {}
ETCDCOLL_DECL session::session(session&&) noexcept = default;

ETCDCOLL_DECL session& session::operator=(session&& other) noexcept {
    session old(std::move(*this)); // ends the renewals of what stood here
    state_ = std::move(other.state_);
    return *this;
}

ETCDCOLL_DECL session::~session() {
    if (!state_) return;
    const auto strand = state_->core().strand();
    asio::post(strand, [state = std::move(state_)] { state->stop(); }); // not the last to hold it: that is on the strand
}

ETCDCOLL_DECL asio::awaitable<session> session::open(etcd::client client, std::chrono::seconds ttl) {
    const auto strand = client.core()->strand();
    auto state = co_await detail::on_strand(strand, detail::open_session(std::move(client), ttl, call_options()));
    co_return session(std::move(state));
}

ETCDCOLL_DECL etcd::lease_id session::lease() const { return detail::opened(state_).lease(); }

ETCDCOLL_DECL asio::awaitable<void> session::lost() {
    return detail::on_strand(detail::opened(state_).core().strand(), detail::wait_session_lost(state_));
}

ETCDCOLL_DECL asio::awaitable<void> session::close() {
    return detail::on_strand(detail::opened(state_).core().strand(), detail::revoke_session(state_));
}

} // namespace etcdcoll
