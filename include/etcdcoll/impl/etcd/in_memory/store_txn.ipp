#pragma once

#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>
#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <algorithm>

namespace etcdcoll::etcd::model {

namespace comparing {

template <class T> bool relates(const T& have, compare::relation is, const T& wanted) {
    switch (is) {
    case compare::relation::equal: return have == wanted;
    case compare::relation::not_equal: return have != wanted;
    case compare::relation::greater: return have > wanted;
    case compare::relation::less: return have < wanted;
    }
    return true;
}

ETCDCOLL_DECL bool holds(const compare& one, const history::record& have) {
    switch (one.what) {
    case compare::target::version: return relates(have.version, one.is, one.number);
    case compare::target::create: return relates(have.create, one.is, one.number);
    case compare::target::mod: return relates(have.mod, one.is, one.number);
    case compare::target::lease: return relates(have.lease, one.is, one.number);
    case compare::target::value: return relates(have.value, one.is, one.value);
    }
    return true;
}

} // namespace comparing

// For every key of the range; where there is none, for one whose numbers are all 0. What is absent has no value, not even an empty one.
ETCDCOLL_DECL bool store::holds(const compare& one) const {
    bool any = false;
    bool all = true;
    keys_.each(one.keys, keys_.current(), [&](const history::key&, const history::record& have) {
        any = true;
        all = comparing::holds(one, have);
        return all;
    });
    if (any) return all;
    return one.what != compare::target::value && comparing::holds(one, history::record{});
}

// Which branches run, of the nested transactions in them too: all of it is settled by the state before the first change.
ETCDCOLL_DECL void store::decide(const txn_request& request) {
    const bool all = std::all_of(request.compares.begin(), request.compares.end(), [this](const compare& one) { return holds(one); });
    decisions_.push_back(all);
    for (const auto& one : all ? request.success : request.failure)
        if (const auto* nested = std::get_if<txn_request>(&one.request)) decide(*nested);
}

ETCDCOLL_DECL void store::check_put(const put_request& request) const {
    if ((request.ignore_value || request.ignore_lease) && !keys_.find(request.key)) throw refusal(3, "etcdserver: key not found");
    if (request.lease) lease_of(request.lease);
}

// `deletes`: those without an end that run before. They may take the key away that a put relies on, which etcd does not survive.
ETCDCOLL_DECL void store::check_puts(const txn_request& request, std::size_t& nth, std::vector<const key_range*>& deletes) const {
    for (const auto& one : decisions_[nth++] ? request.success : request.failure) {
        if (const auto* nested = std::get_if<txn_request>(&one.request)) {
            check_puts(*nested, nth, deletes);
        } else if (const auto* erased = std::get_if<delete_range_request>(&one.request)) {
            if (is_open(erased->keys)) deletes.push_back(&erased->keys);
        } else if (const auto* written = std::get_if<put_request>(&one.request)) {
            check_put(*written);
            if (!written->ignore_value && !written->ignore_lease) continue;
            for (const auto* range : deletes)
                if (contains(*range, written->key)) throw refusal(3, "etcdserver: key not found");
        }
    }
}

ETCDCOLL_DECL void store::check_ranges(const txn_request& request, std::size_t& nth) const {
    for (const auto& one : decisions_[nth++] ? request.success : request.failure) {
        if (const auto* nested = std::get_if<txn_request>(&one.request)) {
            check_ranges(*nested, nth);
        } else if (const auto* read = std::get_if<range_request>(&one.request)) {
            const auto at = read->revision.value;
            if (at == 0) continue;
            if (at > keys_.current()) throw refusal(11, "etcdserver: mvcc: required revision is a future revision");
            if (at < keys_.compacted()) throw refusal(11, "etcdserver: mvcc: required revision has been compacted");
        }
    }
}

ETCDCOLL_DECL txn_response store::execute(const txn_request& request, std::size_t& nth) {
    txn_response reply;
    reply.succeeded = decisions_[nth++] != 0;
    const auto& branch = reply.succeeded ? request.success : request.failure;
    reply.responses.reserve(branch.size());
    for (const auto& one : branch) {
        if (const auto* read = std::get_if<range_request>(&one.request)) {
            reply.responses.emplace_back(read_range(*read));
        } else if (const auto* written = std::get_if<put_request>(&one.request)) {
            reply.responses.emplace_back(write(*written));
        } else if (const auto* erased = std::get_if<delete_range_request>(&one.request)) {
            reply.responses.emplace_back(remove(*erased));
        } else {
            reply.responses.emplace_back(execute(std::get<txn_request>(one.request), nth));
        }
    }
    return reply;
}

ETCDCOLL_DECL txn_response store::txn(const txn_request& request) {
    check_request(request, most_);
    decisions_.clear();
    decide(request);
    std::vector<const key_range*> deletes;
    std::size_t nth = 0;
    check_puts(request, nth, deletes);
    nth = 0;
    check_ranges(request, nth);
    nth = 0;
    auto reply = execute(request, nth);
    reply.header = header(); // that of a nested one stays empty
    commit();
    return reply;
}

} // namespace etcdcoll::etcd::model
