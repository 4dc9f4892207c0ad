#include <support/group.hpp>
#include <support/rank_process.hpp>

#include <etcdcoll/detail/group_records.hpp>
#include <etcdcoll/detail/key_layout.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <csignal>
#include <memory>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

std::vector<std::unique_ptr<rank_process>> start(const std::string& name, int n, int ttl) {
    std::vector<std::unique_ptr<rank_process>> ranks;
    for (int rank = 0; rank < n; ++rank) ranks.push_back(std::make_unique<rank_process>(test_etcd().endpoint(), name, rank, n, ttl));
    for (const auto& each : ranks) CHECK_THAT(each->line(20s), StartsWith("joined epoch "));
    for (const auto& each : ranks) CHECK(each->line(20s) == "running");
    return ranks;
}

} // namespace

TEST_CASE("processes: four ranks meet, and leave nothing behind") {
    const auto name = unique_group();
    auto ranks = start(name, 4, 5);
    ranks[0]->close_input();
    for (const auto& each : ranks) CHECK_THAT(each->line(20s), StartsWith("left "));
    for (const auto& each : ranks) CHECK(each->wait(10s) == 0);
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}

TEST_CASE("processes: a rank killed in the middle is named by all others within its time to live and a second") {
    const auto name = unique_group();
    const int ttl = 3;
    auto ranks = start(name, 4, ttl);
    const auto killed = std::chrono::steady_clock::now();
    ranks[2]->signal(SIGKILL);
    for (const int rank : {0, 1, 3}) {
        const auto said = ranks[static_cast<std::size_t>(rank)]->line(20s);
        CHECK_THAT(said, StartsWith("rank lost: ") && ContainsSubstring("lost rank 2 of 4 (2: lease expired on host "));
        CHECK(std::chrono::steady_clock::now() - killed < std::chrono::seconds(ttl + 1));
    }
    CHECK(wait_no_keys(test_etcd().endpoint(), name, 12s));
}

TEST_CASE("processes: a rank stopped beyond its lease changes nothing in the group that went on without it") {
    const auto name = unique_group();
    auto ranks = start(name, 3, 2);
    auto& stopped = *ranks[1];
    stopped.signal(SIGSTOP);
    for (const int rank : {0, 2}) CHECK_THAT(ranks[static_cast<std::size_t>(rank)]->line(20s), StartsWith("rank lost: ") && ContainsSubstring("lost rank 1 of 3"));

    auto next = start(name, 3, 5); // the same name, at once
    CHECK(keys_of(test_etcd().endpoint(), name).size() <= 4 + 4 * 3);
    stopped.signal(SIGCONT);
    CHECK_THAT(stopped.line(20s), StartsWith("lease lost: "));
    CHECK(stopped.wait(10s) == 3);
    // The new epoch goes on, and its counts are its own.
    next[0]->close_input();
    for (const auto& each : next) CHECK_THAT(each->line(20s), StartsWith("left "));
    for (const auto& each : next) CHECK(each->wait(10s) == 0);
    CHECK(wait_no_keys(test_etcd().endpoint(), name, 8s)); // what the first ones left goes with their leases
}
