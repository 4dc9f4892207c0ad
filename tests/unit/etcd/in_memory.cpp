#include <etcdcoll/etcd/in_memory.hpp>

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/lock.hpp>
#include <etcdcoll/group.hpp>
#include <etcdcoll/recipes/mutex.hpp>
#include <etcdcoll/session.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>

#include <thread>

using namespace etcdcoll;
using namespace std::chrono_literals;
using namespace boost::asio::experimental::awaitable_operators;
using etcd::in_memory;

namespace {

// The reason that an operation ends with; nothing: it worked.
asio::awaitable<std::optional<errc>> reason_of(asio::awaitable<void> operation) {
    std::optional<errc> reason;
    try {
        co_await std::move(operation);
    } catch (const error& failure) {
        reason = failure.reason();
    }
    co_return reason;
}

asio::awaitable<void> put(client etcd, std::string key, std::string value) {
    const auto done = co_await etcd.put(std::move(key), std::move(value));
    static_cast<void>(done);
}

asio::awaitable<void> rank(client etcd, int number, int rounds, std::int64_t* sum) {
    group_options options;
    options.name("g").rank(number).size(4);
    auto joined = co_await group::join(etcd, options);
    for (int i = 0; i < rounds; ++i) {
        co_await joined.barrier();
        const auto all = co_await joined.allgather(std::to_string(number));
        for (const auto& each : all) *sum += std::stoll(each);
    }
    co_await joined.leave();
}

} // namespace

TEST_CASE("in_memory: a client reads what it has written, at the revisions of etcd") {
    in_memory etcd;
    etcd.run([](client c) -> asio::awaitable<void> {
        const auto first = co_await c.put("a", "1");
        CHECK(first.header.revision.value == 2);
        const auto second = co_await c.put("a", "2");
        CHECK(second.header.revision.value == 3);
        const auto found = co_await c.get("a");
        REQUIRE(found);
        CHECK(found->value == "2");
        CHECK(found->version == 2);
        etcd::range_request old("a");
        old.revision = first.header.revision;
        const auto then = co_await c.range(old);
        CHECK(then.kvs.at(0).value == "1");
    });
}

TEST_CASE("in_memory: a group of four works on one client, and leaves nothing") {
    in_memory etcd;
    std::int64_t sum = 0;
    etcd.run([&](client c) -> asio::awaitable<void> {
        auto all = rank(c, 0, 3, &sum) && rank(c, 1, 3, &sum) && rank(c, 2, 3, &sum) && rank(c, 3, 3, &sum);
        co_await std::move(all);
        const auto left = co_await c.range(etcd::prefix(""));
        CHECK(left.count == 0);
    });
    CHECK(sum == 4 * 3 * 6);
}

TEST_CASE("in_memory: a session's lease is renewed in time that jumps, and runs out when its process stalls") {
    in_memory etcd;
    asio::io_context io;
    auto c = etcd.make_client(io.get_executor());
    std::optional<session> mine;
    bool lost = false;
    auto life = [&]() -> asio::awaitable<void> {
        auto opened = co_await session::open(c, 10s);
        mine.emplace(std::move(opened));
        etcd::put_request leased("leased", "1", mine->lease());
        const auto put = co_await c.put(leased);
        static_cast<void>(put);
        co_await mine->lost();
        lost = true;
    };
    asio::co_spawn(io, life(), asio::detached);
    etcd.run(io, 1h);
    CHECK_FALSE(lost);
    etcd.advance(11s); // nobody renews it meanwhile
    etcd.run(io, 1s);
    CHECK(lost);
    std::int64_t left = -1;
    auto look = [&]() -> asio::awaitable<void> {
        const auto found = co_await c.range("leased");
        left = found.count;
    };
    asio::co_spawn(io, look(), asio::detached);
    etcd.run(io, 1s);
    CHECK(left == 0);
}

TEST_CASE("in_memory: a reply that is lost leaves a put unknown, and a guarded transaction executed once") {
    in_memory etcd;
    etcd.run([&](client c) -> asio::awaitable<void> {
        etcd.lose_replies(1);
        auto putting = put(c, "plain", "1");
        const auto unknown = co_await reason_of(std::move(putting));
        CHECK(unknown == errc::outcome_unknown);
        const auto there = co_await c.get("plain");
        CHECK(there.has_value());

        etcd.lose_replies(1);
        call_options guarded;
        guarded.guarded = true;
        auto request = etcd::when(etcd::version("guarded") == 0).then(etcd::put("guarded", "1")).otherwise(etcd::get("guarded"));
        const auto done = co_await c.txn(request, guarded);
        CHECK_FALSE(done.succeeded); // the second attempt found the work of the first
        const auto once = co_await c.get("guarded");
        REQUIRE(once);
        CHECK(once->version == 1);
    });
}

