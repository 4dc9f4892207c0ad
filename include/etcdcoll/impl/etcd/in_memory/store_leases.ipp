#pragma once

#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <algorithm>

namespace etcdcoll::etcd::model {

ETCDCOLL_DECL const lease_table::lease& store::lease_of(lease_id id) const {
    const auto* found = leases_.find(id);
    if (!found) throw refusal(5, "etcdserver: requested lease not found");
    return *found;
}

ETCDCOLL_DECL lease_grant_response store::grant(std::int64_t ttl, lease_id id, time_point now) {
    if (ttl > 9'000'000'000) throw refusal(11, "etcdserver: too large lease TTL");
    if (!id) id = leases_.unused();
    if (leases_.find(id)) throw refusal(9, "etcdserver: lease already exists");
    lease_grant_response reply;
    reply.header = header();
    reply.id = id;
    reply.ttl = std::chrono::seconds(std::max<std::int64_t>(ttl, 2)); // one and a half of the time after which followers elect
    leases_.add(id, reply.ttl, now);
    return reply;
}

ETCDCOLL_DECL lease_keep_alive_response store::keep_alive(lease_id id, time_point now) {
    lease_keep_alive_response reply;
    reply.header = header();
    reply.id = id;
    if (leases_.renew(id, now)) reply.ttl = leases_.find(id)->granted;
    return reply;
}

// Its keys are deleted in one revision, in their order.
ETCDCOLL_DECL void store::end_lease(lease_id id) {
    for (const auto* key : leases_.find(id)->keys) keys_.erase(keys_.living(key->first).first);
    leases_.remove(id);
}

ETCDCOLL_DECL lease_revoke_response store::revoke(lease_id id) {
    lease_of(id);
    end_lease(id);
    lease_revoke_response reply;
    reply.header = header();
    commit();
    return reply;
}

ETCDCOLL_DECL lease_time_to_live_response store::time_to_live(lease_id id, bool keys, time_point now) const {
    lease_time_to_live_response reply;
    reply.header = header();
    reply.id = id;
    const auto* found = leases_.find(id);
    if (!found) return reply;
    reply.ttl = std::chrono::duration_cast<std::chrono::seconds>(std::max(found->expiry - now, duration::zero()));
    reply.granted_ttl = found->granted;
    if (keys)
        for (const auto* key : found->keys) reply.keys.push_back(key->first);
    return reply;
}

ETCDCOLL_DECL lease_list_response store::leases() const {
    lease_list_response reply;
    reply.header = header();
    reply.leases = leases_.by_expiry();
    return reply;
}

ETCDCOLL_DECL void store::expire(time_point now) {
    for (auto next = leases_.first(); next && next->first <= now; next = leases_.first()) {
        end_lease(next->second);
        commit();
    }
}

ETCDCOLL_DECL std::optional<time_point> store::next_expiry() const {
    const auto next = leases_.first();
    if (!next) return std::nullopt;
    return next->first;
}

ETCDCOLL_DECL void store::leader_changed(time_point now) {
    leases_.renew_all(now, std::chrono::seconds(1)); // etcd adds the time that an election takes
}

} // namespace etcdcoll::etcd::model
