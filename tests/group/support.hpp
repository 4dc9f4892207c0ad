#pragma once
// What the tests of groups in trouble share: how a call ended, and looks at the keys behind the group's back.

#include <support/group.hpp>

#include <etcdcoll/detail/group_records.hpp>
#include <etcdcoll/detail/key_layout.hpp>

#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace etcdcoll::test {

/// What a call ended with, and when it took how long.
struct ending {
    errc reason{}; ///< 0: no error
    std::string what;
    std::vector<int> ranks;
    std::chrono::milliseconds took{0};
};

inline asio::awaitable<ending> ending_of(asio::awaitable<void> call) {
    ending result;
    const auto began = std::chrono::steady_clock::now();
    try {
        co_await std::move(call);
    } catch (const error& failure) {
        result.reason = failure.reason();
        result.what = failure.what();
        result.ranks = failure.context().ranks;
    }
    result.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    co_return result;
}

/// The keys of the epoch that the root names now.
inline asio::awaitable<detail::key_layout> keys_now(std::string endpoint, std::string group) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    detail::key_layout keys("etcdcoll/groups", group);
    const auto root = co_await etcd.get(keys.root());
    keys.use_epoch(detail::decode_root(root->key, root->value).id);
    co_return keys;
}

inline asio::awaitable<std::int64_t> version_of(std::string endpoint, std::string key) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const auto found = co_await etcd.get(std::move(key));
    co_return found ? found->version : 0;
}

/// Returns when the key has been put that many times.
inline asio::awaitable<void> until_version(std::string endpoint, std::string key, std::int64_t version) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const etcd::range_request one(key);
    const auto there = co_await etcd.range(one);
    auto seen = there.kvs.empty() ? 0 : there.kvs.front().version;
    auto changes = etcd.watch(etcd::watch_request(key, {there.header.revision.value + 1}));
    while (seen < version) {
        const auto change = co_await changes.next();
        seen = change.events.back().kv.version;
    }
}

/// Revokes the lease of that rank's member key: to all others the rank has died.
inline asio::awaitable<void> revoke_lease_of(std::string endpoint, std::string group, int rank) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, endpoint);
    const auto keys = co_await keys_now(endpoint, group);
    const auto member = co_await etcd.get(keys.member(rank));
    const auto revoked = co_await etcd.lease_revoke(member->lease);
    static_cast<void>(revoked);
}

} // namespace etcdcoll::test
