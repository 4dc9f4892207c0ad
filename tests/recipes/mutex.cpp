#include "support.hpp"

#include <etcdcoll/recipes/mutex.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

asio::awaitable<void> increment_unsafely(client c, std::string key) {
    const auto before = co_await c.get(key);
    const int value = before ? std::stoi(before->value) : 0;
    const auto written = co_await c.put(key, std::to_string(value + 1));
    CHECK(written.header.revision.value > 0);
}

// Four sessions, two contenders each.
asio::awaitable<void> contend(std::string p, int rank, std::vector<std::int64_t>* tokens) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 10s);
    mutex m(s, p + "lock", "rank " + std::to_string(rank));
    for (int round = 0; round < 5; ++round) {
        auto hold = co_await m.lock(20s);
        tokens->push_back(hold.token().value);
        co_await increment_unsafely(c, p + "counter");
        co_await hold.unlock();
    }
    co_await s.close();
}

asio::awaitable<void> counted(std::string p, int expected) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto found = co_await c.get(p + "counter");
    REQUIRE(found);
    CHECK(found->value == std::to_string(expected));
    const auto left = co_await c.range(etcd::range_request(etcd::prefix(p + "lock")));
    CHECK(left.kvs.empty());
}

asio::awaitable<void> fenced(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto stale = co_await session::open(c, 30s);
    auto fresh = co_await session::open(c, 30s);
    mutex of_stale(stale, p + "lock");
    mutex of_fresh(fresh, p + "lock");
    auto first = co_await of_stale.lock(5s);
    const auto good = co_await c.txn(etcd::when(first.still_held()).then(etcd::put(p + "k", "1")));
    CHECK(good.succeeded);
    const auto taken = co_await c.lease_revoke(stale.lease());
    CHECK(taken.header.revision.value > 0);
    auto second = co_await of_fresh.lock(5s);
    CHECK(second.token() > first.token());
    const auto late = co_await c.txn(etcd::when(first.still_held()).then(etcd::put(p + "k", "2")));
    CHECK(!late.succeeded);
    const auto value = co_await c.get(p + "k");
    REQUIRE(value);
    CHECK(value->value == "1");
    co_await first.lost();
    auto giving_up = first.unlock();
    const auto end = co_await ending_of(std::move(giving_up));
    CHECK(end.reason == errc::lease_lost);
    co_await second.unlock();
    co_await fresh.close();
    co_await stale.close();
}

asio::awaitable<void> lock_then(mutex m, int* got) {
    auto hold = co_await m.lock(10s);
    ++*got;
    co_await hold.unlock();
}

asio::awaitable<void> death_wakes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto dying = co_await session::open(c, 30s);
    auto living = co_await session::open(c, 30s);
    mutex of_dying(dying, p + "lock");
    mutex of_living(living, p + "lock");
    const auto held = co_await of_dying.lock(5s);
    int got = 0;
    task waiting(executor, lock_then(of_living, &got));
    co_await wait_for_keys(c, p + "lock/@mutex/", 2);
    CHECK(got == 0);
    const auto taken = co_await c.lease_revoke(dying.lease());
    CHECK(taken.header.revision.value > 0);
    co_await waiting.join();
    CHECK(got == 1);
    co_await living.close();
}

asio::awaitable<void> names_holder(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex holding(s, p + "lock", "the night shift");
    mutex wanting(s, p + "lock");
    auto hold = co_await holding.lock(5s);
    const auto none = co_await wanting.try_lock();
    CHECK(!none);
    auto locking = wanting.lock(300ms);
    const auto end = co_await ending_of(std::move(locking));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.what == "mutex \"" + p + "lock\": timed out after 300 ms; held by the night shift since revision " + std::to_string(hold.token().value));
    CHECK(end.took < 2s);
    co_await wait_for_keys(c, p + "lock/@mutex/", 1); // the place in line was given up
    const auto who = co_await wanting.holder();
    REQUIRE(who);
    CHECK(who->value == "the night shift");
    CHECK(who->create_revision == hold.token());
    co_await hold.unlock();
    auto again = hold.unlock();
    const auto twice = co_await ending_of(std::move(again));
    CHECK(twice.reason == errc::closed);
    {
        const auto mine = co_await wanting.try_lock();
        REQUIRE(mine);
        CHECK(mine->token() > hold.token());
        const auto by_default = co_await wanting.holder();
        REQUIRE(by_default);
        CHECK(contains(by_default->value, ", pid "));
    }
    auto after = co_await holding.lock(5s); // what was destroyed is given up
    co_await after.unlock();
    CHECK_THROWS_AS(mutex(s, ""), error);
    CHECK_THROWS_AS(mutex(s, "a/@b"), error);
    CHECK_THROWS_AS(wanting.lock(0s), error);
    co_await s.close();
    auto closed = wanting.lock(1s);
    const auto refused = co_await ending_of(std::move(closed));
    CHECK(refused.reason == errc::closed);
}

