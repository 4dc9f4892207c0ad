// The client of etcd::in_memory against the store within: what lies between them, the made-up network and the gateway, changes no answer.

#include "comparison.hpp"
#include "generator.hpp"
#include "settings.hpp"

#include <etcdcoll/etcd/in_memory.hpp>

#include <catch2/catch_test_macros.hpp>

#include <iostream>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

constexpr std::size_t request_bytes = 6000;
constexpr std::size_t txn_operations = 10;

etcd::in_memory_options small() {
    etcd::in_memory_options options;
    options.max_request_bytes = request_bytes;
    options.max_txn_ops = txn_operations;
    return options;
}

class in_memory_stage final : public stage {
public:
    in_memory_stage(etcd::in_memory& world, client through) : world_(world), subject_(std::make_shared<client_subject>(std::move(through))) {}

    asio::awaitable<std::shared_ptr<client_subject>> etcd(bool) override { co_return subject_; }
    std::unique_ptr<store_subject> store(std::int64_t revision) override {
        etcd::model::limits most;
        most.max_request_bytes = request_bytes;
        most.max_txn_ops = txn_operations;
        return std::make_unique<store_subject>(revision, most, differences(), [this] { return world_.now(); });
    }

private:
    etcd::in_memory& world_;
    std::shared_ptr<client_subject> subject_;
};

asio::awaitable<void> compare_at_random(etcd::in_memory* world, client through, std::uint64_t operations, std::uint64_t seed,
                                        std::string* different) {
    in_memory_stage on(*world, std::move(through));
    generator draw(seed, request_bytes, txn_operations);
    for (std::uint64_t done = 0; done < operations;) {
        const auto sequence = draw.sequence(400);
        auto found = co_await compare(on, false, sequence);
        done += sequence.size();
        if (!found) continue;
        *different = co_await shortest_mismatch(on, sequence, *found);
        co_return;
    }
}

} // namespace

TEST_CASE("in_memory: its client is told what its store decides") {
    const auto operations = setting("ETCDCOLL_DIFFERENTIAL_OPERATIONS", default_operations()) / 10;
    const auto seed = setting("ETCDCOLL_DIFFERENTIAL_SEED", drawn_seed());
    std::string different;
    etcd::in_memory world(small());
    const auto begin = std::chrono::steady_clock::now();
    world.run([&](client c) { return compare_at_random(&world, std::move(c), operations, seed, &different); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::cout << "differential, in_memory, seed " << seed << ": " << operations << " operations in " << took.count() << " s\n";
    INFO("ETCDCOLL_DIFFERENTIAL_SEED=" << seed);
    INFO(different);
    CHECK(different.empty());
}
