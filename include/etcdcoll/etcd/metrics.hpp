#pragma once
// What a client counts, and what it tells of each call.

#include <etcdcoll/environment.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace etcdcoll {

/// Calls by how long they took, repetitions and waiting for a connection included.
struct latency_histogram {
    static constexpr std::size_t size = 20;
    /// Bucket i counts calls of at most 64 us x 2^i that the buckets before it do not; the last one has no bound.
    std::array<std::uint64_t, size> counts{};
    duration total = duration::zero();

    static constexpr duration bound(std::size_t bucket) { return std::chrono::microseconds(64LL << bucket); }
    /// The bound of the bucket in which the share (0.5 is the median) of calls is reached; zero without calls.
    ETCDCOLL_API duration quantile(double share) const noexcept;
};

/// Counted since the client was made.
struct client_metrics {
    std::uint64_t calls = 0;
    std::uint64_t attempts = 0; ///< requests sent for calls
    std::uint64_t retries = 0;  ///< attempts that were repetitions
    std::uint64_t failures = 0; ///< calls that ended with an error, cancellations included
    std::uint64_t logins = 0;   ///< tokens asked for
    std::uint64_t connects = 0; ///< connections begun
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t watch_streams = 0;    ///< opened, reconnects included
    std::uint64_t watch_reconnects = 0; ///< opened because one had broken, fallen silent or been ended by the server
    std::uint64_t watch_events = 0;     ///< delivered
    std::uint64_t watch_repeats = 0;    ///< dropped, since a server sent them again
    std::uint64_t watch_backlog = 0;    ///< now: events that were delivered and that no next() has taken yet
    latency_histogram latency;
};

/// One call that has ended.
struct call_report {
    std::string_view call;     ///< "put"; "authenticate" for the logins that the client makes by itself
    std::string_view endpoint; ///< URL of the last attempt's member; empty where there was none
    duration latency;
    int attempts = 0;
    std::optional<errc> failure; ///< nothing: it worked
};

/// The snapshot in Prometheus' text format, with `labels` (`client="a",zone="b"`) on each sample.
ETCDCOLL_API std::string prometheus_text(const client_metrics& metrics, std::string_view labels = {});

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/metrics.ipp>
#endif
