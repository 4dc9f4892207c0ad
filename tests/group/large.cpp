#include <support/group.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;

namespace {

std::string block_of(int rank, int round, std::size_t size) {
    std::string block(size, '\0');
    auto state = static_cast<std::uint32_t>(rank * 1000 + round + 1);
    for (auto& c : block) {
        state = state * 1664525u + 1013904223u;
        c = static_cast<char>(state >> 24);
    }
    return block;
}

using length_function = std::size_t (*)(int rank, int round);

asio::awaitable<void> gather(group& joined, length_function length, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        const auto mine = block_of(joined.rank(), round, length(joined.rank(), round));
        const auto view = as_bytes(mine);
        const auto all = co_await joined.allgather_bytes(view);
        if (all.size() != static_cast<std::size_t>(joined.size())) FAIL(all.size() << " blocks");
        for (int rank = 0; rank < joined.size(); ++rank) {
            const auto expected = block_of(rank, round, length(rank, round));
            if (as_string_view(all[static_cast<std::size_t>(rank)]) != expected) FAIL("round " << round << ": wrong block of rank " << rank);
        }
    }
}

void gather_all(int n, length_function length, int rounds) {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return gather(joined, length, rounds); };
    run_ranks(n, [&](int rank) { return member(endpoint, options_for(name, n, rank).ttl(20s).timeout(60s), body); }, 100s);
    CHECK(keys_of(endpoint, name).empty());
}

} // namespace

TEST_CASE("allgather: 8 blocks of 1 MB come together") {
    gather_all(8, [](int, int) { return std::size_t(1'000'000); }, 2);
}

TEST_CASE("allgather: 16 blocks of 300 kB come together") {
    gather_all(16, [](int, int) { return std::size_t(300'000); }, 2);
}

TEST_CASE("allgather: large, small and empty blocks in turn are never mixed up with those of rounds before") {
    // Four ranks share a release of 1,000,000 bytes. The keys of a round are used again by the next but one.
    static constexpr std::size_t share = 250'000;
    static constexpr std::array<std::array<std::size_t, 4>, 6> lengths{{
        {share + 1, 0, 10, share},     // one large
        {700'000, 600'000, 0, 1},      // two large, under the other keys
        {share, share, share, share},  // none large, and the release is full; a large key of rank 0 is left
        {0, 0, 0, 0},                  // nothing at all
        {5, share + 1, 0, 900'000},    // others are large
        {0, 3, 800'000, share},        // and others again
    }};
    gather_all(4, [](int rank, int round) { return lengths[static_cast<std::size_t>(round)][static_cast<std::size_t>(rank)]; }, 6);
}
