#pragma once
// What one etcd cluster holds and decides, in memory: keys with their history, transactions, leases, and what watches read. No I/O, no clock.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/etcd/watch.hpp>
#include <etcdcoll/impl/etcd/in_memory/history.hpp>
#include <etcdcoll/impl/etcd/in_memory/lease_table.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>

#include <functional>
#include <optional>
#include <vector>

namespace etcdcoll::etcd::model {

/// Where one watch stands in the history.
struct watcher {
    key_range keys;
    bool prev_kv = false;
    bool no_put = false;
    bool no_erase = false;
    revision next; ///< the first revision that it has not seen
};

struct watch_batch {
    std::vector<event> events; ///< complete revisions, oldest first
    revision compact_revision; ///< not 0: `next` is older than that, and the watch is over
};

/// Revisions, error codes and texts are those of etcd 3.4 to 3.6, and of 3.5 where they differ. Headers of replies hold the revision only. Every
/// function that refuses throws refusal, and has then changed nothing. One thread at a time.
class store {
public:
    explicit store(limits most = limits());

    revision current() const noexcept;
    /// What the last compaction has left is this and what is newer; 0 where there was none.
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
    /// A new leader gives every lease its full time again, and a second more.
    void leader_changed(time_point now);

    /// What `from` has not seen, of at most that many revisions that concern it, and moves it behind them.
    watch_batch read(watcher& from, std::size_t most_revisions = 1000) const;

    /// Called after each change of the revision.
    std::function<void()> on_change;

private:
    response_header header() const noexcept;
    void commit();
    std::int64_t readable(revision asked) const;
    const lease_table::lease& lease_of(lease_id id) const;

    // One operation, by itself or of a transaction; what it may be refused for was checked before.
    range_response read_range(const range_request& request) const;
    range_response read_chosen(const range_request& request, std::int64_t at) const;
    put_response write(const put_request& request);
    delete_range_response remove(const delete_range_request& request);

    // A transaction: what its compares say, in the order of its execution, before anything is changed.
    bool holds(const compare& one) const;
    void decide(const txn_request& request);
    void check_puts(const txn_request& request, std::size_t& nth, std::vector<const key_range*>& deletes) const;
    void check_put(const put_request& request) const;
    void check_ranges(const txn_request& request, std::size_t& nth) const;
    txn_response execute(const txn_request& request, std::size_t& nth);

    void end_lease(lease_id id);
    bool is_wanted(const watcher& of, const history::change& c) const;
    event event_of(const watcher& of, const history::change& c) const;

    limits most_;
    history keys_;
    lease_table leases_;
    std::vector<char> decisions_; // of the transaction that is being executed: one of each that it enters
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/store.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_leases.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_txn.ipp>
#include <etcdcoll/impl/etcd/in_memory/store_watch.ipp>
#endif
