#pragma once
// The leases of a store: which there are, when they run out, and which keys they hold.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/impl/etcd/in_memory/history.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace etcdcoll::etcd::model {

class lease_table {
public:
    struct by_name {
        bool operator()(const history::key* a, const history::key* b) const noexcept { return a->first < b->first; }
    };
    struct lease {
        std::chrono::seconds granted;
        time_point expiry;
        std::set<const history::key*, by_name> keys; ///< etcd deletes them in this order
    };

    const lease* find(lease_id id) const;
    /// A number that no lease has.
    lease_id unused();
    /// `id` is unused.
    void add(lease_id id, std::chrono::seconds granted, time_point now);
    /// Its keys are detached.
    void remove(lease_id id);
    /// From `now` on it has its time again; false where it is gone or has run out.
    bool renew(lease_id id, time_point now);
    /// As renew() for all, and for those that have run out too.
    void renew_all(time_point now, std::chrono::seconds longer);

    /// No lease, and one that is gone, hold nothing.
    void attach(std::int64_t id, const history::key& one);
    void detach(std::int64_t id, const history::key& one);

    /// Which runs out first, or has.
    std::optional<std::pair<time_point, lease_id>> first() const;
    std::vector<lease_id> by_expiry() const;

private:
    void set_expiry(lease_id id, lease& of, time_point when);

    std::map<lease_id, lease> leases_;
    std::set<std::pair<time_point, lease_id>> expiries_;
    std::int64_t last_chosen_ = 0x7000'0000'0000'0000;
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/lease_table.ipp>
#endif
