#include <support/group.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;

namespace {

// Each rank takes its turn to be late: nobody may have left a barrier that it has not entered.
asio::awaitable<void> stagger(group& joined, std::vector<int>& entered) {
    for (int round = 0; round < 2 * joined.size(); ++round) {
        ++entered[static_cast<std::size_t>(joined.rank())];
        co_await joined.barrier();
        const auto least = *std::min_element(entered.begin(), entered.end());
        if (least < round + 1) FAIL("rank " << joined.rank() << " left barrier " << round + 1 << " too early");
    }
}

} // namespace

TEST_CASE("barrier: releases no rank before the last one has arrived") {
    const int n = GENERATE(1, 2, 3, 4, 7, 8, 16);
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    std::vector<int> entered(static_cast<std::size_t>(n));
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return stagger(joined, entered); };
    run_ranks(n, [&](int rank) { return member(endpoint, options_for(name, n, rank), body); });
    CHECK(keys_of(endpoint, name).empty()); // I5: nothing after a clean end
}

namespace {

asio::awaitable<void> many(group& joined, client etcd, int rounds, client_metrics& used) {
    co_await joined.barrier();
    const auto before = etcd.metrics();
    for (int round = 0; round < rounds; ++round) {
        co_await joined.barrier();
    }
    const auto after = etcd.metrics();
    used.calls = after.calls - before.calls;
    used.attempts = after.attempts - before.attempts;
    used.watch_events = after.watch_events - before.watch_events;
}

asio::awaitable<void> counted_member(std::string endpoint, group_options options, int rounds, client_metrics& used) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    auto joined = co_await group::join(etcd, options);
    co_await many(joined, etcd, rounds, used);
    co_await joined.barrier();
    co_await joined.leave();
}

} // namespace

TEST_CASE("barrier: costs a rank one transaction and one event, whatever the number of ranks") {
    const int n = GENERATE(2, 4, 16);
    const int rounds = 50;
    const auto name = unique_group();
    std::vector<client_metrics> used(static_cast<std::size_t>(n));
    run_ranks(n, [&](int rank) {
        return counted_member(test_etcd().endpoint(), options_for(name, n, rank).ttl(600s), rounds, used[static_cast<std::size_t>(rank)]);
    });
    for (const auto& each : used) {
        CHECK(each.calls == rounds);
        CHECK(each.attempts == rounds);
        // That of the first barrier may come after its release was known, and that of the last after it was counted.
        CHECK(each.watch_events <= rounds + 1);
        CHECK(each.watch_events >= rounds - 1);
    }
}

namespace {

asio::awaitable<void> list_meanwhile(group& joined, std::string endpoint, std::string name, int rounds, std::map<std::string, std::int64_t>& seen) {
    for (int round = 0; round < rounds; ++round) {
        co_await joined.barrier();
    }
    if (joined.rank() == 0) seen = keys_of(endpoint, name); // blocks this thread, so that all stand still
    co_await joined.barrier();
}

} // namespace

TEST_CASE("barrier: the number of keys does not grow with the number of barriers") {
    const int n = 2;
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    std::map<std::string, std::int64_t> seen;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return list_meanwhile(joined, endpoint, name, 10'000, seen); };
    run_ranks(n, [&](int rank) { return member(endpoint, options_for(name, n, rank).ttl(10s), body); }, 120s);
    CHECK(seen.size() == 4 + 2 * n); // root, joined, count, release; a member key and an arrival a rank
    CHECK(seen.at("count") >= 10'000 * n); // I1: each arrival was counted once; the last barrier has begun on the other rank perhaps
    CHECK(seen.at("count") < 10'001 * n);
    CHECK(keys_of(endpoint, name).empty());
}
