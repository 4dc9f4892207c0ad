#include "support.hpp"

#include <etcdcoll/recipes/modify.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

std::optional<std::string> incremented(const std::optional<etcd::key_value>& before) {
    return std::to_string((before ? std::stoi(before->value) : 0) + 1);
}

asio::awaitable<void> increment(client c, std::string key, int times) {
    const modification up = incremented;
    for (int i = 0; i < times; ++i) {
        const auto at = co_await modify(c, key, up);
        CHECK(at.value > 0);
    }
}

asio::awaitable<void> counts(std::string key, int expected) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto found = co_await c.get(key);
    REQUIRE(found);
    CHECK(found->value == std::to_string(expected));
    CHECK(found->version == expected);
}

asio::awaitable<void> by_client(std::string key, int times) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    co_await increment(c, key, times);
}

// A lost reply is no reason for a lost or doubled increment.
asio::awaitable<void> by_book(std::string p, fault_proxy* proxy, int times) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(proxy->endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    const modification up = incremented;
    for (int i = 0; i < times; ++i) {
        const auto at = co_await modify(book, p + "counter", up);
        CHECK(at.value > 0);
    }
    co_await s.close();
}

struct tally {
    int done = 0;
    int unknown = 0;
};

asio::awaitable<void> in_doubt(std::string p, fault_proxy* proxy, int times, tally* counted) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(proxy->endpoint()));
    const modification up = incremented;
    for (int i = 0; i < times; ++i) {
        auto writing = modify(c, p + "counter", up);
        const auto end = co_await ending_of(std::move(writing));
        if (end.what.empty()) ++counted->done;
        if (!end.what.empty()) ++counted->unknown;
        if (!end.what.empty()) CHECK(end.reason == errc::outcome_unknown);
    }
}

asio::awaitable<void> one_key(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    auto s = co_await session::open(c, 30s);
    const etcd::put_request leased(p + "k", "old", s.lease());
    const auto begun = co_await c.put(leased);
    CHECK(begun.header.revision.value > 0);

    const modification leave = [](const std::optional<etcd::key_value>& before) -> std::optional<std::string> {
        CHECK(before->value == "old");
        return std::nullopt;
    };
    const auto left = co_await modify(c, p + "k", leave);
    CHECK(!left);
    const modification replace = [](const std::optional<etcd::key_value>&) { return std::optional<std::string>("new"); };
    const auto written = co_await modify(c, p + "k", replace);
    auto found = co_await c.get(p + "k");
    REQUIRE(found);
    CHECK(found->value == "new");
    CHECK(found->mod_revision == written);
    CHECK(found->lease == s.lease());

    // Nobody else is there: the second copy of the write is refused by the first, and that cannot be told from another's write.
    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    auto doubtful = modify(c, p + "k", replace);
    const auto end = co_await ending_of(std::move(doubtful));
    CHECK(end.reason == errc::outcome_unknown);
    found = co_await c.get(p + "k");
    REQUIRE(found);
    CHECK(found->version == 3);

    const modification angry = [](const std::optional<etcd::key_value>&) -> std::optional<std::string> { throw error(errc::refused, "no"); };
    auto throwing = modify(c, p + "k", angry);
    const auto thrown = co_await ending_of(std::move(throwing));
    CHECK(thrown.what == "no");
    CHECK_THROWS_AS(modify(c, "", replace), error);
    CHECK_THROWS_AS(modify(c, "k", modification()), error);
    CHECK_THROWS_AS(modify(c, "k", replace, 0s), error);

    // A request that was lost on its way there is simply sent again.
    proxy.add(fault_rule("/v3/kv/txn").cut_request_after(0));
    const auto again = co_await modify(c, p + "k", replace);
    CHECK(again > written);
    co_await s.close();
}

// The key was absent. A second copy would be as good as the first, but the first would be as good once more when others have deleted the key.
asio::awaitable<void> created_once(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    const modification up = incremented;
    stolen_request late(proxy, "/v3/kv/txn");
    auto doubtful = modify(c, p + "k", up);
    const auto end = co_await ending_of(std::move(doubtful));
    CHECK(end.reason == errc::outcome_unknown);
    CHECK(proxy.requests("/v3/kv/txn") == 1);
    const auto none = co_await c.get(p + "k");
    CHECK(!none);
    const auto reply = co_await late.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    const auto found = co_await c.get(p + "k");
    REQUIRE(found);
    CHECK(found->version == 1);
}

// A member that takes the write and says nothing is not waited for to the end: the next copy is sent as soon as that of a read would be.
asio::awaitable<void> not_stuck(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    auto options = quiet(proxy.endpoint());
    options.attempt_timeout(200ms);
    client c(executor, options);
    const auto begun = co_await c.put(p + "k", "1");
    proxy.add(fault_rule("/v3/kv/txn").times(2).stall_request());
    const modification up = incremented;
    auto writing = modify(c, p + "k", up);
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.what == "");
    CHECK(end.took < 5s);
    const auto found = co_await c.get(p + "k");
    REQUIRE(found);
    CHECK(found->version == 2);
    CHECK(found->mod_revision > begun.header.revision);
}

} // namespace

TEST_CASE("modify: the write of a key that was absent is not sent twice") { run(created_once(unique_prefix())); }
TEST_CASE("modify: a copy of the write that gets stuck is followed by another") { run(not_stuck(unique_prefix())); }
TEST_CASE("modify: eight at once lose no increment") {
    const auto key = unique_prefix() + "counter";
    run_ranks(8, [&](int) { return by_client(key, 10); });
    run(counts(key, 80));
}
TEST_CASE("modify: with receipts, lost replies neither lose an increment nor double it") {
    const auto p = unique_prefix();
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.3, 7, "/v3/kv/txn");
    run_ranks(8, [&](int) { return by_book(p, &proxy, 8); }, 60s);
    run(counts(p + "counter", 64));
}
TEST_CASE("modify: without receipts, every increment that was lost or doubled was said to be in doubt") {
    const auto p = unique_prefix();
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.2, 11, "/v3/kv/txn");
    tally counted;
    run_ranks(8, [&](int) { return in_doubt(p, &proxy, 8, &counted); }, 60s);
    CHECK(counted.done + counted.unknown == 64);
    CHECK(counted.done > 0);
    int value = 0;
    const auto read = [&value](client c, std::string key) -> asio::awaitable<void> {
        const auto found = co_await c.get(key);
        value = std::stoi(found->value);
    };
    const auto count = [&](int) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        client c(executor, quiet(test_etcd().endpoint()));
        co_await read(c, p + "counter");
    };
    run_ranks(1, count);
    CHECK(value >= counted.done);
    CHECK(value <= counted.done + counted.unknown);
}
TEST_CASE("modify: keeps the lease, leaves what it is told to leave, and says when it cannot know") { run(one_key(unique_prefix())); }
