#pragma once
// What a holder may believe of its lease, in its own time. No I/O.

#include <chrono>

namespace etcdcoll::detail {

/// The server counts from the moment it handled a renewal, which is later than the moment it was sent: counted from the sending, a lease
/// is never believed in for longer than the server keeps it.
class lease_clock {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    lease_clock(time_point sent, duration ttl) { renewed(sent, ttl); }

    /// A renewal that was sent then has been granted for `ttl`.
    void renewed(time_point sent, duration ttl) noexcept {
        sent_ = sent;
        ttl_ = ttl;
        renew_at_ = sent + ttl / 3;
    }

    /// A renewal has failed: the next one is due then. What is left of the lease does not change.
    void postponed(time_point until) noexcept { renew_at_ = until; }

    time_point renewed_at() const noexcept { return sent_; }
    time_point renew_at() const noexcept { return renew_at_; }
    time_point expires_at() const noexcept { return sent_ + ttl_; }

private:
    time_point sent_;
    duration ttl_;
    time_point renew_at_;
};

} // namespace etcdcoll::detail
