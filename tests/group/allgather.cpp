#include <support/group.hpp>

#include <etcdcoll/json.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;

namespace {

std::string block_of(int rank, int round, std::size_t size) {
    std::string block;
    for (std::size_t i = 0; i < size; ++i) block += static_cast<char>((i * 7 + static_cast<std::size_t>(rank) * 31 + static_cast<std::size_t>(round)) & 0xff);
    return block;
}

// Lengths differ by rank, and one block of them is empty.
std::size_t length_of(int rank, int round, std::size_t size) { return (rank + round) % 3 == 1 ? 0 : size + static_cast<std::size_t>(rank); }

asio::awaitable<void> gather_blocks(group& joined, std::size_t size, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        const auto mine = block_of(joined.rank(), round, length_of(joined.rank(), round, size));
        const auto view = as_bytes(mine);
        const auto all = co_await joined.allgather_bytes(view);
        if (all.size() != static_cast<std::size_t>(joined.size())) FAIL(all.size() << " blocks");
        for (int rank = 0; rank < joined.size(); ++rank) {
            const auto expected = block_of(rank, round, length_of(rank, round, size));
            if (as_string_view(all[static_cast<std::size_t>(rank)]) != expected) FAIL("round " << round << ": wrong block of rank " << rank);
        }
        if (round % 3 == 2) co_await joined.barrier(); // mixed with others, both sets of blocks come to every turn
    }
}

} // namespace

TEST_CASE("allgather: returns the block of every rank, by rank") {
    const int n = GENERATE(1, 2, 3, 4, 7, 8, 16);
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    const std::function<asio::awaitable<void>(group&)> body = [](group& joined) { return gather_blocks(joined, 64, 10); };
    run_ranks(n, [&](int rank) { return member(endpoint, options_for(name, n, rank), body); });
    CHECK(keys_of(endpoint, name).empty());
}

TEST_CASE("allgather: blocks that are too large for one release are read from their keys") {
    const auto size = GENERATE(std::size_t(300'000), std::size_t(1'400'000));
    const int n = 4;
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return gather_blocks(joined, size, 4); };
    run_ranks(n, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, n, rank).ttl(20s).timeout(60s), body); }, 120s);
}

namespace {

struct point {
    int x = 0;
    std::string label;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(point, x, label)

enum class colour : std::uint8_t { red, green };

asio::awaitable<void> gather_objects(group& joined) {
    nlohmann::json object;
    object["rank"] = joined.rank();
    object["list"] = {1, 2.5, "three", nullptr};
    const auto objects = co_await joined.allgather(object);
    CHECK(objects.at(1)["rank"] == 1);
    CHECK(objects.at(0)["list"][2] == "three");

    const point mine{joined.rank(), "p"}; // named: g++ 12 destroys an aggregate twice that is built inside a co_await expression
    const auto points = co_await joined.allgather(mine);
    CHECK(points.at(1).x == 1);

    const std::vector<int> numbers(static_cast<std::size_t>(joined.rank()), 7);
    const auto lists = co_await joined.allgather(numbers);
    CHECK(lists.at(1) == std::vector<int>{7});

    const auto texts = co_await joined.allgather(std::string(1, '\0') + "text");
    CHECK(texts.at(0) == std::string("\0text", 5));
    const auto ranks = co_await joined.allgather(joined.rank());
    CHECK(ranks == std::vector<int>{0, 1});
    const auto colours = co_await joined.allgather(colour::green);
    CHECK(colours.at(0) == colour::green);
}

asio::awaitable<void> gather_different_types(group& joined) {
    std::string text;
    try {
        if (joined.rank() == 0) {
            const auto wide = co_await joined.allgather(std::int64_t(1));
            static_cast<void>(wide);
        } else {
            const auto narrow = co_await joined.allgather(std::int8_t(1));
            static_cast<void>(narrow);
        }
    } catch (const error& failure) {
        CHECK(failure.reason() == errc::corrupt);
        text = failure.what();
    }
    CHECK(text.find("the ranks pass different types") != std::string::npos);
}

} // namespace

TEST_CASE("allgather: carries nlohmann::json, what it converts, strings, numbers and enumerations") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = gather_objects;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}

TEST_CASE("allgather: ranks that pass different types are told so") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = gather_different_types;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}

namespace {

asio::awaitable<void> refuse_large(group& joined) {
    const std::string mine(1'600'000, 'x');
    std::string text;
    try {
        const auto all = co_await joined.allgather(mine);
        static_cast<void>(all);
    } catch (const error& failure) {
        CHECK(failure.reason() == errc::too_large);
        text = failure.what();
    }
    CHECK(text.find("1600000 bytes") != std::string::npos);
    co_await joined.barrier(); // the group is unharmed
}

} // namespace

TEST_CASE("allgather: a block above etcd's limit is refused before it counts") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = refuse_large;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}
