#include <support/fault_proxy.hpp>
#include <support/group.hpp>

#include <boost/asio/this_coro.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;

namespace {

using collective = asio::awaitable<void> (*)(group&);

asio::awaitable<void> call_barrier(group& joined) { co_await joined.barrier(); }

asio::awaitable<void> call_allgather(group& joined) {
    const auto all = co_await joined.allgather(joined.rank());
    for (int rank = 0; rank < joined.size(); ++rank)
        if (all.at(static_cast<std::size_t>(rank)) != rank) FAIL("wrong block of rank " << rank);
}

enum class part { request, response };

// Rank 0 goes through the proxy; the collective's transaction is cut after one byte more each time. The proxy is told between two
// collectives, when rank 1 waits for rank 0.
asio::awaitable<void> cut_everywhere(group& joined, collective call, fault_proxy& proxy, part where, close_how how, std::int64_t& calls) {
    co_await call(joined);
    co_await call(joined); // the numbers in the texts have grown to their length by then
    const auto length = where == part::request ? proxy.last_request_size("/v3/kv/txn") : proxy.last_response_size("/v3/kv/txn");
    const std::size_t mine = joined.rank() == 0 ? length : 0;
    const auto rounds = co_await joined.allgather(mine);
    if (joined.rank() == 0) calls = 3;
    for (std::size_t k = 0; k <= rounds.at(0) + 8; ++k) {
        if (joined.rank() == 0) {
            proxy.clear_rules();
            fault_rule rule("/v3/kv/txn");
            proxy.add(where == part::request ? rule.cut_request_after(k, how) : rule.cut_response_after(k, how));
        }
        co_await call(joined);
        if (joined.rank() == 0) ++calls;
    }
    if (joined.rank() == 0) proxy.clear_rules();
}

asio::awaitable<void> cut_member(std::string endpoint, group_options options, collective call, fault_proxy& proxy, part where, close_how how,
                                 std::string direct, std::map<std::string, std::int64_t>& left, std::int64_t& calls) {
    const std::string name = *options.get().name;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        co_await cut_everywhere(joined, call, proxy, where, how, calls);
        co_await joined.barrier();
        if (joined.rank() == 0) left = keys_of(direct, name); // the barrier after it holds the other rank here
        co_await joined.barrier();
    };
    co_await member(endpoint, options, body);
}

void cut_at_every_byte(collective call, part where, close_how how) {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    std::map<std::string, std::int64_t> left;
    std::int64_t calls = 0;
    run_ranks(
        2,
        [&](int rank) {
            const auto endpoint = rank == 0 ? proxy.endpoint() : direct;
            return cut_member(endpoint, options_for(name, 2, rank).ttl(20s).timeout(60s), call, proxy, where, how, direct, left, calls);
        },
        250s);
    CHECK(calls > 300);
    // I1: as many arrivals as calls by two ranks, and one barrier more; the other rank may have arrived at the last one already.
    CHECK(left.at("count") >= 2 * (calls + 1));
    CHECK(left.at("count") <= 2 * (calls + 1) + 1);
    CHECK(keys_of(direct, name).empty());
}

} // namespace

TEST_CASE("barrier: cut at every byte of its request, each arrival counts once") { cut_at_every_byte(call_barrier, part::request, close_how::fin); }
TEST_CASE("barrier: cut at every byte of its reply, each arrival counts once") { cut_at_every_byte(call_barrier, part::response, close_how::rst); }
TEST_CASE("allgather: cut at every byte of its requests, each arrival counts once") { cut_at_every_byte(call_allgather, part::request, close_how::rst); }
TEST_CASE("allgather: cut at every byte of its replies, each arrival counts once") { cut_at_every_byte(call_allgather, part::response, close_how::fin); }

namespace {

asio::awaitable<void> many_calls(group& joined, collective call, int rounds, fault_proxy& proxy, std::uint64_t seed, std::string direct, std::string name,
                                 std::map<std::string, std::int64_t>& left) {
    if (joined.rank() == 0) proxy.random_reply_loss(0.2, seed, "/v3/kv/txn");
    for (int round = 0; round < rounds; ++round) {
        co_await call(joined);
    }
    if (joined.rank() == 0) proxy.clear_rules();
    co_await joined.barrier();
    if (joined.rank() == 0) left = keys_of(direct, name);
    co_await joined.barrier();
}

} // namespace

TEST_CASE("collectives: with replies lost at random no arrival is lost or counted twice") {
    const auto call = GENERATE(call_barrier, call_allgather);
    const int n = 4;
    const int rounds = 1000;
    const std::uint64_t seed = 20240607;
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    std::map<std::string, std::int64_t> left;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) {
        return many_calls(joined, call, rounds, proxy, seed, direct, name, left);
    };
    run_ranks(n, [&](int rank) { return member(proxy.endpoint(), options_for(name, n, rank).ttl(20s).timeout(60s), body); }, 250s);
    CHECK(left.at("count") >= n * (rounds + 1));
    CHECK(left.at("count") < n * (rounds + 2));
    CHECK(keys_of(direct, name).empty());
}

namespace {

asio::awaitable<void> survive(group& joined, fault_proxy& proxy, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        if (joined.rank() == 0 && round % 10 == 5) proxy.cut_all(round % 20 == 5 ? close_how::fin : close_how::rst);
        co_await call_allgather(joined);
        co_await joined.barrier();
    }
}

} // namespace

TEST_CASE("collectives: go on when all connections break, the watch's too") {
    const int n = 4;
    const auto name = unique_group();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return survive(joined, proxy, 100); };
    run_ranks(n, [&](int rank) { return member(proxy.endpoint(), options_for(name, n, rank).ttl(20s), body); }, 120s);
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}

namespace {

asio::awaitable<void> compacted_away(group& joined, fault_proxy& proxy, client etcd, int rounds) {
    co_await joined.barrier();
    for (int round = 0; round < rounds; ++round) {
        if (joined.rank() == 1) {
            proxy.refuse(); // rank 0's watch cannot come back before its place in the history is gone
            proxy.cut_all(close_how::rst);
            const auto first = co_await etcd.put("unrelated", "x");
            static_cast<void>(first);
            const auto second = co_await etcd.put("unrelated", "x");
            const auto compacted = co_await etcd.compact(second.header.revision);
            static_cast<void>(compacted);
            proxy.accept_again();
        }
        co_await call_allgather(joined);
        co_await joined.barrier();
    }
}

asio::awaitable<void> compacted_member(std::string endpoint, group_options options, fault_proxy& proxy, int rounds) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    auto joined = co_await group::join(etcd, options);
    co_await compacted_away(joined, proxy, etcd, rounds);
    co_await joined.leave();
}

} // namespace

TEST_CASE("collectives: lose nothing when the history that a watch missed has been compacted") {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    run_ranks(2, [&](int rank) {
        const auto endpoint = rank == 0 ? proxy.endpoint() : direct;
        return compacted_member(endpoint, options_for(name, 2, rank).ttl(20s), proxy, 20);
    });
    CHECK(keys_of(direct, name).empty());
}
