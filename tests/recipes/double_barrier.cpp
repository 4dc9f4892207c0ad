#include "support.hpp"

#include <etcdcoll/recipes/double_barrier.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

struct rounds {
    explicit rounds(int size_) : size(size_), inside(100), gone(100) {}
    int size;
    std::vector<int> inside; // by round: who has called enter()
    std::vector<int> gone;   // likewise leave()
};

// Everybody goes on to the next round at once: a fast one comes before the slow ones have seen the end of the last.
asio::awaitable<void> take_part(std::string p, int rank, const std::string* endpoint, int times, rounds* counted) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(*endpoint));
    auto s = co_await session::open(c, 30s);
    double_barrier b(s, p + "b", counted->size, "rank " + std::to_string(rank));
    for (int i = 0; i < times; ++i) {
        const auto round = static_cast<std::size_t>(i);
        ++counted->inside[round];
        co_await b.enter(20s);
        CHECK(counted->inside[round] == counted->size);
        ++counted->gone[round];
        co_await b.leave(20s);
        CHECK(counted->gone[round] == counted->size);
    }
    co_await s.close();
}

asio::awaitable<void> nothing_left(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p)));
    for (const auto& kv : left.kvs) UNSCOPED_INFO(kv.key);
    CHECK(left.kvs.empty());
}

void meet(int size, int times, const std::string& endpoint) {
    const auto p = unique_prefix();
    rounds counted(size);
    run_ranks(size, [&](int rank) { return take_part(p, rank, &endpoint, times, &counted); }, 60s);
    run(nothing_left(p));
}

asio::awaitable<void> enter_into(double_barrier* b, duration timeout, ending* into) {
    auto entering = b->enter(timeout);
    auto end = co_await ending_of(std::move(entering));
    *into = std::move(end);
}

asio::awaitable<void> leave_into(double_barrier* b, ending* into) {
    auto leaving = b->leave(10s);
    auto end = co_await ending_of(std::move(leaving));
    *into = std::move(end);
}

asio::awaitable<void> names_missing(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    double_barrier a(s, p + "b", 3, "ann");
    double_barrier b(s, p + "b", 3, "bob");
    ending of_b;
    task waiting(executor, enter_into(&b, 20s, &of_b));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 1);
    auto entering = a.enter(300ms);
    auto end = co_await ending_of(std::move(entering));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.what == "double_barrier \"" + p + "b\": timed out after 300 ms: 2 of 3 are there (bob; ann)");
    auto leaving = a.leave();
    end = co_await ending_of(std::move(leaving));
    CHECK(end.reason == errc::invalid_argument);

    // Who has withdrawn does not count: two more are needed.
    double_barrier cid(s, p + "b", 3, "cid");
    ending of_cid;
    ending of_a;
    task second(executor, enter_into(&cid, 20s, &of_cid));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 2);
    CHECK(!waiting.ended());
    task third(executor, enter_into(&a, 20s, &of_a));
    co_await waiting.join();
    co_await second.join();
    co_await third.join();
    CHECK(of_a.what + of_b.what + of_cid.what == "");
    auto again = a.enter();
    end = co_await ending_of(std::move(again));
    CHECK(end.reason == errc::invalid_argument);

    // One stays behind.
    leaving = a.leave(300ms);
    end = co_await ending_of(std::move(leaving));
    CHECK(end.reason == errc::timed_out);
    CHECK(contains(end.what, "timed out after 300 ms: 2 of 3 have not left ("));
    CHECK(contains(end.what, "bob"));
    CHECK(contains(end.what, "cid"));

    // Nobody begins anew before the last has left.
    auto early = a.enter(300ms);
    end = co_await ending_of(std::move(early));
    CHECK(end.reason == errc::timed_out);
    CHECK(contains(end.what, "of those who were here last, 2 of 3 have not left ("));

    task last(executor, leave_into(&b, &of_b));
    co_await cid.leave(10s);
    co_await last.join();
    CHECK(of_b.what == "");
    co_await wait_for_keys(c, p + "b/@double_barrier/", 0);

    // Alone, and gone again.
    early = a.enter(100ms);
    end = co_await ending_of(std::move(early));
    CHECK(end.reason == errc::timed_out);

    CHECK_THROWS_AS(double_barrier(s, p + "b", 0), error);
    CHECK_THROWS_AS(double_barrier(s, "", 1), error);
    CHECK_THROWS_AS(a.enter(0s), error);
    co_await s.close();
    co_await nothing_left(p);
}

asio::awaitable<void> one_too_many(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    auto dying = co_await session::open(c, 30s);
    double_barrier a(s, p + "b", 2, "ann");
    double_barrier b(dying, p + "b", 2, "bob");
    double_barrier cid(s, p + "b", 2, "cid");
    ending of_a, of_b, of_cid;
    task first(executor, enter_into(&a, 20s, &of_a));
    task second(executor, enter_into(&b, 20s, &of_b));
    co_await first.join();
    co_await second.join();
    CHECK(of_a.what + of_b.what == "");
    // The round is on; one more waits for its end, and that comes when one leaves and the other dies.
    task third(executor, enter_into(&cid, 20s, &of_cid));
    const auto taken = co_await c.lease_revoke(dying.lease());
    CHECK(taken.header.revision.value > 0);
    co_await a.leave(5s);
    ending of_d;
    double_barrier d(s, p + "b", 2, "dan");
    task fourth(executor, enter_into(&d, 20s, &of_d));
    co_await third.join();
    co_await fourth.join();
    CHECK(of_cid.what + of_d.what == "");
    auto leaving = b.leave();
    const auto end = co_await ending_of(std::move(leaving));
    CHECK(end.reason == errc::lease_lost);
    co_await s.close();
}

