#include "support.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <variant>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::lease_id;
using etcd::revision;

namespace {

const std::string binary("\0\xff\n\"\\ \x80", 7);

asio::awaitable<void> reads_and_writes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto key = p + binary;

    const auto absent = co_await c.get(key);
    CHECK(!absent);
    const auto first = co_await c.put(key, binary);
    CHECK(first.header.revision.value > 0);
    CHECK(first.header.cluster_id != 0);
    CHECK(!first.prev_kv);
    etcd::put_request again(key, "");
    again.prev_kv = true;
    const auto second = co_await c.put(again);
    REQUIRE(second.prev_kv);
    CHECK(second.prev_kv->value == binary);
    const auto found = co_await c.get(key);
    REQUIRE(found);
    CHECK(found->key == key);
    CHECK(found->value.empty());
    CHECK(found->create_revision == first.header.revision);
    CHECK(found->mod_revision == second.header.revision);
    CHECK(found->version == 2);
    CHECK(!found->lease);

    etcd::range_request old(key);
    old.revision = first.header.revision;
    const auto then = co_await c.range(old);
    REQUIRE(then.kvs.size() == 1);
    CHECK(then.kvs[0].value == binary);

    etcd::delete_range_request erase(key);
    erase.prev_kv = true;
    const auto erased = co_await c.delete_range(erase);
    CHECK(erased.deleted == 1);
    REQUIRE(erased.prev_kvs.size() == 1);
    CHECK(erased.prev_kvs[0].version == 2);
    const auto nothing = co_await c.delete_range(key);
    CHECK(nothing.deleted == 0);
}

asio::awaitable<void> ranges(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    for (const char* name : {"a", "b", "b\xff", "b\xff\xff", "c"}) {
        const auto done = co_await c.put(p + name, name);
        CHECK(done.header.revision.value > 0);
    }
    const auto all = co_await c.range(etcd::prefix(p));
    CHECK(all.count == 5);
    CHECK(all.kvs.size() == 5);
    CHECK(!all.more);
    const auto below = co_await c.range(etcd::prefix(p + "b\xff"));
    CHECK(below.count == 2);

    etcd::range_request some(etcd::prefix(p));
    some.limit = 2;
    some.sort_order = etcd::sort_order::descend;
    some.sort_target = etcd::sort_target::value;
    some.keys_only = true;
    const auto page = co_await c.range(some);
    CHECK(page.more);
    CHECK(page.count == 5);
    REQUIRE(page.kvs.size() == 2);
    CHECK(page.kvs[0].key == p + "c");
    CHECK(page.kvs[0].value.empty());

    etcd::range_request count(etcd::prefix(p));
    count.count_only = true;
    count.serializable = true;
    const auto number = co_await c.range(count);
    CHECK(number.count == 5);
    CHECK(number.kvs.empty());

    etcd::range_request later(etcd::prefix(p));
    later.min_mod_revision.value = all.kvs[3].mod_revision.value;
    const auto newest = co_await c.range(later);
    CHECK(newest.kvs.size() == 2);
    const auto gone = co_await c.delete_range(etcd::prefix(p));
    CHECK(gone.deleted == 5);
}

asio::awaitable<void> transactions(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto create = etcd::when(etcd::version(p + "k") == 0, etcd::create_revision(p + "k") == revision{0}, etcd::lease(p + "k") == lease_id::none())
                      .then(etcd::put(p + "k", "1"), etcd::get(etcd::prefix(p)))
                      .otherwise(etcd::get(p + "k"));
    const auto won = co_await c.txn(create);
    CHECK(won.succeeded);
    REQUIRE(won.responses.size() == 2);
    CHECK(std::get<etcd::range_response>(won.responses[1]).kvs.at(0).mod_revision == won.header.revision);
    const auto lost = co_await c.txn(create);
    CHECK(!lost.succeeded);
    REQUIRE(lost.responses.size() == 1);
    CHECK(std::get<etcd::range_response>(lost.responses[0]).kvs.at(0).value == "1");

    auto inner = etcd::when(etcd::value(p + "k") == "1").then(etcd::put(p + "n", binary), etcd::erase(p + "x"));
    const auto nested = co_await c.txn(etcd::when(etcd::mod_revision(p + "k") < won.header.revision.value + 1, etcd::value(p + "k") != "2").then(std::move(inner), etcd::get(p + "n")));
    CHECK(nested.succeeded);
    REQUIRE(nested.responses.size() == 2);
    const auto& sub = std::get<etcd::txn_response>(nested.responses[0]);
    CHECK(sub.succeeded);
    REQUIRE(sub.responses.size() == 2);
    CHECK(std::get<etcd::delete_range_response>(sub.responses[1]).deleted == 0);
    CHECK(std::get<etcd::range_response>(nested.responses[1]).kvs.at(0).value == binary);

    // Compares of ranges hold when they hold for every key; empty values can be compared.
    const auto e = co_await c.put(p + "e", "");
    CHECK(e.header.revision.value > 0);
    const auto each = co_await c.txn(etcd::when(etcd::version(etcd::prefix(p)) == 1, etcd::value(p + "e") == "", etcd::version(etcd::prefix(p)) < 2));
    CHECK(each.succeeded);
    const auto empty = co_await c.txn(etcd::when());
    CHECK(empty.succeeded);
}

