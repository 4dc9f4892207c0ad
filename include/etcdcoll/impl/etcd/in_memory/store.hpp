#pragma once
// What one etcd cluster holds and decides, in memory: keys with their history, transactions, leases, and what watches read. No I/O, no clock.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/etcd/watch.hpp>

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace etcdcoll::etcd::model {

/// What etcd answers instead of a reply.
class refusal : public std::runtime_error {
public:
    refusal(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
    int code() const noexcept { return code_; } ///< gRPC's numbering

private:
    int code_;
};

/// What etcd's flags of the same names set.
struct limits {
    std::size_t max_request_bytes = 1'572'864;
    std::size_t max_txn_ops = 128;
};

/// Where one watch stands in the history.
struct watcher {
    key_range keys;
    bool prev_kv = false;
    bool no_put = false;
    bool no_erase = false;
    revision next; ///< the first revision that it has not seen
};

struct watch_batch {
    std::vector<event> events;    ///< complete revisions, oldest first
    revision compact_revision;    ///< not 0: `next` is older than that, and the watch is over
};

/// Revisions, error codes and texts are those of etcd 3.4 to 3.6. Headers of replies hold the revision only. Every function that refuses throws
/// refusal, and has then changed nothing.
class store {
public:
    explicit store(limits most = limits());

    revision current() const noexcept;
    revision compacted() const noexcept;

    range_response range(const range_request& request) const;
    put_response put(const put_request& request);
    delete_range_response erase(const delete_range_request& request);
    txn_response txn(const txn_request& request);
    compact_response compact(revision at);

    lease_grant_response grant(std::int64_t ttl, lease_id id, time_point now);
    lease_keep_alive_response keep_alive(lease_id id, time_point now);
    lease_revoke_response revoke(lease_id id);
    lease_time_to_live_response time_to_live(lease_id id, bool keys, time_point now) const;
    lease_list_response leases() const;
    /// Revokes what has run out, oldest first.
    void expire(time_point now);
    std::optional<time_point> next_expiry() const;
    /// A new leader gives every lease its full time again.
    void leader_changed(time_point now);

    /// What `from` has not seen, of at most that many revisions that concern it, and moves it behind them.
    watch_batch read(watcher& from, std::size_t most_revisions = 1000) const;

    /// Called after each change of the revision.
    std::function<void()> on_change;
};

} // namespace etcdcoll::etcd::model