// One that comes between the last that is admitted and its word that all are there: it is turned away, and nobody who leaves waits for it, though its
// key is still there.
asio::awaitable<void> turned_away(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto of_second = proxy_of(test_etcd());
    auto of_third = proxy_of(test_etcd());
    client c(executor, quiet(test_etcd().endpoint()));
    client second(executor, quiet(of_second.endpoint()));
    client third(executor, quiet(of_third.endpoint()));
    auto s = co_await session::open(c, 30s);
    auto s2 = co_await session::open(second, 30s);
    auto s3 = co_await session::open(third, 30s);
    double_barrier a(s, p + "b", 2, "ann");
    double_barrier b(s2, p + "b", 2, "bob");
    double_barrier cid(s3, p + "b", 2, "cid");
    of_second.add(fault_rule("/v3/kv/txn").skip(1).stall_request());
    of_third.add(fault_rule("/v3/kv/txn").skip(1).times(fault_rule::always).stall_request());
    ending of_a, of_b, of_cid;
    task first_in(executor, enter_into(&a, 20s, &of_a));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 1);
    task second_in(executor, enter_into(&b, 20s, &of_b));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 2);
    task third_in(executor, enter_into(&cid, 20s, &of_cid));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 3);
    of_second.release();
    co_await first_in.join();
    co_await second_in.join();
    co_await third_in.join();
    CHECK(of_a.what + of_b.what == "");
    CHECK(of_cid.reason == errc::group_full);
    task leaving(executor, leave_into(&a, &of_a));
    co_await b.leave(10s);
    co_await leaving.join();
    CHECK(of_a.what == "");
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p + "b/@double_barrier/in/")));
    CHECK(left.count == 1);
    of_third.clear_rules();
    of_third.release();
    co_await wait_for_keys(c, p + "b/@double_barrier/", 0);
    co_await s3.close();
    co_await s2.close();
    co_await s.close();
    co_await nothing_left(p);
}

/// Who of a crowd was admitted, and what the others were told.
struct doorkeeper {
    std::shared_ptr<detail::condition> told;
    int in = 0;
    std::vector<errc> out;
};

// More than the size at once: exactly the size is admitted. They stay until the others have been told.
asio::awaitable<void> crowd(std::string p, doorkeeper* door) {
    const auto executor = co_await asio::this_coro::executor;
    if (!door->told) door->told = std::make_shared<detail::condition>(executor, environment::system());
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    double_barrier b(s, p + "b", 3);
    ending end;
    co_await enter_into(&b, 2s, &end);
    if (end.what.empty()) {
        ++door->in;
    } else {
        door->out.push_back(end.reason);
    }
    door->told->notify_all();
    while (door->in + static_cast<int>(door->out.size()) != 4) co_await door->told->wait();
    if (end.what.empty()) co_await b.leave(20s);
    co_await s.close();
}

asio::awaitable<void> cancelled(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    double_barrier a(s, p + "b", 2);
    detail::condition ended(executor, environment::system());
    bool done = false;
    ending end;
    asio::cancellation_signal stop;
    const auto finish = [&](std::exception_ptr) { done = true, ended.notify_all(); };
    asio::co_spawn(executor, enter_into(&a, 20s, &end), asio::bind_cancellation_slot(stop.slot(), finish));
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 1);
    stop.emit(asio::cancellation_type::terminal);
    while (!done) co_await ended.wait();
    CHECK(end.reason == errc::cancelled);
    co_await wait_for_keys(c, p + "b/@double_barrier/in/", 0);
    ending of_a, of_b;
    double_barrier b(s, p + "b", 2);
    {
        task first(executor, enter_into(&a, 20s, &of_a));
        task second(executor, enter_into(&b, 20s, &of_b));
        co_await first.join();
        co_await second.join();
    }
    CHECK(of_a.what + of_b.what == "");
    { const auto dropped = std::move(b); } // leaves in the background
    co_await a.leave(5s);
    co_await wait_for_keys(c, p + "b/@double_barrier/", 0);
    co_await s.close();
    co_await nothing_left(p);
}

} // namespace

TEST_CASE("double_barrier: all enter before one goes on, and all leave before one goes on") {
    for (const int size : {1, 2, 3, 8}) meet(size, 4, test_etcd().endpoint());
}
TEST_CASE("double_barrier: lost replies do no harm") {
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.25, 23, "/v3/kv/txn");
    meet(4, 4, proxy.endpoint());
}
TEST_CASE("double_barrier: time-outs say who is there, and who has not left") { run(names_missing(unique_prefix())); }
TEST_CASE("double_barrier: the dead are not waited for, and leave nothing in the way of the next round") { run(one_too_many(unique_prefix())); }
TEST_CASE("double_barrier: of more than its size, as many as its size are admitted") {
    const auto p = unique_prefix();
    doorkeeper door;
    run_ranks(4, [&](int) { return crowd(p, &door); });
    door.told.reset();
    CHECK(door.in == 3);
    REQUIRE(door.out.size() == 1);
    CHECK((door.out[0] == errc::group_full || door.out[0] == errc::timed_out)); // the latter where it came when all had been released
    run(nothing_left(p));
}
TEST_CASE("double_barrier: who leaves does not wait for one that was not admitted") { run(turned_away(unique_prefix())); }
TEST_CASE("double_barrier: who is cancelled, or destroys it, is not waited for") { run(cancelled(unique_prefix())); }
