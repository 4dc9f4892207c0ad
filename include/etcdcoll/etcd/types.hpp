#pragma once
// Requests and replies of etcd's v3 API, one struct each, with all of their fields (but LeaseGrantResponse.error, which etcd leaves empty).
//
// Names, meanings and defaults are those of etcd's api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto. Keys and values are any bytes.
// The structs have constructors on purpose: g++ 12 miscompiles aggregates that are built inside a co_await expression.

#include <etcdcoll/config.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace etcdcoll::etcd {

/// A lease's number; none() is no lease. A type of its own, so that it cannot be taken for a revision.
struct lease_id {
    std::int64_t value = 0;
    static constexpr lease_id none() noexcept { return {}; }
    explicit operator bool() const noexcept { return value != 0; }
    auto operator<=>(const lease_id&) const = default;
};

/// A member's number; none() is no member.
struct member_id {
    std::uint64_t value = 0;
    static constexpr member_id none() noexcept { return {}; }
    explicit operator bool() const noexcept { return value != 0; }
    auto operator<=>(const member_id&) const = default;
};

/// A state of the whole store: it grows by one with each transaction that writes. 0 means "the newest" in requests.
struct revision {
    std::int64_t value = 0;
    explicit operator bool() const noexcept { return value != 0; }
    auto operator<=>(const revision&) const = default;
};

struct response_header {
    std::uint64_t cluster_id = 0;
    std::uint64_t member_id = 0;
    etcd::revision revision; ///< of the store when the request was executed
    std::uint64_t raft_term = 0;
};

struct key_value {
    std::string key;
    std::string value;
    revision create_revision; ///< of the put that created it; 0 for a deleted key
    revision mod_revision;    ///< of its last change
    std::int64_t version = 0; ///< puts since its creation; 0 for a deleted key
    lease_id lease;
};

/// One key, or the keys in [key, end).
struct key_range {
    key_range(std::string key_) : key(std::move(key_)) {}
    key_range(const char* key_) : key(key_) {}
    key_range(std::string from, std::string to) : key(std::move(from)), end(std::move(to)) {}

    std::string key;
    std::string end; ///< empty: just `key`; one zero byte: every key from `key` on
};

/// Every key that begins with `text`; of the empty text, every key.
ETCDCOLL_API key_range prefix(std::string text);
/// Every key from `key` on, in byte order.
ETCDCOLL_API key_range from(std::string key);

enum class sort_order { none, ascend, descend };
enum class sort_target { key, version, create, mod, value };

struct range_request {
    range_request(key_range keys_) : keys(std::move(keys_)) {}
    range_request(std::string key) : keys(std::move(key)) {}
    range_request(const char* key) : keys(key) {}

    key_range keys;
    std::int64_t limit = 0; ///< 0: no limit
    etcd::revision revision;
    etcd::sort_order sort_order = sort_order::none;
    etcd::sort_target sort_target = sort_target::key;
    bool serializable = false; ///< answered by the member alone, perhaps with an old state
    bool keys_only = false;
    bool count_only = false;
    etcd::revision min_mod_revision;
    etcd::revision max_mod_revision;
    etcd::revision min_create_revision;
    etcd::revision max_create_revision;
};

struct range_response {
    response_header header;
    std::vector<key_value> kvs;
    bool more = false;      ///< `limit` left keys out
    std::int64_t count = 0; ///< keys in the range, whatever the limit
};

struct put_request {
    put_request(std::string key_, std::string value_, lease_id lease_ = {})
        : key(std::move(key_)), value(std::move(value_)), lease(lease_) {}

    std::string key;
    std::string value;
    lease_id lease;
    bool prev_kv = false;      ///< the reply brings what was there before
    bool ignore_value = false; ///< keep the value, change the lease; `value` must be empty
    bool ignore_lease = false; ///< keep the lease, change the value; `lease` must be none
};

struct put_response {
    response_header header;
    std::optional<key_value> prev_kv;
};

struct delete_range_request {
    delete_range_request(key_range keys_) : keys(std::move(keys_)) {}
    delete_range_request(std::string key) : keys(std::move(key)) {}
    delete_range_request(const char* key) : keys(key) {}

    key_range keys;
    bool prev_kv = false;
};

struct delete_range_response {
    response_header header;
    std::int64_t deleted = 0;
    std::vector<key_value> prev_kvs;
};

struct compact_response {
    response_header header;
};

struct lease_grant_response {
    response_header header;
    lease_id id;
    std::chrono::seconds ttl{0}; ///< what the server chose; at least what was asked
};

struct lease_keep_alive_response {
    response_header header;
    lease_id id;
    std::chrono::seconds ttl{0}; ///< 0: the lease is gone
};

struct lease_revoke_response {
    response_header header;
};

struct lease_time_to_live_response {
    response_header header;
    lease_id id;
    std::chrono::seconds ttl{-1}; ///< whole seconds left, rounded down; -1: the lease is gone
    std::chrono::seconds granted_ttl{0};
    std::vector<std::string> keys; ///< when asked for
};

struct lease_list_response {
    response_header header;
    std::vector<lease_id> leases;
};

struct event {
    enum class kind { put, erase };
    kind type = kind::put;
    key_value kv; ///< of an erase: key and mod_revision only
    std::optional<key_value> prev_kv;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/types.ipp>
#endif