asio::awaitable<void> leases(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto granted = co_await c.lease_grant(60s);
    CHECK(granted.id);
    CHECK(granted.ttl == 60s);
    const lease_id own{9007199254740993 + static_cast<std::int64_t>(granted.header.revision.value)};
    const auto chosen = co_await c.lease_grant(2s, own);
    CHECK(chosen.id == own);
    auto twice = c.lease_grant(2s, own);
    const auto refused = co_await ending_of(std::move(twice));
    CHECK(refused.reason == errc::already_exists);

    const etcd::put_request leased(p + "k", "v", granted.id);
    const auto put = co_await c.put(leased);
    CHECK(put.header.revision.value > 0);
    const auto found = co_await c.get(p + "k");
    REQUIRE(found);
    CHECK(found->lease == granted.id);
    const auto kept = co_await c.lease_keep_alive(granted.id);
    CHECK(kept.id == granted.id);
    CHECK(kept.ttl == 60s);
    const auto left = co_await c.lease_time_to_live(granted.id, true);
    CHECK(left.granted_ttl == 60s);
    CHECK(left.ttl >= 58s);
    CHECK(left.keys == std::vector<std::string>{p + "k"});
    const auto listed = co_await c.lease_list();
    CHECK(std::count(listed.leases.begin(), listed.leases.end(), granted.id) == 1);
    const auto revoked = co_await c.lease_revoke(granted.id);
    CHECK(revoked.header.revision.value > 0);
    const auto gone = co_await c.get(p + "k");
    CHECK(!gone);
    const auto dead = co_await c.lease_keep_alive(granted.id);
    CHECK(dead.ttl == 0s);
    const auto unknown = co_await c.lease_time_to_live(granted.id);
    CHECK(unknown.ttl == -1s);
    auto again = c.lease_revoke(granted.id);
    const auto missing = co_await ending_of(std::move(again));
    CHECK(missing.reason == errc::not_found);
    CHECK(contains(missing.what, "requested lease not found"));
    auto on_dead_lease = c.put(leased);
    const auto lost = co_await ending_of(std::move(on_dead_lease));
    CHECK(lost.reason == errc::not_found);
}

asio::awaitable<void> answers(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto duplicate = c.txn(etcd::when().then(etcd::put(p + "\n\"k", "1"), etcd::put(p + "\n\"k", "2")));
    const auto twice = co_await ending_of(std::move(duplicate));
    CHECK(twice.reason == errc::refused);
    CHECK(twice.what == "txn \"" + p + "\\x0a\\x22k\": " + test_etcd().endpoint() + ": etcdserver: duplicate key given in txn request");
    CHECK(twice.context.endpoint == test_etcd().endpoint());
    CHECK(twice.context.call == "txn");
    CHECK(twice.context.key == p + "\n\"k");
    CHECK(twice.context.server_message == "etcdserver: duplicate key given in txn request");
    CHECK(twice.context.grpc_code == 3);
    CHECK(twice.context.http_status == 400);
    CHECK(twice.context.attempts == 1);

    etcd::range_request future(p + "k");
    future.revision.value = 1'000'000'000;
    auto reading = c.range(future);
    const auto early = co_await ending_of(std::move(reading));
    CHECK(early.reason == errc::refused);
    auto too_long = c.lease_grant(std::chrono::seconds(9'000'000'001));
    const auto refused = co_await ending_of(std::move(too_long));
    CHECK(refused.reason == errc::refused);
    CHECK(contains(refused.what, "too large lease TTL"));
    CHECK(c.metrics().attempts == 3);
    CHECK(c.metrics().failures == 3);
}

asio::awaitable<void> largest(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const std::string value(1'572'700, '\xff');
    const auto put = co_await c.put(p + "large", value);
    CHECK(put.header.revision.value > 0);
    const auto found = co_await c.get(p + "large");
    REQUIRE(found);
    CHECK(found->value == value);
    const auto in_txn = co_await c.txn(etcd::when().then(etcd::put(p + "large", value)));
    CHECK(in_txn.succeeded);
}

etcd::txn_request reads(std::size_t n) {
    auto request = etcd::when();
    for (std::size_t i = 0; i < n; ++i) request.success.push_back(etcd::get("k"));
    return request;
}

asio::awaitable<void> as_many_as_etcd(std::vector<std::pair<etcd::txn_request, bool>> cases) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    for (std::size_t i = 0; i < cases.size(); ++i) {
        INFO("case " << i);
        if (!cases[i].second) {
            CHECK_THROWS_AS(c.txn(cases[i].first), error);
            continue;
        }
        auto call = c.txn(cases[i].first);
        const auto end = co_await ending_of(std::move(call));
        CHECK(end.what == "");
    }
}

} // namespace