TEST_CASE("in_memory: calls meet their deadline while it is stopped or stuck, and work when it goes on") {
    in_memory etcd;
    etcd.run([&](client c) -> asio::awaitable<void> {
        co_await put(c, "a", "1");
        etcd.stop();
        const auto began = etcd.now();
        auto refused = put(c, "a", "2");
        const auto down = co_await reason_of(std::move(refused));
        CHECK(down == errc::connection_failed);
        CHECK(etcd.now() - began <= 8500ms);
        etcd.go_on();
        co_await put(c, "a", "3");
        etcd.pause();
        auto stuck = put(c, "a", "4");
        const auto unknown = co_await reason_of(std::move(stuck));
        CHECK(unknown == errc::outcome_unknown);
        etcd.go_on();
        const auto found = co_await c.get("a");
        REQUIRE(found);
        CHECK(found->value == "4"); // executed after all
    });
}

TEST_CASE("in_memory: a watch brings what happens, across a crash, and says where history begins") {
    in_memory etcd;
    etcd.run([&](client c) -> asio::awaitable<void> {
        auto changes = c.watch(etcd::watch_request("k", etcd::revision{2}));
        co_await put(c, "k", "1");
        const auto first = co_await changes.next();
        CHECK(first.events.at(0).kv.value == "1");
        etcd.stop();
        etcd.go_on();
        co_await put(c, "k", "2");
        const auto second = co_await changes.next();
        CHECK(second.events.at(0).kv.value == "2");
        const auto compacted = co_await c.compact(second.header.revision);
        static_cast<void>(compacted);
        auto late = c.watch(etcd::watch_request("k", etcd::revision{1}));
        std::int64_t begins = 0;
        try {
            const auto never = co_await late.next();
            static_cast<void>(never);
        } catch (const error& failure) {
            CHECK(failure.reason() == errc::compacted);
            begins = failure.context().compact_revision;
        }
        CHECK(begins == second.header.revision.value);
    });
}

TEST_CASE("in_memory: locks and batches work on it, the server's own locks do not") {
    in_memory etcd;
    etcd.run([](client c) -> asio::awaitable<void> {
        auto mine = co_await session::open(c, 10s);
        const mutex lock(mine, "m");
        auto held = lock;
        auto hold = co_await held.lock(1s);
        co_await hold.unlock();
        etcd::batch writes(c);
        for (int i = 0; i < 300; ++i) writes.put("b/" + std::to_string(i), "x");
        const auto written = co_await writes.run();
        CHECK(written.complete());
        etcd::lock_service servers(c);
        std::optional<errc> why;
        try {
            const auto taken = co_await servers.lock("l", mine.lease());
            static_cast<void>(taken);
        } catch (const error& failure) {
            why = failure.reason();
        }
        CHECK(why == errc::unsupported);
        co_await mine.close();
    });
}

TEST_CASE("in_memory: its limits are etcd's") {
    etcd::in_memory_options small;
    small.max_txn_ops = 4;
    in_memory etcd(small);
    etcd.run([](client c) -> asio::awaitable<void> {
        etcd::txn_request request;
        for (int i = 0; i < 5; ++i) request.success.emplace_back(etcd::put("k" + std::to_string(i), ""));
        auto sending = [](client through, etcd::txn_request what) -> asio::awaitable<void> {
            const auto done = co_await through.txn(std::move(what));
            static_cast<void>(done);
        };
        auto sent = sending(c, request);
        const auto refused = co_await reason_of(std::move(sent));
        CHECK(refused == errc::refused);
    });
}

TEST_CASE("in_memory: a program that waits for what cannot come is told so") {
    in_memory etcd;
    std::optional<errc> why;
    try {
        etcd.run([](client c) -> asio::awaitable<void> {
            auto changes = c.watch("never");
            const auto response = co_await changes.next();
            static_cast<void>(response);
        });
    } catch (const error& failure) {
        why = failure.reason();
    }
    CHECK(why == errc::timed_out);
}

TEST_CASE("in_memory: the same program takes the same course every time") {
    std::vector<std::uint64_t> requests;
    std::vector<duration> times;
    for (int i = 0; i < 5; ++i) {
        in_memory etcd;
        std::int64_t sum = 0;
        const auto began = etcd.now();
        etcd.run([&](client c) -> asio::awaitable<void> {
            etcd.lose_replies(3);
            auto all = rank(c, 0, 2, &sum) && rank(c, 1, 2, &sum) && rank(c, 2, 2, &sum) && rank(c, 3, 2, &sum);
            co_await std::move(all);
        });
        requests.push_back(etcd.requests());
        times.push_back(etcd.now() - began);
    }
    CHECK(std::count(requests.begin(), requests.end(), requests.front()) == 5);
    CHECK(std::count(times.begin(), times.end(), times.front()) == 5);
}

TEST_CASE("in_memory: clients of several threads share it") {
    in_memory etcd;
    constexpr int each = 200;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&etcd, t] {
            asio::io_context io;
            auto c = etcd.make_client(io.get_executor());
            auto work = [&]() -> asio::awaitable<void> {
                for (int i = 0; i < each; ++i) {
                    co_await put(c, "t/" + std::to_string(t), std::to_string(i));
                }
            };
            asio::co_spawn(io, work(), asio::detached);
            io.run();
        });
    }
    for (auto& one : threads) one.join();
    etcd.run([](client c) -> asio::awaitable<void> {
        const auto all = co_await c.range(etcd::prefix("t/"));
        REQUIRE(all.kvs.size() == 4);
        for (const auto& kv : all.kvs) CHECK(kv.version == each);
    });
}