asio::awaitable<void> loses_lease_waiting(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    auto other = co_await session::open(c, 2s);
    mutex m(s, p + "lock");
    mutex n(other, p + "lock");
    auto hold = co_await m.lock(5s);
    const auto taken = co_await c.lease_revoke(other.lease());
    CHECK(taken.header.revision.value > 0);
    auto locking = n.lock(10s); // before or after the session notices
    const auto end = co_await ending_of(std::move(locking));
    CHECK(end.reason == errc::lease_lost);
    CHECK(end.took < 5s);
    co_await hold.unlock();
    co_await s.close();
}

asio::awaitable<void> cut_off_waiting(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client through(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(direct, 30s);
    auto cut = co_await session::open(through, 2s);
    mutex m(s, p + "lock");
    mutex n(cut, p + "lock");
    auto hold = co_await m.lock(5s);
    auto locking = n.lock(20s);
    ending end;
    const auto wait = [](asio::awaitable<mutex_hold> l, ending* into) -> asio::awaitable<void> {
        auto e = co_await ending_of(std::move(l));
        *into = std::move(e);
    };
    task waiting(executor, wait(std::move(locking), &end));
    co_await wait_for_keys(direct, p + "lock/@mutex/", 2);
    proxy.black_hole();
    co_await waiting.join();
    CHECK(end.reason == errc::lease_lost);
    CHECK(end.took < 5s);
    proxy.pass_through();
    co_await hold.unlock();
    co_await s.close();
}

// A black hole between the holder and etcd: the holder is told by its own clock, before etcd gives the lock to the next.
asio::awaitable<void> cut_off_holding(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client through(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(direct, 30s);
    auto cut = co_await session::open(through, 3s);
    mutex m(s, p + "lock");
    mutex n(cut, p + "lock");
    auto hold = co_await n.lock(5s);
    int got = 0;
    task waiting(executor, lock_then(m, &got));
    co_await wait_for_keys(direct, p + "lock/@mutex/", 2);
    proxy.black_hole();
    co_await hold.lost();
    CHECK(got == 0);
    co_await waiting.join();
    CHECK(got == 1);
    proxy.pass_through();
    co_await s.close();
}

// The unlock does not come through for longer than it is waited for; then it does, with the hold still in hand.
asio::awaitable<void> late_unlock(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint(), 400ms));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex m(s, p + "lock");
    auto hold = co_await m.lock(5s);
    proxy.add(fault_rule("/v3/kv/txn").times(fault_rule::always).cut_request_after(0));
    auto unlocking = hold.unlock();
    auto end = co_await ending_of(std::move(unlocking));
    CHECK(end.reason == errc::outcome_unknown);
    proxy.clear_rules();
    co_await wait_for_keys(direct, p + "lock/@mutex/", 0);
    auto again = hold.unlock();
    end = co_await ending_of(std::move(again));
    CHECK(end.reason == errc::closed);
    co_await s.close();
}

asio::awaitable<void> lost_replies(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex m(s, p + "lock");
    for (int round = 0; round < 3; ++round) {
        proxy.add(fault_rule("/v3/kv/txn").times(2).drop_reply());
        auto hold = co_await m.lock(8s);
        co_await wait_for_keys(direct, p + "lock/@mutex/", 1);
        proxy.add(fault_rule("/v3/kv/txn").drop_reply());
        co_await hold.unlock();
        const auto left = co_await direct.range(etcd::range_request(etcd::prefix(p + "lock/@mutex/")));
        CHECK(left.kvs.empty());
        proxy.add(fault_rule("/v3/kv/txn").times(2).drop_reply());
        auto tried = co_await m.try_lock();
        REQUIRE(tried);
        co_await tried->unlock();
    }
    co_await s.close();
}

// The first copy of the request lies somewhere on its way while a second takes the lock, and the lock is given up. Then the first arrives.
asio::awaitable<void> stray_copy(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex m(s, p + "lock");
    stolen_request of_lock(proxy, "/v3/kv/txn");
    auto hold = co_await m.lock(8s);
    co_await hold.unlock();
    auto reply = co_await of_lock.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    co_await wait_for_keys(direct, p + "lock/@mutex/", 0);

    // And one of a try_lock() that is refused: its copy comes when nobody has the lock any more.
    mutex other_m(s, p + "lock");
    auto other = co_await other_m.lock(8s);
    stolen_request of_try(proxy, "/v3/kv/txn");
    const auto none = co_await m.try_lock();
    CHECK(!none);
    co_await other.unlock();
    reply = co_await of_try.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    const auto left = co_await direct.range(etcd::range_request(etcd::prefix(p + "lock/@mutex/")));
    CHECK(left.kvs.empty());
    co_await s.close();
}

