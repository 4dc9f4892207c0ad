#pragma once

#include <etcdcoll/impl/etcd/in_memory/lease_table.hpp>

namespace etcdcoll::etcd::model {

ETCDCOLL_DECL const lease_table::lease* lease_table::find(lease_id id) const {
    const auto found = leases_.find(id);
    return found == leases_.end() ? nullptr : &found->second;
}

ETCDCOLL_DECL lease_id lease_table::unused() {
    do ++last_chosen_;
    while (leases_.count(lease_id{last_chosen_}) != 0);
    return lease_id{last_chosen_};
}

ETCDCOLL_DECL void lease_table::add(lease_id id, std::chrono::seconds granted, time_point now) {
    const auto added = leases_.emplace(id, lease{granted, now + granted, {}}).first;
    expiries_.emplace(added->second.expiry, id);
}

ETCDCOLL_DECL void lease_table::remove(lease_id id) {
    const auto found = leases_.find(id);
    if (found == leases_.end()) return;
    expiries_.erase({found->second.expiry, id});
    leases_.erase(found);
}

ETCDCOLL_DECL void lease_table::set_expiry(lease_id id, lease& of, time_point when) {
    auto place = expiries_.extract({of.expiry, id});
    of.expiry = when;
    place.value().first = when;
    expiries_.insert(std::move(place));
}

ETCDCOLL_DECL bool lease_table::renew(lease_id id, time_point now) {
    const auto found = leases_.find(id);
    if (found == leases_.end() || found->second.expiry <= now) return false; // etcd revokes what has run out, and answers then
    set_expiry(id, found->second, now + found->second.granted);
    return true;
}

ETCDCOLL_DECL void lease_table::renew_all(time_point now, std::chrono::seconds longer) {
    for (auto& [id, one] : leases_) set_expiry(id, one, now + one.granted + longer);
}

ETCDCOLL_DECL void lease_table::attach(std::int64_t id, const history::key& one) {
    if (id == 0) return;
    const auto found = leases_.find(lease_id{id});
    if (found != leases_.end()) found->second.keys.insert(&one);
}

ETCDCOLL_DECL void lease_table::detach(std::int64_t id, const history::key& one) {
    if (id == 0) return;
    const auto found = leases_.find(lease_id{id});
    if (found != leases_.end()) found->second.keys.erase(&one);
}

ETCDCOLL_DECL std::optional<std::pair<time_point, lease_id>> lease_table::first() const {
    if (expiries_.empty()) return std::nullopt;
    return *expiries_.begin();
}

ETCDCOLL_DECL std::vector<lease_id> lease_table::by_expiry() const {
    std::vector<lease_id> ids;
    ids.reserve(expiries_.size());
    for (const auto& [when, id] : expiries_) ids.push_back(id);
    return ids;
}

} // namespace etcdcoll::etcd::model
