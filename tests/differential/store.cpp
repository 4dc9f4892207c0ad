// The store of the in-memory etcd against a real one: the same random operations, the same answers. ETCDCOLL_DIFFERENTIAL_OPERATIONS (100000, fewer
// with sanitizers) and ETCDCOLL_DIFFERENTIAL_SEED (at random) change it.

#include "comparison.hpp"
#include "generator.hpp"
#include "server_stage.hpp"
#include "settings.hpp"

#include <support/run.hpp>

#include <boost/asio/this_coro.hpp>
#include <catch2/catch_test_macros.hpp>

#include <iostream>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

asio::awaitable<void> compare_at_random(std::uint64_t operations, std::uint64_t seed, std::string* different) {
    const auto executor = co_await asio::this_coro::executor;
    server_stage on(executor);
    generator draw(seed, server_stage::request_bytes, server_stage::txn_operations);
    std::uint64_t done = 0;
    for (int n = 0; done < operations; ++n) {
        const auto sequence = draw.sequence(800);
        const bool fresh = n % 20 == 0; // what an etcd holds makes it slower, and the store has to come to its revision
        auto found = co_await compare(on, fresh, sequence);
        done += sequence.size();
        if (!found) continue;
        std::cout << "a mismatch, about to be shortened:\n  etcd:  " << found->etcd << "\n  store: " << found->store << std::endl;
        *different = co_await shortest_mismatch(on, sequence, *found);
        co_return;
    }
}

} // namespace

TEST_CASE("in_memory store: answers random operations as etcd does") {
    const auto operations = setting("ETCDCOLL_DIFFERENTIAL_OPERATIONS", default_operations());
    const auto seed = setting("ETCDCOLL_DIFFERENTIAL_SEED", drawn_seed());
    const auto version = command::etcd_version();
    std::cout << "differential, etcd " << version << ", seed " << seed << std::endl; // known, whatever happens
    const auto begin = std::chrono::steady_clock::now();
    std::string different;
    run(compare_at_random(operations, seed, &different), std::chrono::minutes(30));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::cout << operations << " operations in " << took.count() << " s\n";
    INFO("ETCDCOLL_DIFFERENTIAL_SEED=" << seed);
    INFO(different);
    CHECK(different.empty());
}
