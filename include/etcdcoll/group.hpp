#pragma once
// A named group of N ranks that meet through etcd.

#include <etcdcoll/bytes.hpp>
#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/serializer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

namespace etcdcoll {

namespace detail {
class group_state;
}

/// Which group to join, and as what. Every setter returns the object, so that options can be chained; what is not set is read from the
/// environment when the group is joined:
///
///     name   ETCDCOLL_GROUP, else "default"
///     rank   ETCDCOLL_RANK, RANK, OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK, SLURM_PROCID, else the lowest free one, assigned by etcd
///     size   ETCDCOLL_WORLD_SIZE, WORLD_SIZE, OMPI_COMM_WORLD_SIZE, PMI_SIZE, SLURM_NTASKS; it must be known
class ETCDCOLL_API group_options {
public:
    group_options();

    /// Any bytes, 1 to 255 of them.
    group_options& name(std::string text);
    /// From 0 to size - 1.
    group_options& rank(int number);
    /// The world size: 1 to 100,000.
    group_options& size(int number);
    /// How long a rank that died is still taken for alive. Default 10 s, at least 2 s.
    group_options& ttl(std::chrono::seconds limit);
    /// How long join() waits for the other ranks. Default 300 s.
    group_options& join_timeout(duration limit);
    /// How long a collective waits, unless its call says otherwise. Default 300 s.
    group_options& timeout(duration limit);
    /// Where the group's keys lie. Default "etcdcoll/groups".
    group_options& key_namespace(std::string text);

    struct values {
        std::optional<std::string> name;
        std::optional<int> rank;
        std::optional<int> size;
        std::chrono::seconds ttl{10};
        duration join_timeout = std::chrono::seconds(300);
        duration timeout = std::chrono::seconds(300);
        std::string key_namespace = "etcdcoll/groups";
    };
    const values& get() const noexcept { return values_; }

private:
    values values_;
};

/// What one call of a collective changes. Trivially destructible, so that it can be built inside a co_await expression.
struct collective_options {
    /// Zero: the group's.
    duration timeout = duration::zero();
};

/// One rank's membership of a group. Move-only. Any thread may call it; one collective at a time. Collectives are matched by call order:
/// every rank makes the same calls in the same order. All keys it writes carry the lease of its session, so a rank that dies leaves nothing
/// behind once the lease has run out; destroying a group that was not left has the same effect. Like every I/O object, it must not outlive its
/// execution context.
///
/// Every collective:
/// Errors:  timed_out (which ranks are missing, and what each was last seen doing), rank_lost (which), aborted (by whom, why),
///          collective_mismatch (who called what), lease_lost (this process is no member any more), too_large, closed. After any of them but
///          too_large and invalid_argument the epoch is over: leave, or join again.
/// Cancel:  terminal; when the arrival may have counted already, the group is aborted, since the others cannot be told apart from it any more.
class ETCDCOLL_API group {
public:
    /// Returns when all ranks of the group have joined. A group that ended, in order or by a crash of all its ranks, is begun anew; what a crashed
    /// rank left is waited for (its time to live at most).
    ///
    /// Errors:  invalid_argument (no size, rank out of range, two sources that contradict each other), rank_taken and group_full (by whom),
    ///          world_size_mismatch, protocol_mismatch, timed_out (which ranks never joined), lease_lost; the client's.
    /// Cancel:  terminal; the rank is withdrawn.
    /// Cost:    4 requests (more where processes that join at the same moment get in each other's way), and 1 event for each rank that joins later.
    static asio::awaitable<group> join(etcd::client client, group_options options = group_options());

    group(group&&) noexcept;
    group& operator=(group&&) noexcept;
    ~group();

    int rank() const;
    int size() const;
    const std::string& name() const;
    /// Counts the times that the name was begun anew without a pause; for people, not for protocols.
    std::int64_t epoch() const;

    /// Completes on no rank before it has been called on every rank.
    ///
    /// Cost:    1 transaction and 1 watch event a rank, whatever their number; while it waits, a read of all arrivals for each log line (every
    /// 10 s; with 128 ranks and more, 10 s for each 64).
    asio::awaitable<void> barrier(collective_options options = {}, std::source_location where = std::source_location::current());

    /// Returns the block of every rank, by rank. Blocks may differ in length and be empty; `mine` is copied during the call. One rank's
    /// block can be 1.5 MB at most.
    ///
    /// Cost:    1 transaction and 1 watch event a rank, and 1 transaction more in all. Where a block is longer than 1 MB / size, each rank reads
    /// all blocks besides: 1 request each 4 MB. While it waits, as barrier().
    asio::awaitable<std::vector<bytes>> allgather_bytes(std::span<const std::byte> mine, collective_options options = {},
                                                        std::source_location where = std::source_location::current());

    /// As allgather_bytes(), through serializer<T>. Not itself a coroutine: `mine` is encoded during the call, so a temporary is safe (for
    /// g++ 12, which destroys some of them twice, name an aggregate before the co_await).
    template <serializable T>
    asio::awaitable<std::vector<T>> allgather(const T& mine, collective_options options = {},
                                              std::source_location where = std::source_location::current());

    /// Ends the epoch for every rank: what they wait in, and what they call, throws `aborted` with this text. Not collective; of several, the first counts.
    ///
    /// Errors:  lease_lost; the client's.
    /// Cost:    1 transaction.
    asio::awaitable<void> abort(std::string text);

    /// Leaves the group and deletes what this rank wrote. Waits for nobody; the others fail with rank_lost if they still need this rank.
    ///
    /// Errors:  the client's; the keys then go when the lease runs out.
    /// Cost:    2 requests.
    asio::awaitable<void> leave();

    const std::shared_ptr<detail::group_state>& state() const noexcept { return state_; } // for the layers above

    group() noexcept; ///< holds nothing; every call throws errc::closed

private:
    explicit group(std::shared_ptr<detail::group_state> state);
    std::shared_ptr<detail::group_state> state_;
};

namespace detail {

template <serializable T> asio::awaitable<std::vector<T>> decode_all(asio::awaitable<std::vector<bytes>> gathering) {
    const auto blocks = co_await std::move(gathering);
    std::vector<T> values;
    values.reserve(blocks.size());
    for (const auto& block : blocks) values.push_back(serializer<T>::decode(block));
    co_return values;
}

} // namespace detail

template <serializable T>
asio::awaitable<std::vector<T>> group::allgather(const T& mine, collective_options options, std::source_location where) {
    const bytes encoded = serializer<T>::encode(mine);
    return detail::decode_all<T>(allgather_bytes(encoded, options, where));
}

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/group/group.ipp>
#endif
