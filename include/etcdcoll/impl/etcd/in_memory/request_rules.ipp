#pragma once

#include <etcdcoll/impl/etcd/in_memory/history.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etcdcoll::etcd::model {

namespace rules {

ETCDCOLL_DECL void refuse_message_above(std::size_t size, const limits& most) {
    const auto message = most.max_request_bytes + 512 * 1024; // what etcd lets gRPC take
    if (size > message) throw refusal(8, "grpc: received message larger than max (" + std::to_string(size) + " vs. " + std::to_string(message) + ")");
}

// In etcd's log a request stands behind a header with its number.
ETCDCOLL_DECL void refuse_entry_above(std::size_t size, const limits& most) {
    const auto length = (static_cast<std::size_t>(std::bit_width(size | 1)) + 6) / 7;
    if (14 + 1 + length + size > most.max_request_bytes) throw refusal(3, "etcdserver: request is too large");
}

ETCDCOLL_DECL void refuse_empty(const std::string& key) {
    if (key.empty()) throw refusal(3, "etcdserver: key is not provided");
}

ETCDCOLL_DECL void check(const range_request& request, std::size_t) { refuse_empty(request.keys.key); }

ETCDCOLL_DECL void check(const put_request& request, std::size_t) {
    refuse_empty(request.key);
    if (request.ignore_value && !request.value.empty()) throw refusal(3, "etcdserver: value is provided");
    if (request.ignore_lease && request.lease) throw refusal(3, "etcdserver: lease is provided");
}

ETCDCOLL_DECL void check(const delete_range_request& request, std::size_t) { refuse_empty(request.keys.key); }

// A nested transaction has what the longest list around it leaves.
ETCDCOLL_DECL void check(const txn_request& request, std::size_t operations) {
    const auto longest = std::max({request.compares.size(), request.success.size(), request.failure.size()});
    if (longest > operations) throw refusal(3, "etcdserver: too many operations in txn request");
    for (const auto& one : request.compares) refuse_empty(one.keys.key);
    for (const auto* branch : {&request.success, &request.failure})
        for (const auto& one : *branch) std::visit([&](const auto& inner) { check(inner, operations - longest); }, one.request);
}

// The keys that a list of operations puts, and the ranges that it deletes.
struct touched {
    std::vector<std::string_view> puts; // sorted
    std::vector<const key_range*> deletes;

    bool deletes_key(std::string_view key) const {
        // A delete without an end (one zero byte) escapes etcd's check: it takes that byte for the end.
        return std::any_of(deletes.begin(), deletes.end(), [&](const key_range* range) { return !is_open(*range) && contains(*range, key); });
    }
    bool puts_key(std::string_view key) const { return std::binary_search(puts.begin(), puts.end(), key); }
    // `twin`: operations that never run together with this one.
    void put(std::string_view key, const touched* twin = nullptr) {
        const auto place = std::lower_bound(puts.begin(), puts.end(), key);
        const bool there = place != puts.end() && *place == key;
        if ((there && !(twin && twin->puts_key(key))) || deletes_key(key)) throw refusal(3, "etcdserver: duplicate key given in txn request");
        if (!there) puts.insert(place, key);
    }
};

// In etcd's order: the deletes of this level, each nested transaction against them and the nested ones before it, the puts of this level.
ETCDCOLL_DECL touched refuse_twice(const std::vector<op>& operations) {
    touched all;
    for (const auto& one : operations)
        if (const auto* erased = std::get_if<delete_range_request>(&one.request)) all.deletes.push_back(&erased->keys);
    for (const auto& one : operations) {
        const auto* nested = std::get_if<txn_request>(&one.request);
        if (!nested) continue;
        const auto success = refuse_twice(nested->success);
        const auto failure = refuse_twice(nested->failure);
        for (const auto& key : success.puts) all.put(key);
        for (const auto& key : failure.puts) all.put(key, &success);
        for (const auto* branch : {&success, &failure}) all.deletes.insert(all.deletes.end(), branch->deletes.begin(), branch->deletes.end());
    }
    for (const auto& one : operations)
        if (const auto* written = std::get_if<put_request>(&one.request)) all.put(written->key);
    return all;
}

ETCDCOLL_DECL bool may_write_twice(const std::vector<op>& operations) {
    std::size_t writes = 0;
    for (const auto& one : operations) {
        if (std::holds_alternative<txn_request>(one.request)) return true;
        if (!std::holds_alternative<range_request>(one.request)) ++writes;
    }
    return writes > 1;
}

} // namespace rules

ETCDCOLL_DECL bool only_reads(const txn_request& request) {
    const auto reads = [](const op& one) { return std::holds_alternative<range_request>(one.request); };
    return std::all_of(request.success.begin(), request.success.end(), reads) && std::all_of(request.failure.begin(), request.failure.end(), reads);
}

ETCDCOLL_DECL void check_request(const range_request& request, const limits& most) {
    rules::refuse_message_above(wire_size(request), most);
    rules::check(request, 0);
}

ETCDCOLL_DECL void check_request(const put_request& request, const limits& most) {
    const auto size = wire_size(request);
    rules::refuse_message_above(size, most);
    rules::check(request, 0);
    rules::refuse_entry_above(size, most);
}

ETCDCOLL_DECL void check_request(const delete_range_request& request, const limits& most) {
    const auto size = wire_size(request);
    rules::refuse_message_above(size, most);
    rules::check(request, 0);
    rules::refuse_entry_above(size, most);
}

ETCDCOLL_DECL void check_request(const txn_request& request, const limits& most) {
    const auto size = wire_size(request);
    rules::refuse_message_above(size, most);
    rules::check(request, most.max_txn_ops);
    for (const auto* branch : {&request.success, &request.failure})
        if (rules::may_write_twice(*branch)) rules::refuse_twice(*branch);
    if (!only_reads(request)) rules::refuse_entry_above(size, most);
}

} // namespace etcdcoll::etcd::model
