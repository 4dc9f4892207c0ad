#pragma once

#include <etcdcoll/etcd/lock.hpp>
#include <etcdcoll/impl/etcd/service_call.hpp>

namespace etcdcoll::etcd {

namespace detail {

// Never repeated: etcd deletes the key of a wait that was broken off, some time later, and a repetition would wait on that same key.
inline constexpr call_spec lock_call{"lock", "/v3/lock/lock", repeatability::once, true};
inline constexpr call_spec unlock_call{"unlock", "/v3/lock/unlock", repeatability::once};

ETCDCOLL_DECL std::string encode_lock(std::string_view name, lease_id lease) {
    std::string text;
    {
        codec::object_writer out(text);
        out.bytes("name", name);
        out.number("lease", lease.value);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_unlock(std::string_view key) {
    std::string text;
    {
        codec::object_writer out(text);
        out.bytes("key", key);
    }
    return text;
}

ETCDCOLL_DECL lock_response read_lock(const codec::json::object& from) {
    lock_response reply;
    reply.header = codec::read_whole_header(from);
    reply.key = codec::bytes(from, "key");
    if (reply.key.empty()) throw codec::bad_reply("key is missing");
    return reply;
}

ETCDCOLL_DECL void check_lease(const char* call, lease_id lease) {
    if (!lease) throw error(errc::invalid_argument, std::string(call) + ": it needs a lease");
}

} // namespace detail

ETCDCOLL_DECL lock_service::lock_service(client through) : client_(std::move(through)) {}

// Without a lease etcd would make one of 60 s that nobody keeps alive and nobody can revoke.
ETCDCOLL_DECL asio::awaitable<lock_response> lock_service::lock(std::string name, lease_id lease, call_options options) {
    detail::check_not_empty("lock", "name", name);
    detail::check_lease("lock", lease);
    auto body = detail::encode_lock(name, lease);
    return detail::request<lock_response>(client_, detail::lock_call, std::move(body), std::move(name), options, detail::read_lock);
}

ETCDCOLL_DECL asio::awaitable<response_header> lock_service::unlock(std::string key, call_options options) {
    detail::check_not_empty("unlock", "key", key);
    auto body = detail::encode_unlock(key);
    return detail::request<response_header>(client_, detail::unlock_call, std::move(body), std::move(key), options, detail::read_header_only);
}

} // namespace etcdcoll::etcd
