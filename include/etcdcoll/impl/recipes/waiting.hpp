#pragma once
// What the recipes wait with: changes, a deadline and the loss of a session, whichever comes first.

#include <etcdcoll/impl/session_state.hpp>

#include <memory>
#include <optional>

namespace etcdcoll::detail {

inline constexpr duration blame_limit = std::chrono::seconds(1); // for the read that names who is to blame, after the deadline

/// Throws invalid_argument unless `timeout` is longer than zero.
void check_timeout(const char* call, duration timeout);
time_point deadline_after(client_core& core, duration timeout);
/// For one call: what is left until the deadline.
call_options until(client_core& core, time_point deadline);
/// Likewise, for a transaction whose compares fail once it has been executed.
call_options guarded_until(client_core& core, time_point deadline);

/// Throws timed_out: "queue \"jobs\"", and the text behind it.
[[noreturn]] void fail_late(const char* call, const char* kind, const std::string& name, const std::string& text);

/// Throws why the session has ended, if it has.
void check_session(const session_state& session);
/// "etcd knows no such lease", of a write that carries the session's, means that the lease is lost.
[[noreturn]] void rethrow_lease(const error& failure);

/// The next changes; nothing when the deadline comes first. No change is lost to a deadline or a cancellation: the next call brings it. This and
/// what follows runs on the client's strand.
asio::awaitable<std::optional<etcd::watch_response>> next_before(etcd::watch* changes, std::shared_ptr<client_core> core, time_point deadline);

/// `operation`, cancelled when the session ends before it; throws lease_lost, or closed, then.
template <class T> asio::awaitable<T> while_alive(std::shared_ptr<session_state> session, asio::awaitable<T> operation);

/// A pause between repetitions: doubles from 2 ms to 250 ms, with jitter over its upper half.
class pause {
public:
    explicit pause(std::shared_ptr<client_core> core) : core_(std::move(core)) {}
    /// Ends at `deadline` at the latest.
    asio::awaitable<void> wait(time_point deadline);

private:
    std::shared_ptr<client_core> core_;
    duration full_ = std::chrono::milliseconds(2);
};

} // namespace etcdcoll::detail

#include <etcdcoll/impl/recipes/while_alive.hpp>

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/waiting.ipp>
#endif
