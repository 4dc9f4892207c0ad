// Clients that go while calls and watches are under way, and clients that several threads use.
#include "support.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <thread>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

asio::awaitable<void> keep_busy(client c, std::string p, int* ended) {
    try {
        for (int i = 0; i < 3; ++i) {
            const auto put = co_await c.put(p + "k", "v");
            auto changes = c.watch(etcd::watch_request(p + "k", put.header.revision));
            const auto seen = co_await changes.next();
            CHECK(!seen.events.empty());
            auto s = co_await session::open(c, 5s);
            const auto got = co_await c.get(p + "k");
            CHECK(got);
        }
    } catch (const error& failure) {
        INFO(failure.what());
        CHECK((failure.reason() == errc::closed || failure.reason() == errc::outcome_unknown || failure.reason() == errc::cancelled));
    }
    ++*ended;
}

void start(asio::io_context& io, const std::string& p, int* ended) {
    client c(io.get_executor(), quiet(test_etcd().endpoint()));
    for (int i = 0; i < 3; ++i) asio::co_spawn(io, keep_busy(c, p + std::to_string(i), ended), asio::detached);
}

asio::awaitable<void> one_call(client c, std::string key, ending* into, int* left) {
    auto call = c.get(key);
    auto end = co_await ending_of(std::move(call));
    *into = std::move(end);
    --*left;
}

asio::awaitable<void> close_in_flight(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()).connections(2));
    const auto rule = proxy.add(fault_rule("/v3/kv/range").times(fault_rule::always).stall_response());
    const auto writes = proxy.add(fault_rule("/v3/kv/put").times(fault_rule::always).stall_response());
    CHECK(rule != writes);
    std::vector<ending> ends(5);
    int left = 5;
    for (auto& end : ends) asio::co_spawn(executor, one_call(c, p, &end, &left), asio::detached);
    detail::condition closing(executor, environment::system());
    asio::post(executor, [&] {
        c.close();
        closing.notify_all();
    });
    auto writing = c.put(p + "k", "v");
    const auto written = co_await ending_of(std::move(writing));
    CHECK(written.took < 2s);
    while (left > 0) co_await asio::post(executor, asio::use_awaitable);
    for (const auto& end : ends) {
        INFO(end.what);
        CHECK(end.reason == errc::closed);
        CHECK(end.took < 2s);
    }
}

asio::awaitable<void> cancel_call(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()).connections(1));
    proxy.add(fault_rule("/v3/kv/range").stall_response());
    std::vector<ending> ends(2);
    int left = 2;
    asio::cancellation_signal first;
    asio::cancellation_signal second;
    asio::co_spawn(executor, one_call(c, p, &ends[0], &left), asio::bind_cancellation_slot(first.slot(), asio::detached));
    asio::co_spawn(executor, one_call(c, p, &ends[1], &left), asio::bind_cancellation_slot(second.slot(), asio::detached));
    while (proxy.totals().stalled == 0) co_await asio::post(executor, asio::use_awaitable);
    second.emit(asio::cancellation_type::terminal); // waits for a connection
    while (left > 1) co_await asio::post(executor, asio::use_awaitable);
    CHECK(ends[1].reason == errc::cancelled);
    first.emit(asio::cancellation_type::terminal); // waits for its reply
    while (left > 0) co_await asio::post(executor, asio::use_awaitable);
    CHECK(ends[0].reason == errc::cancelled);
    const auto got = co_await c.get(p);
    CHECK(!got);
    const auto put = co_await c.put(p + "k", "v");
    CHECK(put.header.revision.value > 0);
}

// ---- threads --------------------------------------------------------------------------------------------------------------------

struct tally {
    std::atomic<int> left = 0;
    std::atomic<int> wrong = 0;
};

asio::awaitable<void> work(client c, std::string p, int number, tally* count) {
    const auto key = p + std::to_string(number);
    try {
        const auto before = co_await c.put(p, "");
        auto changes = c.watch(etcd::watch_request(key, before.header.revision));
        for (int round = 1; round <= 10; ++round) {
            const auto put = co_await c.put(key, std::to_string(round));
            const auto got = co_await c.get(key);
            if (!got || got->version != round) ++count->wrong;
            const auto seen = co_await changes.next();
            if (seen.events.empty() || seen.events.front().kv.mod_revision != put.header.revision) ++count->wrong;
            if (c.metrics().calls == 0) ++count->wrong;
            if (round == 5) {
                auto s = co_await session::open(c, 5s);
                co_await s.close();
            }
        }
    } catch (const std::exception&) {
        ++count->wrong;
    }
    --count->left;
}

} // namespace

TEST_CASE("client: one that goes with its io_context, calls, watches and sessions under way, leaves nothing behind") {
    const auto p = unique_prefix();
    static_cast<void>(test_etcd());
    for (int handlers = 0; handlers < 120; handlers += 3) {
        int ended = 0;
        asio::io_context io(1);
        start(io, p + std::to_string(handlers), &ended);
        for (int i = 0; i < handlers; ++i) io.run_one_for(20ms);
    }
}

TEST_CASE("client: the last handle may go while calls are under way; they end") {
    const auto p = unique_prefix();
    int ended = 0;
    asio::io_context io(1);
    start(io, p, &ended);
    io.run_for(20s);
    CHECK(ended == 3);
    CHECK(io.stopped()); // nothing runs on once nobody holds the client
}

TEST_CASE("client: close() ends all calls, those that wait for a connection too") { run(close_in_flight(unique_prefix())); }
TEST_CASE("client: a cancelled call ends with errc::cancelled and gives its connection to the next") { run(cancel_call(unique_prefix())); }

TEST_CASE("client: two threads may run its io_context, and any thread may use it") {
    const auto p = unique_prefix();
    asio::io_context io(2);
    tally count;
    {
        client c(io.get_executor(), quiet(test_etcd().endpoint()).connections(4));
        count.left = 16;
        for (int i = 0; i < 16; ++i) asio::co_spawn(io, work(c, p, i, &count), asio::detached);
    }
    std::thread other([&io] { io.run_for(25s); });
    io.run_for(25s);
    other.join();
    CHECK(count.left == 0);
    CHECK(count.wrong == 0);
    CHECK(io.stopped());
}

TEST_CASE("client: two threads may close it while others use it") {
    for (int round = 0; round < 10; ++round) {
        const auto p = unique_prefix();
        asio::io_context io(2);
        tally count;
        client c(io.get_executor(), quiet(test_etcd().endpoint()).connections(4));
        count.left = 8;
        for (int i = 0; i < 8; ++i) asio::co_spawn(io, work(c, p, i, &count), asio::detached);
        std::thread other([&io] { io.run_for(10s); });
        io.run_for(std::chrono::milliseconds(3 * round));
        c.close();
        io.run_for(10s);
        other.join();
        CHECK(count.left == 0);
    }
}
