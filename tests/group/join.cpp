#include <support/fault_proxy.hpp>
#include <support/group.hpp>

#include <etcdcoll/detail/key_layout.hpp>

#include <boost/asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <optional>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using clock_type = std::chrono::steady_clock;

asio::awaitable<void> join_only(std::string endpoint, group_options options) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    auto joined = co_await group::join(etcd, options);
    co_await joined.leave();
}

asio::awaitable<void> refused(std::string endpoint, group_options options, errc reason, std::string& text) {
    text = co_await expect_error(join_only(endpoint, options), reason);
}

// While a group of two runs, one more process tries to get in; the group goes on.
void refuse_a_third(group_options third, errc reason, std::string& text, const std::string& name) {
    const auto endpoint = test_etcd().endpoint();
    bool over = false;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        for (bool last = false; !last;) {
            const int mine = over ? 1 : 0;
            const auto all = co_await joined.allgather(mine);
            last = all.at(0) == 1;
        }
    };
    run_ranks(3, [&](int rank) -> asio::awaitable<void> {
        if (rank < 2) {
            co_await member(endpoint, options_for(name, 2, rank), body);
            co_return;
        }
        co_await until_members(endpoint, name, 2);
        co_await refused(endpoint, third, reason, text);
        over = true;
    });
    CHECK(keys_of(endpoint, name).empty());
}

} // namespace

TEST_CASE("join: a rank that a live process holds is refused, naming the holder, and the group is untouched") {
    const auto name = unique_group();
    std::string text;
    refuse_a_third(options_for(name, 2, 1), errc::rank_taken, text, name);
    CHECK_THAT(text, ContainsSubstring("join \"" + name + "\": rank 1 is held by host ") && ContainsSubstring(", pid ") && ContainsSubstring(", since ") && ContainsSubstring("it is alive"));
}

TEST_CASE("join: another world size is refused, naming both, and the group is untouched") {
    const auto name = unique_group();
    std::string text;
    refuse_a_third(options_for(name, 3, 2), errc::world_size_mismatch, text, name);
    CHECK_THAT(text, ContainsSubstring("has a world size of 2 (host ") && ContainsSubstring("this process says 3"));
}

TEST_CASE("join: a process more than there are ranks is refused, and the group is untouched") {
    const auto name = unique_group();
    std::string text;
    refuse_a_third(options_for(name, 2, -1), errc::group_full, text, name);
    CHECK_THAT(text, ContainsSubstring("all 2 ranks are held by live processes"));
}

TEST_CASE("join: ranks that nobody gives are assigned by etcd, each once") {
    const int n = GENERATE(1, 4, 16);
    const auto name = unique_group();
    std::vector<int> ranks;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        ranks.push_back(joined.rank());
        co_await joined.barrier();
    };
    run_ranks(n, [&](int) { return member(test_etcd().endpoint(), options_for(name, n, -1), body); });
    std::sort(ranks.begin(), ranks.end());
    for (int rank = 0; rank < n; ++rank) CHECK(ranks.at(static_cast<std::size_t>(rank)) == rank);
}

TEST_CASE("join: a name can be used again at once after a clean end, with another size too") {
    const auto name = unique_group();
    for (const int n : {2, 3, 1, 4}) {
        const std::function<asio::awaitable<void>(group&)> body = [](group& joined) -> asio::awaitable<void> { co_await joined.barrier(); };
        const auto began = clock_type::now();
        run_ranks(n, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, n, rank).ttl(20s), body); });
        CHECK(clock_type::now() - began < 10s); // nothing is waited for that a lease would have to end
    }
}

namespace {

// Destroys the group without a word to etcd, as the death of the process would.
asio::awaitable<void> crash(std::string endpoint, group_options options) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    std::optional<group> joined;
    joined.emplace(co_await group::join(etcd, options)); // co_await-form: a group is no aggregate
    co_await joined->barrier();
    joined.reset();
}

} // namespace

