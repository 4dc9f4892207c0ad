#include "support.hpp"

#include <etcdcoll/recipes/election.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

asio::awaitable<void> take_turns(std::string p, int rank, std::vector<std::string>* order) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 10s);
    election e(s, p + "e");
    const auto name = "rank " + std::to_string(rank);
    auto mine = co_await e.campaign(name, 20s);
    order->push_back(name + " a");
    const auto leading = co_await e.leader();
    REQUIRE(leading);
    CHECK(leading->value == name);
    CHECK(leading->create_revision == mine.token());
    for (const char* what : {" b", " c"}) {
        co_await mine.proclaim(name + what);
        order->push_back(name + what);
    }
    co_await mine.resign();
    auto again = mine.proclaim("late");
    const auto refused = co_await ending_of(std::move(again));
    CHECK(refused.reason == errc::closed);
    co_await s.close();
}

asio::awaitable<void> observed(std::string p, std::vector<std::string>* seen, std::size_t count) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    leader_feed feed(c, p + "e");
    std::int64_t token = 0;
    while (seen->size() < count) {
        const auto told = co_await feed.next(20s);
        CHECK(told.create_revision.value >= token);
        token = told.create_revision.value;
        seen->push_back(told.value);
    }
    auto more = feed.next(200ms);
    const auto end = co_await ending_of(std::move(more));
    CHECK(end.reason == errc::timed_out);
}

asio::awaitable<void> handover(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto dying = co_await session::open(c, 30s);
    auto living = co_await session::open(c, 30s);
    election of_dying(dying, p + "e");
    election of_living(living, p + "e");
    auto first = co_await of_dying.campaign("the first", 5s);
    auto waiting = of_living.campaign("the second", 300ms);
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.what == "election \"" + p + "e\": timed out after 300 ms; led by the first since revision " + std::to_string(first.token().value));
    const auto taken = co_await c.lease_revoke(dying.lease());
    CHECK(taken.header.revision.value > 0);
    auto second = co_await of_living.campaign("the second", 5s);
    CHECK(second.token() > first.token());
    const auto late = co_await c.txn(etcd::when(first.still_leader()).then(etcd::put(p + "k", "1")));
    CHECK(!late.succeeded);
    auto proclaiming = first.proclaim("still here");
    const auto lost = co_await ending_of(std::move(proclaiming));
    CHECK(lost.reason == errc::lease_lost);
    const auto leading = co_await of_living.leader();
    REQUIRE(leading);
    CHECK(leading->value == "the second");
    co_await second.resign();
    const auto none = co_await of_living.leader();
    CHECK(!none);
    co_await living.close();
}

/// What the body of a lead() does: says that it leads, then waits until it is cancelled or told to end.
struct acting {
    detail::condition* told;
    bool leads = false;
    bool end = false;
    bool fail = false;
    errc ended{};
    etcd::revision token = {};
};

asio::awaitable<void> act(acting* a, leadership* mine) {
    a->leads = true;
    a->token = mine->token();
    a->told->notify_all();
    try {
        while (!a->end) co_await a->told->wait();
    } catch (const error& failure) {
        a->ended = failure.reason();
        throw;
    }
    if (a->fail) throw std::runtime_error("the body's own");
}

asio::awaitable<void> lead(election e, acting* a, ending* into) {
    auto leading = e.lead("leader", [a](leadership& mine) { return act(a, &mine); }, 10s);
    auto end = co_await ending_of(std::move(leading));
    *into = std::move(end);
}

asio::awaitable<void> cancels_body(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    election e(s, p + "e");
    detail::condition told(executor, environment::system());

    acting deposed{&told};
    ending end;
    {
        task leading(executor, lead(e, &deposed, &end));
        while (!deposed.leads) co_await told.wait();
        const auto leader = co_await e.leader();
        REQUIRE(leader);
        CHECK(leader->create_revision == deposed.token);
        const auto gone = co_await c.delete_range(leader->key); // somebody takes it away
        CHECK(gone.deleted == 1);
        co_await leading.join();
    }
    CHECK(deposed.ended == errc::cancelled);
    CHECK(end.reason == errc::lease_lost);
    CHECK(contains(end.what, "the leadership is lost, and what was run under it was cancelled"));

    acting done{&told};
    {
        task leading(executor, lead(e, &done, &end));
        while (!done.leads) co_await told.wait();
        done.end = true;
        told.notify_all();
        co_await leading.join();
    }
    CHECK(end.what.empty());
    auto leader = co_await e.leader();
    CHECK(!leader); // resigned

    acting failing{&told};
    failing.end = failing.fail = true;
    std::string own;
    try {
        task leading(executor, lead(e, &failing, &end));
        co_await leading.join();
    } catch (const std::runtime_error& failure) {
        own = failure.what();
    }
    CHECK(own == "the body's own");
    leader = co_await e.leader();
    CHECK(!leader);

    acting orphan{&told};
    {
        task leading(executor, lead(e, &orphan, &end));
        while (!orphan.leads) co_await told.wait();
        co_await s.close();
        co_await leading.join();
    }
    CHECK(orphan.ended == errc::cancelled);
    CHECK(end.reason == errc::closed);
}