TEST_CASE("client: puts, reads and deletes keys and values of any bytes") { run(reads_and_writes(unique_prefix())); }
TEST_CASE("client: reads ranges with limit, order, revisions and counts") { run(ranges(unique_prefix())); }
TEST_CASE("client: runs transactions, nested ones too, with compares of every kind") { run(transactions(unique_prefix())); }
TEST_CASE("client: grants, keeps, shows and revokes leases") { run(leases(unique_prefix())); }
TEST_CASE("client: an error names the call, the key, the endpoint and etcd's words, and is not repeated") { run(answers(unique_prefix())); }
TEST_CASE("client: the largest value that etcd takes goes there and back") { run(largest(unique_prefix())); }

TEST_CASE("client: refuses transactions of more operations than etcd takes, and only those") {
    std::vector<std::pair<etcd::txn_request, bool>> cases;
    cases.emplace_back(reads(128), true);
    cases.emplace_back(reads(129), false);
    auto both = reads(128);
    both.failure = both.success;
    cases.emplace_back(both, true);
    cases.emplace_back(etcd::when().then(reads(127)), true);
    cases.emplace_back(etcd::when().then(reads(128)), false);
    cases.emplace_back(etcd::when().then(reads(100), reads(100)), true); // each counts for itself
    cases.emplace_back(etcd::when().then(etcd::when().then(reads(126))), true);
    cases.emplace_back(etcd::when().then(etcd::when().then(reads(127))), false);
    auto wide = reads(100);
    wide.failure.push_back(reads(28));
    cases.emplace_back(wide, true);
    wide.failure.push_back(reads(29));
    cases.emplace_back(wide, false);
    etcd::txn_request compares = etcd::when();
    for (int i = 0; i < 128; ++i) compares.compares.push_back(etcd::version("k") == 0);
    cases.emplace_back(compares, true);
    compares.success.push_back(reads(1));
    cases.emplace_back(compares, false);
    run(as_many_as_etcd(std::move(cases)));
}

TEST_CASE("client: refuses what cannot work before any I/O") {
    asio::io_context io;
    // Nobody listens there: whatever went out would fail otherwise.
    client c(io.get_executor(), quiet("http://127.0.0.1:1"));
    const auto reason = [](const auto& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return c.get(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.put("", "v"); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.delete_range(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.watch(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.put("k", std::string(1'572'800, 'x')); }) == errc::too_large);
    CHECK(reason([&] { return c.put(std::string(1'572'800, 'k'), ""); }) == errc::too_large);
    CHECK(reason([&] { return c.txn(etcd::when().then(etcd::put("a", std::string(800'000, 'x')), etcd::put("b", std::string(800'000, 'x')))); }) == errc::too_large);
    CHECK(reason([&] { return c.txn(reads(129)); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.lease_grant(1s); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.range(std::string(5'000'000, 'x')); }) == errc::too_large);
    CHECK(c.metrics().calls == 0);
    CHECK(reason([&] { return client(io.get_executor(), quiet("https://h").tls(tls_options().ca_file("/no/such/file"))); }) == errc::invalid_argument);
    CHECK(reason([] { return client_options().endpoints("h:x"); }) == errc::invalid_argument);
    CHECK(reason([] { return client_options().timeout(0s); }) == errc::invalid_argument);
    CHECK(reason([] { return client_options().attempt_timeout(-1s); }) == errc::invalid_argument);
    CHECK(reason([] { return client_options().connections(0); }) == errc::invalid_argument);
    CHECK(reason([] { return client_options().system(nullptr); }) == errc::invalid_argument);
    io.run();
}

namespace {

asio::awaitable<void> patient(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(test_etcd().endpoint(), duration::max());
    options.attempt_timeout(duration::max()).connect_timeout(duration::max());
    client c(executor, options);
    const call_options forever{.timeout = duration::max()};
    const auto put = co_await c.put(p + "k", "v", forever);
    CHECK(put.header.revision.value > 0);
    const auto got = co_await c.get(p + "k");
    CHECK(got);
}

} // namespace

TEST_CASE("client: the longest duration is a timeout like any other") { run(patient(unique_prefix())); }
