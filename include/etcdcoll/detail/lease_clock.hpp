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

    lease_clock(time_point sent, duration ttl) : sent_(sent), ttl_(ttl) {}

    /// A renewal that was sent then has been granted for `ttl`.
    void renewed(time_point sent, duration ttl) noexcept {
        sent_ = sent;
        ttl_ = ttl;
    }

    time_point renew_at() const noexcept { return sent_ + ttl_ / 3; }
    time_point expires_at() const noexcept { return sent_ + ttl_; }

private:
    time_point sent_;
    duration ttl_;
};

} // namespace etcdcoll::detail