asio::awaitable<void> hold_forever(mutex m, ending* end) {
    auto locking = m.lock(20s);
    auto e = co_await ending_of(std::move(locking));
    *end = std::move(e);
}

asio::awaitable<void> cancelled(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex m(s, p + "lock");
    detail::condition ended(executor, environment::system());
    ending end;
    bool done = false;
    const auto finish = [&](std::exception_ptr) { done = true, ended.notify_all(); };

    // While the reply of its first request is held back: the place is there, and nobody has been told.
    proxy.add(fault_rule("/v3/kv/txn").stall_response());
    asio::cancellation_signal first;
    asio::co_spawn(executor, hold_forever(m, &end), asio::bind_cancellation_slot(first.slot(), finish));
    co_await wait_for_keys(direct, p + "lock/@mutex/", 1);
    first.emit(asio::cancellation_type::terminal);
    while (!done) co_await ended.wait();
    CHECK(end.reason == errc::cancelled);
    co_await wait_for_keys(direct, p + "lock/@mutex/", 0);

    // While it waits.
    auto hold = co_await m.lock(5s);
    done = false;
    asio::cancellation_signal second;
    asio::co_spawn(executor, hold_forever(m, &end), asio::bind_cancellation_slot(second.slot(), finish));
    co_await wait_for_keys(direct, p + "lock/@mutex/", 2);
    second.emit(asio::cancellation_type::terminal);
    while (!done) co_await ended.wait();
    CHECK(end.reason == errc::cancelled);
    co_await wait_for_keys(direct, p + "lock/@mutex/", 1);
    co_await hold.unlock();
    co_await s.close();
}

// Of eight that wait, each that leaves wakes one: the events are as many as the handovers.
asio::awaitable<void> no_herd(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    client watching(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    mutex m(s, p + "lock");
    auto hold = co_await m.lock(5s);
    int got = 0;
    std::vector<std::unique_ptr<task>> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(std::make_unique<task>(executor, lock_then(m, &got)));
    co_await wait_for_keys(watching, p + "lock/@mutex/", 9);
    const auto before = c.metrics();
    co_await hold.unlock();
    for (auto& t : tasks) co_await t->join();
    CHECK(got == 8);
    const auto after = c.metrics();
    CHECK(after.watch_events - before.watch_events <= 8);
    co_await s.close();
}

} // namespace

TEST_CASE("mutex: of eight contenders one at a time has it, and the tokens grow") {
    const auto p = unique_prefix();
    std::vector<std::int64_t> tokens;
    run_ranks(8, [&](int rank) { return contend(p, rank, &tokens); });
    CHECK(tokens.size() == 40);
    CHECK(std::is_sorted(tokens.begin(), tokens.end()));
    CHECK(std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end());
    run(counted(p, 40));
}
TEST_CASE("mutex: a holder whose lease was taken changes nothing under the guard, and is told") { run(fenced(unique_prefix())); }
TEST_CASE("mutex: the death of the holder wakes the next") { run(death_wakes(unique_prefix())); }
TEST_CASE("mutex: a time-out names the holder, and leaves the line") { run(names_holder(unique_prefix())); }
TEST_CASE("mutex: one who waits learns that its lease is gone") { run(loses_lease_waiting(unique_prefix())); }
TEST_CASE("mutex: one who waits and is cut off is told when its lease has run out") { run(cut_off_waiting(unique_prefix())); }
TEST_CASE("mutex: a holder that is cut off is told before the next has the lock") { run(cut_off_holding(unique_prefix())); }
TEST_CASE("mutex: an unlock() that fails gives the lock up in the background") { run(late_unlock(unique_prefix())); }
TEST_CASE("mutex: lost replies neither lose the lock nor take it twice") { run(lost_replies(unique_prefix())); }
TEST_CASE("mutex: a copy of its request that arrives after it was given up does not take it again") { run(stray_copy(unique_prefix())); }
TEST_CASE("mutex: who is cancelled leaves no place behind") { run(cancelled(unique_prefix())); }
TEST_CASE("mutex: who leaves wakes one, not all") { run(no_herd(unique_prefix())); }
