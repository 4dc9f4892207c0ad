#include "support.hpp"

#include <etcdcoll/etcd/namespaced.hpp>

#include <algorithm>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

std::string keys(const std::vector<etcd::key_value>& kvs) {
    std::string text;
    for (const auto& kv : kvs) text += (text.empty() ? "" : " ") + kv.key;
    return text;
}

// Neighbours on both sides of the view, and the prefix itself: none of them is in it.
asio::awaitable<void> fill(client c, std::string p) {
    for (const auto& key : {p + "n", p + "n/", p + "n0", p + "m/z"}) {
        const auto done = co_await c.put(key, "outside");
        CHECK(done.header.revision.value > 0);
    }
}

asio::awaitable<void> round_trip(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    co_await fill(c, p);
    etcd::namespaced ns(c, p + "n/");
    CHECK(ns.prefix() == p + "n/");
    for (const char* key : {"a", "b", "c"}) {
        const auto done = co_await ns.put(key, std::string("value of ") + key);
        CHECK(!done.prev_kv);
    }
    const auto outside = co_await c.get(p + "n/b");
    REQUIRE(outside);
    const auto inside = co_await ns.get("b");
    REQUIRE(inside);
    CHECK(inside->key == "b");
    CHECK(inside->value == "value of b");
    CHECK(inside->mod_revision == outside->mod_revision);

    const auto every = co_await ns.range(etcd::range_request(etcd::prefix("")));
    CHECK(keys(every.kvs) == "a b c");
    const auto some = co_await ns.range(etcd::range_request(etcd::key_range("a", "c")));
    CHECK(keys(some.kvs) == "a b");
    const auto tail = co_await ns.range(etcd::range_request(etcd::from("b")));
    CHECK(keys(tail.kvs) == "b c");
    const auto alike = co_await ns.range(etcd::range_request(etcd::prefix("c")));
    CHECK(keys(alike.kvs) == "c");

    etcd::namespaced inner(ns, "a/");
    const auto deeper = co_await inner.put("x", "1");
    CHECK(deeper.header.revision.value > 0);
    const auto seen = co_await ns.get("a/x");
    REQUIRE(seen);

    auto again = etcd::put_request("b", "2");
    again.prev_kv = true;
    const auto before = co_await ns.put(again);
    REQUIRE(before.prev_kv);
    CHECK(before.prev_kv->key == "b");
    etcd::delete_range_request all(etcd::prefix(""));
    all.prev_kv = true;
    const auto gone = co_await ns.delete_range(all);
    CHECK(gone.deleted == 4);
    CHECK(keys(gone.prev_kvs) == "a a/x b c");
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p)));
    CHECK(left.kvs.size() == 4);

    CHECK_THROWS_AS(ns.get(""), error);
    CHECK_THROWS_AS(ns.put("", "v"), error);
    CHECK_THROWS_AS(ns.txn(etcd::when().then(etcd::put("", "v"))), error);
}

asio::awaitable<void> nested_txn(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    co_await fill(c, p);
    etcd::namespaced ns(c, p + "n/");
    auto put_a = etcd::put("a", "1");
    put_a.prev_kv = true;
    auto inner = etcd::when(etcd::version("a") == 1).then(etcd::put("never", "")).otherwise(put_a, etcd::put("b", "1"));
    auto outer = etcd::when(etcd::create_revision(etcd::prefix("")) == 0, etcd::create_revision(etcd::from("a")) == 0)
                     .then(std::move(inner), etcd::get(etcd::prefix("")))
                     .otherwise(etcd::get(etcd::from("a")), etcd::when(etcd::value("a") == "1").then(put_a, etcd::erase(etcd::from("b"))));
    const auto first = co_await ns.txn(outer);
    CHECK(first.succeeded);
    REQUIRE(first.responses.size() == 2);
    CHECK(!std::get<etcd::txn_response>(first.responses[0]).succeeded);
    CHECK(keys(std::get<etcd::range_response>(first.responses[1]).kvs) == "a b");

    const auto second = co_await ns.txn(outer);
    CHECK(!second.succeeded);
    REQUIRE(second.responses.size() == 2);
    CHECK(keys(std::get<etcd::range_response>(second.responses[0]).kvs) == "a b");
    const auto& nested = std::get<etcd::txn_response>(second.responses[1]);
    CHECK(nested.succeeded);
    REQUIRE(nested.responses.size() == 2);
    const auto& replaced = std::get<etcd::put_response>(nested.responses[0]);
    REQUIRE(replaced.prev_kv);
    CHECK(replaced.prev_kv->key == "a");
    CHECK(std::get<etcd::delete_range_response>(nested.responses[1]).deleted == 1);
    const auto never = co_await c.get(p + "n/never");
    CHECK(!never);
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p)));
    CHECK(left.kvs.size() == 5);
}

