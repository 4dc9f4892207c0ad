#pragma once
// What the tests of the in-memory store share.

#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <string>
#include <vector>

namespace etcdcoll::test {

using namespace std::chrono_literals;
using etcd::model::refusal;
using etcd::model::store;

inline etcd::range_request at(std::string key, std::int64_t revision) {
    etcd::range_request request(std::move(key));
    request.revision.value = revision;
    return request;
}

inline etcd::range_request all() { return etcd::prefix(""); }

/// "key=value key=value"
inline std::string text(const std::vector<etcd::key_value>& kvs) {
    std::string result;
    for (const auto& kv : kvs) result += (result.empty() ? "" : " ") + kv.key + "=" + kv.value;
    return result;
}

inline std::string text(const etcd::range_response& reply) { return text(reply.kvs); }

/// "create/mod/version"
inline std::string numbers(const etcd::key_value& kv) {
    return std::to_string(kv.create_revision.value) + "/" + std::to_string(kv.mod_revision.value) + "/" + std::to_string(kv.version);
}

/// "3 etcdserver: key is not provided", and that nothing has changed.
inline std::string refused(store& of, const std::function<void()>& call) {
    const auto before = of.current();
    const auto have = text(of.range(all()));
    std::string result = "not refused";
    try {
        call();
    } catch (const refusal& why) {
        result = std::to_string(why.code()) + " " + why.what();
    }
    CHECK(of.current() == before);
    CHECK(text(of.range(all())) == have);
    return result;
}

/// "+key=value@revision -key@revision"
inline std::string text(const std::vector<etcd::event>& events) {
    std::string result;
    for (const auto& one : events) {
        result += result.empty() ? "" : " ";
        result += one.type == etcd::event::kind::put ? "+" + one.kv.key + "=" + one.kv.value : "-" + one.kv.key;
        result += "@" + std::to_string(one.kv.mod_revision.value);
    }
    return result;
}

} // namespace etcdcoll::test