asio::awaitable<void> cancelled_lead(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    election e(s, p + "e");
    detail::condition told(executor, environment::system());
    acting a{&told};
    ending end;
    bool done = false;
    asio::cancellation_signal stop;
    const auto finish = [&](std::exception_ptr) { done = true, told.notify_all(); };
    asio::co_spawn(executor, lead(e, &a, &end), asio::bind_cancellation_slot(stop.slot(), finish));
    while (!a.leads) co_await told.wait();
    stop.emit(asio::cancellation_type::terminal);
    while (!done) co_await told.wait();
    CHECK(a.ended == errc::cancelled);
    CHECK(end.reason == errc::cancelled);
    co_await wait_for_keys(c, p + "e/@election/", 0); // resigned in the background
    co_await s.close();
}

// The first of two proclamations is repeated, and a copy of it arrives after the second.
asio::awaitable<void> proclaims_once(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    election e(s, p + "e");
    leader_feed feed(direct, p + "e");
    auto mine = co_await e.campaign("0", 5s);
    auto told = co_await feed.next(5s);
    CHECK(told.value == "0");
    stolen_request late(proxy, "/v3/kv/txn");
    co_await mine.proclaim("1");
    proxy.add(fault_rule("/v3/kv/txn").times(2).drop_reply());
    co_await mine.proclaim("2");
    const auto reply = co_await late.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    co_await mine.proclaim("3");
    for (const char* expected : {"1", "2", "3"}) {
        told = co_await feed.next(5s);
        CHECK(told.value == expected);
    }
    CHECK(told.version == 4);
    co_await mine.resign();
    co_await s.close();
}

asio::awaitable<void> compacted(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    command::local_etcd etcd;
    auto proxy = proxy_of(etcd);
    client c(executor, quiet(etcd.endpoint()));
    client through(executor, quiet(proxy.endpoint()));
    auto s = co_await session::open(c, 30s);
    election e(s, p + "e");
    leader_feed feed(through, p + "e");
    auto mine = co_await e.campaign("0", 5s);
    auto told = co_await feed.next(5s);
    CHECK(told.value == "0");
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    co_await mine.proclaim("taken by the compaction");
    co_await mine.proclaim("1");
    const auto now = co_await e.leader();
    REQUIRE(now);
    const auto forgotten = co_await c.compact(now->mod_revision);
    CHECK(forgotten.header.revision.value > 0);
    co_await mine.proclaim("2");
    proxy.accept_again();
    for (const char* expected : {"1", "2"}) {
        told = co_await feed.next(10s);
        CHECK(told.value == expected);
    }
    co_await s.close();
}

} // namespace

TEST_CASE("election: of six candidates one at a time leads, and an observer sees each proclamation once") {
    const auto p = unique_prefix();
    std::vector<std::string> order;
    std::vector<std::string> seen;
    run_ranks(7, [&](int rank) { return rank == 6 ? observed(p, &seen, 18) : take_turns(p, rank, &order); });
    CHECK(order.size() == 18);
    for (auto& text : order)
        if (text.ends_with(" a")) text.resize(text.size() - 2);
    CHECK(seen == order);
}
TEST_CASE("election: who waits is told who leads, and leads when that one dies") { run(handover(unique_prefix())); }
TEST_CASE("election: lead() cancels its body when the leadership is lost, and resigns when the body ends") { run(cancels_body(unique_prefix())); }
TEST_CASE("election: a cancelled lead() cancels its body and resigns") { run(cancelled_lead(unique_prefix())); }
TEST_CASE("election: lost replies and late copies proclaim nothing twice, and nothing out of order") { run(proclaims_once(unique_prefix())); }
TEST_CASE("election: a feed goes on behind a compaction from where history begins") { run(compacted(unique_prefix())); }
