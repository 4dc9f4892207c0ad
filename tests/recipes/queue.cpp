#include "support.hpp"

#include <etcdcoll/recipes/queue.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <map>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

constexpr int each = 12;

asio::awaitable<void> produce(std::string p, int rank, const std::string* endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(*endpoint));
    auto s = co_await session::open(c, 30s);
    queue q(s, p + "q");
    for (int i = 0; i < each; ++i) {
        co_await q.push(std::to_string(rank) + " " + std::to_string(i), 20s);
    }
    co_await s.close();
}

/// What each consumer got, in its order.
using harvest = std::vector<std::vector<std::string>>;

asio::awaitable<void> consume(std::string p, int rank, const std::string* endpoint, int* left, harvest* got) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(*endpoint));
    auto s = co_await session::open(c, 30s);
    queue q(s, p + "q");
    while (--*left >= 0) {
        auto item = co_await q.pop(30s);
        (*got)[static_cast<std::size_t>(rank)].push_back(std::move(item));
    }
    co_await s.close();
}

// Three push, three pop: each item once, and those of one producer in its order, as each consumer sees them.
void push_and_pop(const std::string& endpoint) {
    const auto p = unique_prefix();
    int left = 3 * each;
    harvest got(3);
    run_ranks(6, [&](int rank) { return rank < 3 ? produce(p, rank, &endpoint) : consume(p, rank - 3, &endpoint, &left, &got); }, 90s);
    std::map<std::string, int> times;
    for (const auto& list : got) {
        std::map<std::string, int> last;
        for (const auto& item : list) {
            ++times[item];
            const auto from = item.substr(0, 1);
            const int number = std::stoi(item.substr(2));
            if (last.contains(from)) CHECK(number > last[from]);
            last[from] = number;
        }
    }
    CHECK(times.size() == 3 * each);
    for (const auto& [item, count] : times) CHECK(count == 1);
}

asio::awaitable<void> in_order(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto first = co_await session::open(c, 30s);
    auto second = co_await session::open(c, 30s);
    queue a(first, p + "q");
    queue b(second, p + "q");
    auto none = co_await a.try_pop();
    CHECK(!none);
    const std::string binary("\0\xff bytes", 8);
    co_await a.push("1");
    co_await b.push("2");
    co_await a.push("");
    co_await b.push(binary);
    auto size = co_await a.size();
    CHECK(size == 4);
    co_await first.close(); // items are nobody's: they stay
    for (const auto& expected : {std::string("1"), std::string("2"), std::string(), binary}) {
        const auto item = co_await b.pop(5s);
        CHECK(item == expected);
    }
    size = co_await b.size();
    CHECK(size == 0);
    auto empty = b.pop(200ms);
    const auto end = co_await ending_of(std::move(empty));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.what == "queue \"" + p + "q\": timed out after 200 ms: it is empty");
    CHECK(end.context.call == "pop");
    CHECK(end.context.key == p + "q");
    auto closed = a.pop(1s);
    const auto refused = co_await ending_of(std::move(closed));
    CHECK(refused.reason == errc::closed);
    CHECK_THROWS_AS(b.pop(0s), error);
    auto too_large = b.push(std::string(2'000'000, 'x'));
    const auto large = co_await ending_of(std::move(too_large));
    CHECK(large.reason == errc::too_large);
    co_await second.close();
}

asio::awaitable<void> pop_late(queue* q, std::string* into) { *into = co_await q->pop(20s); }

// It waits when its watch is there; then one push, and it has the item.
asio::awaitable<void> wakes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    auto other = co_await session::open(direct, 30s);
    queue q(s, p + "q");
    queue of_other(other, p + "q");
    const auto before = c.metrics();
    std::string item;
    task popping(executor, pop_late(&q, &item));
    while (proxy.requests("/v3/watch") == 0) { // other clients' calls let it go on
        const auto none = co_await of_other.size();
        CHECK(none == 0);
    }
    CHECK(!popping.ended());
    co_await of_other.push("late");
    co_await popping.join();
    CHECK(item == "late");
    CHECK(c.metrics().calls - before.calls <= 3); // no polling
    co_await other.close();
    co_await s.close();
}

asio::awaitable<void> pop_into(queue q, std::vector<std::string>* into, ending* end) {
    try {
        auto item = co_await q.pop(20s);
        into->push_back(std::move(item));
    } catch (const error& failure) {
        end->reason = failure.reason();
        end->what = failure.what();
    }
}

// The item is taken when the consumer is cancelled, and the consumer does not know: it goes back to where it stood.
asio::awaitable<void> cancelled(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    auto other = co_await session::open(direct, 30s);
    queue q(s, p + "q");
    queue of_other(other, p + "q");
    co_await of_other.push("1");
    co_await of_other.push("2");
    proxy.add(fault_rule("/v3/kv/txn").stall_response());
    detail::condition ended(executor, environment::system());
    bool done = false;
    std::vector<std::string> got;
    ending end;
    asio::cancellation_signal stop;
    const auto finish = [&](std::exception_ptr) { done = true, ended.notify_all(); };
    asio::co_spawn(executor, pop_into(q, &got, &end), asio::bind_cancellation_slot(stop.slot(), finish));
    co_await wait_for_keys(direct, p + "q/@queue/", 1); // taken
    stop.emit(asio::cancellation_type::terminal);
    while (!done) co_await ended.wait();
    CHECK(end.reason == errc::cancelled);
    CHECK(got.empty());
    co_await wait_for_keys(direct, p + "q/@queue/", 2);
    for (const char* expected : {"1", "2"}) {
        const auto item = co_await of_other.pop(5s);
        CHECK(item == expected);
    }
    co_await other.close();
    co_await s.close();
}

// A push whose first copy was lost on the way, and arrives when the item that the second brought has been taken.
asio::awaitable<void> stray_push(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    auto other = co_await session::open(direct, 30s);
    queue q(s, p + "q");
    queue of_other(other, p + "q");
    stolen_request late(proxy, "/v3/kv/txn");
    co_await q.push("once");
    const auto item = co_await of_other.pop(5s);
    CHECK(item == "once");
    const auto reply = co_await late.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    const auto size = co_await of_other.size();
    CHECK(size == 0);
    // A lost reply after the item has been taken by another.
    proxy.add(fault_rule("/v3/kv/txn").times(3).drop_reply());
    co_await q.push("twice?");
    const auto second = co_await of_other.pop(5s);
    CHECK(second == "twice?");
    const auto none = co_await of_other.try_pop();
    CHECK(!none);
    co_await other.close();
    co_await s.close();
}

} // namespace

TEST_CASE("queue: each item is taken once, in the order of its producer") { push_and_pop(test_etcd().endpoint()); }
TEST_CASE("queue: lost replies neither lose an item nor double it") {
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.25, 17, "/v3/kv/txn");
    push_and_pop(proxy.endpoint());
}
TEST_CASE("queue: first in, first out, across processes, and any bytes") { run(in_order(unique_prefix())); }
TEST_CASE("queue: a push wakes who waits") { run(wakes(unique_prefix())); }
TEST_CASE("queue: an item that was taken for a consumer who was cancelled goes back to its place") { run(cancelled(unique_prefix())); }
TEST_CASE("queue: a copy of a push that comes late pushes nothing") { run(stray_push(unique_prefix())); }