TEST_CASE("join: a name can be used again after a crash of all ranks, as a new epoch, with another size too") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    run_ranks(2, [&](int rank) { return crash(endpoint, options_for(name, 2, rank)); });
    const auto began = clock_type::now();
    std::vector<std::int64_t> epochs;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        co_await joined.barrier();
        epochs.push_back(joined.epoch());
    };
    const int n = GENERATE(2, 3);
    run_ranks(n, [&](int rank) { return member(endpoint, options_for(name, n, rank), body); });
    CHECK(clock_type::now() - began < 8s); // a time to live of 3 s, and etcd's half seconds
    CHECK(epochs.size() == static_cast<std::size_t>(n));
    CHECK(keys_of(endpoint, name).empty());
}

TEST_CASE("join: after a crash of all ranks nothing is left once the leases have run out") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    run_ranks(3, [&](int rank) { return crash(endpoint, options_for(name, 3, rank).ttl(2s)); });
    CHECK(wait_no_keys(endpoint, name, 12s));
}

TEST_CASE("join: ranks that never come are named when the time is up, and nothing is left") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    std::vector<std::string> texts(2);
    run_ranks(2, [&](int rank) {
        return refused(endpoint, options_for(name, 8, rank).join_timeout(1500ms), errc::timed_out, texts[static_cast<std::size_t>(rank)]);
    });
    CHECK_THAT(texts[0], ContainsSubstring("join \"" + name + "\": timed out after 1.5 s, ranks 2-7 of 8 never joined"));
    CHECK(wait_no_keys(endpoint, name, 5s));
}

TEST_CASE("join: a rank that dies before all have come is replaced, and the others do not notice") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    std::string text;
    meeting gone(2);
    const std::function<asio::awaitable<void>(group&)> body = [](group& joined) -> asio::awaitable<void> { co_await joined.barrier(); };
    run_ranks(4, [&](int rank) -> asio::awaitable<void> {
        if (rank == 2) {
            co_await until_members(endpoint, name, 2);
            co_await refused(endpoint, options_for(name, 4, 2).join_timeout(200ms), errc::timed_out, text);
        }
        if (rank >= 2) co_await gone.wait();
        co_await member(endpoint, options_for(name, 4, rank), body);
    });
    CHECK_THAT(text, ContainsSubstring("rank 3 of 4 never joined"));
    CHECK(keys_of(endpoint, name).empty());
}

TEST_CASE("join: lost replies make no rank twice and none twice counted") {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    const std::uint64_t seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
    proxy.random_reply_loss(0.3, seed, {});
    const int n = 4;
    std::vector<int> ranks;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        ranks.push_back(joined.rank());
        co_await joined.barrier();
    };
    run_ranks(n, [&](int rank) { return member(proxy.endpoint(), options_for(name, n, seed % 2 == 0 ? rank : -1).ttl(20s), body); });
    std::sort(ranks.begin(), ranks.end());
    CHECK(ranks == std::vector<int>{0, 1, 2, 3});
    CHECK(keys_of(direct, name).empty());
}

TEST_CASE("join: a group of another protocol is refused") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    std::string text;
    run([](std::string at, std::string group_name, std::string& said) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto etcd = client_for(executor, at);
        const detail::key_layout keys("etcdcoll/groups", group_name);
        const std::string root = R"({"protocol":2,"epoch":1,"id":"a","size":2})";
        const auto put = co_await etcd.put(keys.root(), root);
        static_cast<void>(put);
        co_await refused(at, options_for(group_name, 2, 0), errc::protocol_mismatch, said);
        const auto erased = co_await etcd.delete_range(keys.root());
        static_cast<void>(erased);
    }(endpoint, name, text));
    CHECK_THAT(text, ContainsSubstring("its members speak protocol 2, this process speaks 1"));
}

TEST_CASE("join: with etcd down it ends by its deadline and names the endpoint") {
    std::string text;
    const auto began = clock_type::now();
    run([](std::string& said) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        client_options options;
        options.endpoints("http://127.0.0.1:1").timeout(1s).log(logger(log_level::off, {}));
        const client etcd(executor, options);
        try {
            auto joined = co_await group::join(etcd, options_for("x", 2, 0));
        } catch (const error& failure) {
            said = failure.what();
        }
    }(text));
    CHECK(clock_type::now() - began < 2s);
    CHECK_THAT(text, ContainsSubstring("http://127.0.0.1:1: connection refused"));
}