asio::awaitable<void> watched(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::namespaced ns(c, p + "n/");
    const auto start = co_await ns.put("a", "1");
    etcd::watch_request every(etcd::prefix(""), start.header.revision);
    every.prev_kv = true;
    auto changes = ns.watch(every);
    auto tail = ns.watch(etcd::watch_request(etcd::from("b"), start.header.revision));
    co_await fill(c, p);
    const auto again = co_await ns.put("a", "2");
    const auto gone = co_await ns.delete_range("a");
    const auto last = co_await ns.put("b", "3");
    CHECK(last.header.revision > again.header.revision);
    CHECK(gone.deleted == 1);
    std::vector<etcd::event> seen;
    while (seen.size() < 4) {
        const auto more = co_await changes.next();
        seen.insert(seen.end(), more.events.begin(), more.events.end());
    }
    REQUIRE(seen.size() == 4);
    CHECK(seen[0].kv.key == "a");
    CHECK(!seen[0].prev_kv);
    REQUIRE(seen[1].prev_kv);
    CHECK(seen[1].prev_kv->key == "a");
    CHECK(seen[2].type == etcd::event::kind::erase);
    CHECK(seen[2].kv.key == "a");
    CHECK(seen[3].kv.key == "b");
    const auto reached = co_await changes.progress(last.header.revision);
    CHECK(reached >= last.header.revision);
    const auto behind = co_await tail.next();
    CHECK(behind.events.at(0).kv.key == "b");
    changes.cancel();
    CHECK_THROWS_AS(changes.next(), error);
}

asio::awaitable<void> leased(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::namespaced ns(c, p + "n/");
    const auto lease = co_await c.lease_grant(60s);
    for (const auto& key : {p + "n", p + "n/", p + "n/a", p + "n/n/b", p + "n0", p + "m/z"}) {
        const auto done = co_await c.put(etcd::put_request(key, "v", lease.id));
        CHECK(done.header.revision.value > 0);
    }
    auto told = co_await ns.lease_time_to_live(lease.id, true);
    CHECK(told.granted_ttl == 60s);
    std::sort(told.keys.begin(), told.keys.end());
    CHECK(told.keys == std::vector<std::string>{"a", "n/b"});
    const auto silent = co_await ns.lease_time_to_live(lease.id);
    CHECK(silent.keys.empty());
    const auto revoked = co_await c.lease_revoke(lease.id);
    CHECK(revoked.header.revision.value > 0);
}

asio::awaitable<void> odd_prefixes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    // The byte 0xff has no successor, and an empty prefix is no prefix.
    for (const auto& prefix : {p + "\xff", p + std::string(1, '\0'), std::string()}) {
        etcd::namespaced ns(c, prefix);
        const auto key = prefix.empty() ? p + "whole" : std::string("k");
        const auto done = co_await ns.put(key, "v");
        CHECK(done.header.revision.value > 0);
        const auto tail = co_await ns.range(etcd::range_request(etcd::from(key)));
        REQUIRE(!tail.kvs.empty());
        CHECK(tail.kvs.front().key == key);
        if (!prefix.empty()) CHECK(tail.kvs.size() == 1);
    }
}

} // namespace

TEST_CASE("namespaced: reads, writes and deletes behind its prefix only") { run(round_trip(unique_prefix())); }
TEST_CASE("namespaced: translates transactions to their last operation and compare") { run(nested_txn(unique_prefix())); }
TEST_CASE("namespaced: watches its keys under their names in the view") { run(watched(unique_prefix())); }
TEST_CASE("namespaced: tells of a lease's keys those in the view") { run(leased(unique_prefix())); }
TEST_CASE("namespaced: any bytes are a prefix") { run(odd_prefixes(unique_prefix())); }
