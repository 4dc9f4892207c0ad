#pragma once

#include <etcdcoll/etcd/namespaced.hpp>

#include <string_view>

namespace etcdcoll::etcd {

namespace detail {

// ---- what is sent ---------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void add_prefix(const std::string& prefix, key_range& keys) {
    if (keys.key.empty()) throw error(errc::invalid_argument, "the key is empty");
    keys.key.insert(0, prefix);
    if (keys.end.empty()) return;
    if (keys.end.size() == 1 && keys.end[0] == '\0') {
        keys.end = etcd::prefix(prefix).end; // every key from `key` on, of the view
    } else {
        keys.end.insert(0, prefix);
    }
}

ETCDCOLL_DECL void add_prefix(const std::string& prefix, range_request& request) { add_prefix(prefix, request.keys); }
ETCDCOLL_DECL void add_prefix(const std::string& prefix, delete_range_request& request) { add_prefix(prefix, request.keys); }

ETCDCOLL_DECL void add_prefix(const std::string& prefix, put_request& request) {
    if (request.key.empty()) throw error(errc::invalid_argument, "put: the key is empty");
    request.key.insert(0, prefix);
}

ETCDCOLL_DECL void add_prefix(const std::string& prefix, txn_request& request) {
    for (auto& one : request.compares) add_prefix(prefix, one.keys);
    const auto of_any = [&prefix](auto& inner) { add_prefix(prefix, inner); };
    for (auto* branch : {&request.success, &request.failure})
        for (auto& item : *branch) std::visit(of_any, item.request);
}

// ---- what comes back ------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void take_prefix(const std::string& prefix, key_value& kv) {
    if (std::string_view(kv.key).starts_with(prefix)) kv.key.erase(0, prefix.size());
}

ETCDCOLL_DECL void take_prefix(const std::string& prefix, range_response& reply) {
    for (auto& kv : reply.kvs) take_prefix(prefix, kv);
}

ETCDCOLL_DECL void take_prefix(const std::string& prefix, put_response& reply) {
    if (reply.prev_kv) take_prefix(prefix, *reply.prev_kv);
}

ETCDCOLL_DECL void take_prefix(const std::string& prefix, delete_range_response& reply) {
    for (auto& kv : reply.prev_kvs) take_prefix(prefix, kv);
}

ETCDCOLL_DECL void take_prefix(const std::string& prefix, txn_response& reply) {
    const auto of_any = [&prefix](auto& inner) { take_prefix(prefix, inner); };
    for (auto& item : reply.responses) std::visit(of_any, item);
}

ETCDCOLL_DECL void take_prefix(const std::string& prefix, watch_response& reply) {
    for (auto& one : reply.events) {
        take_prefix(prefix, one.kv);
        if (one.prev_kv) take_prefix(prefix, *one.prev_kv);
    }
}

// A lease knows no prefix: its other keys come too.
ETCDCOLL_DECL void take_prefix(const std::string& prefix, lease_time_to_live_response& reply) {
    std::erase_if(reply.keys, [&prefix](const std::string& key) { return key.size() <= prefix.size() || !key.starts_with(prefix); });
    for (auto& key : reply.keys) key.erase(0, prefix.size());
}

ETCDCOLL_DECL asio::awaitable<std::optional<key_value>> first_kept(asio::awaitable<range_response> reading) {
    auto found = co_await std::move(reading);
    if (found.kvs.empty()) co_return std::nullopt;
    co_return std::move(found.kvs.front());
}

template <class Reply> asio::awaitable<Reply> without_prefix(asio::awaitable<Reply> call, std::string prefix) {
    auto reply = co_await std::move(call);
    take_prefix(prefix, reply);
    co_return reply;
}

} // namespace detail

ETCDCOLL_DECL asio::awaitable<watch_response> namespaced_watch::next() { return detail::without_prefix(inner_.next(), prefix_); }

ETCDCOLL_DECL asio::awaitable<range_response> namespaced::range(range_request request, call_options options) {
    detail::add_prefix(prefix_, request);
    return detail::without_prefix(client_.range(std::move(request), options), prefix_);
}

ETCDCOLL_DECL asio::awaitable<std::optional<key_value>> namespaced::get(std::string key, call_options options) {
    return detail::first_kept(range(range_request(std::move(key)), options));
}

ETCDCOLL_DECL asio::awaitable<put_response> namespaced::put(put_request request, call_options options) {
    detail::add_prefix(prefix_, request);
    return detail::without_prefix(client_.put(std::move(request), options), prefix_);
}

ETCDCOLL_DECL asio::awaitable<put_response> namespaced::put(std::string key, std::string value, call_options options) {
    return put(put_request(std::move(key), std::move(value)), options);
}

ETCDCOLL_DECL asio::awaitable<delete_range_response> namespaced::delete_range(delete_range_request request, call_options options) {
    detail::add_prefix(prefix_, request);
    return detail::without_prefix(client_.delete_range(std::move(request), options), prefix_);
}

ETCDCOLL_DECL asio::awaitable<txn_response> namespaced::txn(txn_request request, call_options options) {
    detail::add_prefix(prefix_, request);
    return detail::without_prefix(client_.txn(std::move(request), options), prefix_);
}

ETCDCOLL_DECL asio::awaitable<lease_time_to_live_response> namespaced::lease_time_to_live(lease_id id, bool keys, call_options options) {
    return detail::without_prefix(client_.lease_time_to_live(id, keys, options), prefix_);
}

ETCDCOLL_DECL namespaced_watch namespaced::watch(watch_request request) {
    detail::add_prefix(prefix_, request.keys);
    return {client_.watch(std::move(request)), prefix_};
}

} // namespace etcdcoll::etcd
