// The recipes on a cluster whose leader is killed.

#include "support.hpp"

#include <etcdcoll/recipes/mutex.hpp>
#include <etcdcoll/recipes/queue.hpp>
#include <etcdcoll/recipes/receipt_book.hpp>
#include <support/etcd_cluster.hpp>

#include <algorithm>
#include <map>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

/// Kills the leader when `left` steps have been made.
struct executioner {
    etcd_cluster* cluster;
    int left;
    void step() {
        if (--left == 0) cluster->member(cluster->leader()).kill();
    }
};

constexpr int rounds = 5;

asio::awaitable<void> count_up(std::string p, executioner* killing, std::vector<std::int64_t>* tokens) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(killing->cluster->endpoints()));
    auto s = co_await session::open(c, 20s);
    mutex m(s, p + "lock");
    receipt_book book(s, p + "book");
    for (int i = 0; i < rounds; ++i) {
        auto hold = co_await m.lock(40s);
        tokens->push_back(hold.token().value);
        const auto before = co_await c.get(p + "counter");
        const auto value = std::to_string((before ? std::stoi(before->value) : 0) + 1);
        killing->step();
        const auto done = co_await book.txn(etcd::when(hold.still_held()).then(etcd::put(p + "counter", value)), 20s);
        CHECK(done.succeeded);
        co_await hold.unlock();
    }
    co_await s.close();
}

asio::awaitable<void> counted(std::string p, etcd_cluster* cluster, int expected) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(cluster->endpoints()));
    const auto found = co_await c.get(p + "counter");
    REQUIRE(found);
    CHECK(found->value == std::to_string(expected));
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p + "lock")));
    CHECK(left.count == 0);
}

asio::awaitable<void> push_all(std::string p, int rank, executioner* killing) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(killing->cluster->endpoints()));
    auto s = co_await session::open(c, 20s);
    queue q(s, p + "q");
    for (int i = 0; i < rounds; ++i) {
        killing->step();
        co_await q.push(std::to_string(rank) + " " + std::to_string(i), 30s);
    }
    co_await s.close();
}

asio::awaitable<void> pop_all(std::string p, executioner* killing, int* left, std::map<std::string, int>* times) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(killing->cluster->endpoints()));
    auto s = co_await session::open(c, 20s);
    queue q(s, p + "q");
    while (--*left >= 0) {
        const auto item = co_await q.pop(40s);
        ++(*times)[item];
    }
    co_await s.close();
}

} // namespace

TEST_CASE("mutex: one holds it at a time though the cluster's leader is killed") {
    etcd_cluster cluster;
    const auto p = unique_prefix();
    executioner killing{&cluster, 4};
    std::vector<std::int64_t> tokens;
    run_ranks(3, [&](int) { return count_up(p, &killing, &tokens); }, 60s);
    CHECK(killing.left < 0);
    CHECK(tokens.size() == 3 * rounds);
    CHECK(std::is_sorted(tokens.begin(), tokens.end()));
    run(counted(p, &cluster, 3 * rounds));
}
TEST_CASE("queue: each item is taken once though the cluster's leader is killed") {
    etcd_cluster cluster;
    const auto p = unique_prefix();
    executioner killing{&cluster, 5};
    int left = 2 * rounds;
    std::map<std::string, int> times;
    run_ranks(4, [&](int rank) { return rank < 2 ? push_all(p, rank, &killing) : pop_all(p, &killing, &left, &times); }, 60s);
    CHECK(killing.left < 0);
    CHECK(times.size() == 2 * rounds);
    for (const auto& [item, count] : times) CHECK(count == 1);
}
