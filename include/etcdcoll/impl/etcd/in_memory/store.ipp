#pragma once

#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>
#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <algorithm>
#include <compare>

namespace etcdcoll::etcd::model {

ETCDCOLL_DECL store::store(limits most) : most_(most) {}

ETCDCOLL_DECL revision store::current() const noexcept { return {keys_.current()}; }

ETCDCOLL_DECL revision store::compacted() const noexcept { return {std::max<std::int64_t>(keys_.compacted(), 0)}; }

// Of a reply, and of each operation of a transaction as far as it has been executed.
ETCDCOLL_DECL response_header store::header() const noexcept {
    response_header result;
    result.revision.value = keys_.newest();
    return result;
}

ETCDCOLL_DECL void store::commit() {
    if (keys_.commit() && on_change) on_change();
}

// The revision to read at; below 1 is the newest, as for etcd.
ETCDCOLL_DECL std::int64_t store::readable(revision asked) const {
    if (asked.value <= 0) return keys_.newest();
    if (asked.value > keys_.newest()) throw refusal(11, "etcdserver: mvcc: required revision is a future revision");
    if (asked.value < keys_.compacted()) throw refusal(11, "etcdserver: mvcc: required revision has been compacted");
    return asked.value;
}

namespace reading {

ETCDCOLL_DECL bool filters(const range_request& r) noexcept {
    return r.min_mod_revision || r.max_mod_revision || r.min_create_revision || r.max_create_revision;
}

ETCDCOLL_DECL bool passes(const range_request& r, const history::record& one) noexcept {
    return (!r.min_mod_revision || one.mod >= r.min_mod_revision.value) && (!r.max_mod_revision || one.mod <= r.max_mod_revision.value) &&
           (!r.min_create_revision || one.create >= r.min_create_revision.value) &&
           (!r.max_create_revision || one.create <= r.max_create_revision.value);
}

// What a read has found, before it is copied into a reply.
struct pick {
    const history::key* key;
    const history::record* record;
};

// Equal ones stay in the order of their keys. (etcd's sort promises that for up to twelve.)
ETCDCOLL_DECL void sort(std::vector<pick>& picks, sort_target by, bool descend) {
    const auto compared = [by](const pick& a, const pick& b) -> std::strong_ordering {
        switch (by) {
        case sort_target::key: break;
        case sort_target::version: return a.record->version <=> b.record->version;
        case sort_target::create: return a.record->create <=> b.record->create;
        case sort_target::mod: return a.record->mod <=> b.record->mod;
        case sort_target::value: return a.record->value <=> b.record->value;
        }
        return a.key->first <=> b.key->first;
    };
    std::sort(picks.begin(), picks.end(), [&](const pick& a, const pick& b) {
        const auto order = descend ? compared(b, a) : compared(a, b);
        return order != 0 ? order < 0 : a.key->first < b.key->first;
    });
}

} // namespace reading

// The plain case: by key, up to the limit, straight into the reply.
ETCDCOLL_DECL range_response store::read_range(const range_request& request) const {
    const auto at = readable(request.revision);
    const bool sorted = request.sort_target != sort_target::key || request.sort_order == sort_order::descend;
    if (!request.count_only && (sorted || reading::filters(request))) return read_chosen(request, at);
    range_response reply;
    reply.header = header();
    keys_.each(request.keys, at, [&](const history::key& key, const history::record& one) {
        ++reply.count;
        if (request.count_only) return true;
        if (request.limit > 0 && reply.count > request.limit) {
            reply.more = true;
        } else {
            reply.kvs.push_back(history::copy(key, one, !request.keys_only));
        }
        return true;
    });
    return reply;
}

// etcd sorts and filters behind the read: `count` is of all keys in the range. It reads all of them first, but for an order that is not asked
// for by name: then it has read no more than the limit, and one, by key.
ETCDCOLL_DECL range_response store::read_chosen(const range_request& request, std::int64_t at) const {
    range_response reply;
    reply.header = header();
    const auto limit = request.limit > 0 ? static_cast<std::size_t>(request.limit) : SIZE_MAX;
    const bool all = request.sort_order != sort_order::none || reading::filters(request) || limit == SIZE_MAX;
    std::vector<reading::pick> picks;
    keys_.each(request.keys, at, [&](const history::key& key, const history::record& one) {
        ++reply.count;
        if ((all || picks.size() <= limit) && reading::passes(request, one)) picks.push_back({&key, &one});
        return true;
    });
    if (request.sort_order != sort_order::none || request.sort_target != sort_target::key)
        reading::sort(picks, request.sort_target, request.sort_order == sort_order::descend);
    reply.more = picks.size() > limit;
    if (reply.more) picks.resize(limit);
    reply.kvs.reserve(picks.size());
    for (const auto& [key, record] : picks) reply.kvs.push_back(history::copy(*key, *record, !request.keys_only));
    return reply;
}

ETCDCOLL_DECL range_response store::range(const range_request& request) const {
    check_request(request, most_);
    return read_range(request);
}

ETCDCOLL_DECL put_response store::write(const put_request& request) {
    put_response reply;
    const auto* old = keys_.find(request.key);
    if (old && request.prev_kv) {
        const history::key& key = *keys_.living(request.key).first;
        reply.prev_kv = history::copy(key, *old);
    }
    const auto old_lease = old ? old->lease : 0;
    const auto lease = request.ignore_lease && old ? old_lease : request.lease.value;
    const auto& key = keys_.put(request.key, request.ignore_value && old ? old->value : request.value, lease);
    if (lease != old_lease) {
        leases_.detach(old_lease, key);
        leases_.attach(lease, key);
    }
    reply.header = header();
    return reply;
}

ETCDCOLL_DECL put_response store::put(const put_request& request) {
    check_request(request, most_);
    if (request.lease) lease_of(request.lease);
    if ((request.ignore_value || request.ignore_lease) && !keys_.find(request.key)) throw refusal(3, "etcdserver: key not found");
    auto reply = write(request);
    commit();
    return reply;
}

ETCDCOLL_DECL delete_range_response store::remove(const delete_range_request& request) {
    delete_range_response reply;
    auto [one, last] = keys_.living(request.keys);
    while (one != last) {
        const auto& now = one->second.kept.back();
        if (request.prev_kv) reply.prev_kvs.push_back(history::copy(*one, now));
        leases_.detach(now.lease, *one);
        one = keys_.erase(one);
        ++reply.deleted;
    }
    reply.header = header();
    return reply;
}

ETCDCOLL_DECL delete_range_response store::erase(const delete_range_request& request) {
    check_request(request, most_);
    auto reply = remove(request);
    commit();
    return reply;
}

ETCDCOLL_DECL compact_response store::compact(revision at) {
    if (at.value <= keys_.compacted()) throw refusal(11, "etcdserver: mvcc: required revision has been compacted");
    if (at.value > keys_.current()) throw refusal(11, "etcdserver: mvcc: required revision is a future revision");
    keys_.compact(at.value);
    compact_response reply;
    reply.header = header();
    return reply;
}

} // namespace etcdcoll::etcd::model
