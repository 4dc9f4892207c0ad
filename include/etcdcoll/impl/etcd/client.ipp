#pragma once

#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/limits.hpp>
#include <etcdcoll/impl/etcd/matching.hpp>
#include <etcdcoll/impl/etcd/watch_queue.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>

namespace etcdcoll::etcd {

// ---- what is refused before any I/O ---------------------------------------------------------------------------------------------

namespace detail {

ETCDCOLL_DECL std::size_t size_of(const key_range& keys) { return keys.key.size() + keys.end.size() + 8; }
ETCDCOLL_DECL std::size_t size_of(const range_request& r) { return size_of(r.keys) + 16; }
ETCDCOLL_DECL std::size_t size_of(const put_request& r) { return size_of_write(r.key, r.value, static_cast<bool>(r.lease)); }
ETCDCOLL_DECL std::size_t size_of(const delete_range_request& r) { return size_of(r.keys) + 4; }

struct txn_size {
    std::size_t bytes = 0;
    std::size_t operations = 0; // as etcd counts: the longest list, and of its nested transactions the largest on top
};

ETCDCOLL_DECL txn_size measure(const txn_request& r) {
    txn_size total;
    std::size_t deepest = 0;
    for (const auto& c : r.compares) total.bytes += size_of(c.keys) + c.value.size() + 16;
    for (const auto* list : {&r.success, &r.failure}) {
        for (const auto& item : *list) {
            if (const auto* nested = std::get_if<txn_request>(&item.request)) {
                const auto inner = measure(*nested);
                total.bytes += inner.bytes + 8;
                deepest = std::max(deepest, inner.operations);
            } else if (const auto* written = std::get_if<put_request>(&item.request)) {
                total.bytes += size_of(*written);
            } else if (const auto* read = std::get_if<range_request>(&item.request)) {
                total.bytes += size_of(*read);
            } else {
                total.bytes += size_of(std::get<delete_range_request>(item.request));
            }
        }
    }
    total.operations = std::max({r.compares.size(), r.success.size(), r.failure.size()}) + deepest;
    return total;
}

ETCDCOLL_DECL bool writes(const txn_request& r) {
    const auto one = [](const op& item) {
        if (const auto* nested = std::get_if<txn_request>(&item.request)) return writes(*nested);
        return !std::holds_alternative<range_request>(item.request);
    };
    return std::any_of(r.success.begin(), r.success.end(), one) || std::any_of(r.failure.begin(), r.failure.end(), one);
}

ETCDCOLL_DECL void check_size(const char* call, const std::string& key, std::size_t size) {
    if (size <= request_limit) return;
    throw error(errc::too_large, etcdcoll::detail::call_and_key(call, key) + ": " + std::to_string(size) +
                                     " bytes are more than the " + std::to_string(request_limit) + " that etcd takes in one request");
}

ETCDCOLL_DECL void check_key(const char* call, const std::string& key) {
    if (key.empty()) throw error(errc::invalid_argument, std::string(call) + ": the key is empty");
}

ETCDCOLL_DECL std::string first_key(const txn_request& r) {
    if (!r.compares.empty()) return r.compares.front().keys.key;
    for (const auto& item : r.success) {
        if (const auto* written = std::get_if<put_request>(&item.request)) return written->key;
        if (const auto* read = std::get_if<range_request>(&item.request)) return read->keys.key;
    }
    return {};
}

} // namespace detail

// ---- the client -----------------------------------------------------------------------------------------------------------------

namespace detail {

using etcdcoll::detail::call_spec;
using etcdcoll::detail::client_core;
using etcdcoll::detail::repeatability;

inline constexpr call_spec range_call{"range", "/v3/kv/range", repeatability::repeatable};
inline constexpr call_spec put_call{"put", "/v3/kv/put", repeatability::once};
inline constexpr call_spec delete_range_call{"delete_range", "/v3/kv/deleterange", repeatability::once};
inline constexpr call_spec txn_call{"txn", "/v3/kv/txn", repeatability::once};
inline constexpr call_spec read_txn_call{"txn", "/v3/kv/txn", repeatability::repeatable};
inline constexpr call_spec compact_call{"compact", "/v3/kv/compaction", repeatability::once};
inline constexpr call_spec grant_call{"lease_grant", "/v3/lease/grant", repeatability::idempotent};
inline constexpr call_spec keep_alive_call{"lease_keep_alive", "/v3/lease/keepalive", repeatability::repeatable};
inline constexpr call_spec revoke_call{"lease_revoke", "/v3/lease/revoke", repeatability::idempotent};
inline constexpr call_spec time_to_live_call{"lease_time_to_live", "/v3/lease/timetolive", repeatability::repeatable};
inline constexpr call_spec lease_list_call{"lease_list", "/v3/lease/leases", repeatability::repeatable};

// Keeps the core alive while it works: the handle may go meanwhile.
template <class Reply, class Match>
asio::awaitable<Reply> call(std::shared_ptr<client_core> core, call_spec spec, std::string body, std::string key, call_options options, Match match) {
    Reply reply;
    const client_core::decoder decode = [&reply, &match](std::string_view text) {
        Reply whole;
        codec::decode(text, whole);
        match(whole);
        reply = std::move(whole);
    };
    co_await core->call(spec, std::move(body), std::move(key), options, decode);
    co_return reply;
}

template <class Reply, class Match = codec::any_reply>
asio::awaitable<Reply> start(const std::shared_ptr<client_core>& core, call_spec spec, std::string body, std::string key, call_options options,
                             Match match = Match()) {
    return etcdcoll::detail::on_strand(core->strand(), call<Reply>(core, spec, std::move(body), std::move(key), options, std::move(match)));
}

ETCDCOLL_DECL asio::awaitable<std::optional<key_value>> first_of(asio::awaitable<range_response> reading) {
    auto found = co_await std::move(reading);
    if (found.kvs.empty()) co_return std::nullopt;
    co_return std::move(found.kvs.front());
}

// A final answer that came when the fate of an attempt before was open.
ETCDCOLL_DECL bool after_unknown(const error& failure, std::string_view answer) {
    return failure.reason() == errc::outcome_unknown && failure.context().server_message.find(answer) != std::string::npos;
}

// "already exists" is the answer to a repetition: the number was drawn by this call.
ETCDCOLL_DECL asio::awaitable<lease_grant_response> grant(std::shared_ptr<client_core> core, std::chrono::seconds ttl, lease_id id,
                                                          bool drawn, call_options options) {
    lease_grant_response reply;
    try {
        const codec::of_lease same(id);
        reply = co_await call<lease_grant_response>(core, grant_call, codec::encode_lease_grant(ttl, id), std::string(), options, same);
    } catch (const error& failure) {
        if (!drawn || !after_unknown(failure, "lease already exists")) throw;
        reply.id = id;
        reply.ttl = ttl;
    }
    co_return reply;
}

ETCDCOLL_DECL asio::awaitable<lease_revoke_response> revoke(std::shared_ptr<client_core> core, lease_id id, call_options options) {
    lease_revoke_response reply;
    try {
        const codec::any_reply any;
        reply = co_await call<lease_revoke_response>(core, revoke_call, codec::encode_lease(id), std::string(), options, any);
    } catch (const error& failure) {
        if (!after_unknown(failure, "requested lease not found")) throw; // an earlier attempt did it
    }
    co_return reply;
}

// Closes the core when the last handle goes; what runs inside holds the core itself.
struct handle {
    explicit handle(std::shared_ptr<client_core> core_) : core(std::move(core_)) {}
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;
    ~handle() {
        asio::post(core->strand(), [core = core] { core->close(); });
    }
    std::shared_ptr<client_core> core;
};

} // namespace detail

ETCDCOLL_DECL client::client(asio::any_io_executor executor, client_options options) {
    const auto owner = std::make_shared<detail::handle>(std::make_shared<detail::client_core>(std::move(executor), options.get()));
    core_ = std::shared_ptr<detail::client_core>(owner, owner->core.get());
}

ETCDCOLL_DECL client::~client() = default;
ETCDCOLL_DECL client::client(const client&) noexcept = default;
ETCDCOLL_DECL client& client::operator=(const client&) noexcept = default;
ETCDCOLL_DECL client::client(client&&) noexcept = default;
ETCDCOLL_DECL client& client::operator=(client&&) noexcept = default;

ETCDCOLL_DECL asio::awaitable<range_response> client::range(range_request request, call_options options) {
    detail::check_key("range", request.keys.key);
    detail::check_size("range", request.keys.key, detail::size_of(request));
    auto text = codec::encode(request);
    auto key = request.keys.key;
    return detail::start<range_response>(core_, detail::range_call, std::move(text), std::move(key), options, codec::keys_within(std::move(request.keys)));
}

ETCDCOLL_DECL asio::awaitable<std::optional<key_value>> client::get(std::string key, call_options options) {
    return detail::first_of(range(range_request(std::move(key)), options));
}

ETCDCOLL_DECL asio::awaitable<put_response> client::put(put_request request, call_options options) {
    detail::check_key("put", request.key);
    detail::check_size("put", request.key, detail::size_of(request));
    return detail::start<put_response>(core_, detail::put_call, codec::encode(request), request.key, options);
}

ETCDCOLL_DECL asio::awaitable<put_response> client::put(std::string key, std::string value, call_options options) {
    return put(put_request(std::move(key), std::move(value)), options);
}

ETCDCOLL_DECL asio::awaitable<delete_range_response> client::delete_range(delete_range_request request, call_options options) {
    detail::check_key("delete_range", request.keys.key);
    detail::check_size("delete_range", request.keys.key, detail::size_of(request));
    auto text = codec::encode(request);
    auto key = request.keys.key;
    return detail::start<delete_range_response>(core_, detail::delete_range_call, std::move(text), std::move(key), options,
                                                codec::keys_within(std::move(request.keys)));
}

ETCDCOLL_DECL asio::awaitable<txn_response> client::txn(txn_request request, call_options options) {
    const auto size = detail::measure(request);
    auto key = detail::first_key(request);
    if (size.operations > detail::operations_limit)
        throw error(errc::invalid_argument, etcdcoll::detail::call_and_key("txn", key) + ": more than 128 compares or operations");
    detail::check_size("txn", key, size.bytes);
    const auto& spec = detail::writes(request) ? detail::txn_call : detail::read_txn_call;
    return detail::start<txn_response>(core_, spec, codec::encode(request), std::move(key), options, codec::shaped_as(request));
}

ETCDCOLL_DECL asio::awaitable<compact_response> client::compact(revision at, bool physical, call_options options) {
    return detail::start<compact_response>(core_, detail::compact_call, codec::encode_compact(at, physical), std::string(), options);
}

ETCDCOLL_DECL asio::awaitable<lease_grant_response> client::lease_grant(std::chrono::seconds ttl, lease_id id, call_options options) {
    if (ttl < std::chrono::seconds(2)) throw error(errc::invalid_argument, "lease_grant: the time to live must be 2 s at least");
    const bool drawn = !id;
    if (drawn) id.value = static_cast<std::int64_t>((core_->system()->random() >> 1) | 1);
    return etcdcoll::detail::on_strand(core_->strand(), detail::grant(core_, ttl, id, drawn, options));
}

ETCDCOLL_DECL asio::awaitable<lease_keep_alive_response> client::lease_keep_alive(lease_id id, call_options options) {
    return detail::start<lease_keep_alive_response>(core_, detail::keep_alive_call, codec::encode_lease(id), std::string(), options,
                                                    codec::of_lease(id));
}

ETCDCOLL_DECL asio::awaitable<lease_revoke_response> client::lease_revoke(lease_id id, call_options options) {
    return etcdcoll::detail::on_strand(core_->strand(), detail::revoke(core_, id, options));
}

ETCDCOLL_DECL asio::awaitable<lease_time_to_live_response> client::lease_time_to_live(lease_id id, bool keys, call_options options) {
    return detail::start<lease_time_to_live_response>(core_, detail::time_to_live_call, codec::encode_time_to_live(id, keys), std::string(), options,
                                                       codec::of_lease(id));
}

ETCDCOLL_DECL asio::awaitable<lease_list_response> client::lease_list(call_options options) {
    return detail::start<lease_list_response>(core_, detail::lease_list_call, codec::encode_lease_list(), std::string(), options);
}

ETCDCOLL_DECL watch client::watch(watch_request request) {
    detail::check_key("watch", request.keys.key);
    const auto queue = std::make_shared<detail::watch_queue>(*core_);
    asio::post(core_->strand(), [core = core_, queue, request = std::move(request)]() mutable {
        queue->begin(*core->watches(), std::move(request), queue);
    });
    return etcd::watch(core_, queue);
}

ETCDCOLL_DECL client_metrics client::metrics() const noexcept {
    client_metrics result;
    const auto& counted = core_->counted;
    const auto& traffic = core_->pool().counters();
    result.calls = counted.calls;
    result.attempts = counted.attempts;
    result.retries = counted.retries;
    result.failures = counted.failures;
    result.logins = counted.logins;
    result.connects = traffic.connects;
    result.bytes_sent = traffic.bytes_sent;
    result.bytes_received = traffic.bytes_received;
    result.watch_streams = counted.watch_streams;
    result.watch_events = counted.watch_events;
    result.watch_repeats = counted.watch_repeats;
    result.watch_reconnects = counted.watch_reconnects;
    result.watch_backlog = *counted.watch_backlog;
    for (std::size_t i = 0; i < latency_histogram::size; ++i) result.latency.counts[i] = counted.latency[i];
    result.latency.total = duration(counted.latency_total.load());
    return result;
}

ETCDCOLL_DECL asio::any_io_executor client::executor() const { return core_->executor(); }

ETCDCOLL_DECL void client::close() noexcept {
    asio::post(core_->strand(), [core = core_] { core->close(); });
}

} // namespace etcdcoll::etcd
