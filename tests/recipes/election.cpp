#include "support.hpp"

#include <etcdcoll/recipes/election.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

// The observer first: a leader that comes before its first look is told of as it is then.
struct opening {
    bool listed = false;
    std::shared_ptr<detail::condition> told;
};

asio::awaitable<void> take_turns(std::string p, int rank, std::vector<std::string>* order, opening* begin) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    if (!begin->told) begin->told = std::make_shared<detail::condition>(executor, environment::system());
    while (!begin->listed) co_await begin->told->wait();
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

asio::awaitable<void> observed(std::string p, std::vector<std::string>* seen, std::size_t count, opening* begin) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    if (!begin->told) begin->told = std::make_shared<detail::condition>(executor, environment::system());
    leader_feed feed(c, p + "e");
    auto nobody = feed.next(200ms);
    const auto none = co_await ending_of(std::move(nobody));
    CHECK(none.reason == errc::timed_out);
    CHECK(none.context.call == "next");
    CHECK(none.context.key == p + "e");
    begin->listed = true;
    begin->told->notify_all();
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

asio::awaitable<void> resign_and_act(acting* a, leadership* mine) {
    co_await mine->resign();
    co_await act(a, mine);
}

asio::awaitable<void> lead_and_resign(election e, acting* a, ending* into) {
    auto leading = e.lead("leader", [a](leadership& mine) { return resign_and_act(a, &mine); }, 10s);
    auto end = co_await ending_of(std::move(leading));
    *into = std::move(end);
}

// A black hole lies between the leader and etcd: it learns of its loss from its own clock, before etcd gives the lead to another.
asio::awaitable<void> silenced(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client through(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto cut = co_await session::open(through, 3s);
    auto s = co_await session::open(direct, 30s);
    election e(cut, p + "e");
    election of_other(s, p + "e");
    detail::condition told(executor, environment::system());
    acting a{&told};
    ending end;
    task leading(executor, lead(e, &a, &end));
    while (!a.leads) co_await told.wait();
    bool other_leads = false;
    const auto take_over = [&]() -> asio::awaitable<void> {
        const auto mine = co_await of_other.campaign("the other", 20s);
        other_leads = true;
        CHECK(mine.token() > a.token);
    };
    task waiting(executor, take_over());
    co_await wait_for_keys(direct, p + "e/@election/", 2);
    proxy.black_hole();
    co_await leading.join();
    CHECK(!other_leads);
    CHECK(a.ended == errc::cancelled);
    CHECK(end.reason == errc::lease_lost);
    co_await waiting.join();
    proxy.pass_through();
    co_await s.close();
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

    acting resigning{&told};
    {
        task leading(executor, lead_and_resign(e, &resigning, &end));
        while (!resigning.leads) co_await told.wait();
        leader = co_await e.leader();
        CHECK(!leader);
        CHECK(!leading.ended()); // the body goes on, and is not cancelled
        resigning.end = true;
        told.notify_all();
        co_await leading.join();
    }
    CHECK(resigning.ended == errc());
    CHECK(end.what.empty());

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

asio::awaitable<void> next_into(leader_feed* feed, ending* into) {
    auto waiting = feed->next(20s);
    auto end = co_await ending_of(std::move(waiting));
    *into = std::move(end);
}

// What is proclaimed between a next() that ended so or so and the one behind it.
asio::awaitable<void> feed_goes_on(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(test_etcd().endpoint()));
    client through(executor, quiet(proxy.endpoint()));
    auto s = co_await session::open(c, 30s);
    election e(s, p + "e");
    leader_feed feed(through, p + "e");
    auto mine = co_await e.campaign("0", 5s);
    auto told = co_await feed.next(5s);
    CHECK(told.value == "0");

    detail::condition ended(executor, environment::system());
    ending end;
    for (int round = 0; round < 2; ++round) { // before its watch is there, and behind
        bool done = false;
        asio::cancellation_signal stop;
        const auto finish = [&](std::exception_ptr) { done = true, ended.notify_all(); };
        asio::co_spawn(executor, next_into(&feed, &end), asio::bind_cancellation_slot(stop.slot(), finish));
        const auto answered = co_await c.get(p + "other");
        CHECK(!answered);
        stop.emit(asio::cancellation_type::terminal);
        while (!done) co_await ended.wait();
        CHECK(end.reason == errc::cancelled);
        for (const char* value : {"1", "2", "3"}) {
            co_await mine.proclaim(value);
        }
        for (const char* expected : {"1", "2", "3"}) {
            told = co_await feed.next(5s);
            CHECK(told.value == expected);
        }
    }

    const std::string body = R"({"code":7,"message":"etcdserver: permission denied"})";
    proxy.add(fault_rule("/v3/watch").reply_with("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: " +
                                                 std::to_string(body.size()) + "\r\n\r\n" + body, after_reply::fin));
    proxy.cut_all(close_how::rst);
    auto waiting = feed.next(5s);
    end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::permission_denied);
    for (const char* value : {"4", "5"}) {
        co_await mine.proclaim(value);
    }
    for (const char* expected : {"4", "5"}) {
        told = co_await feed.next(5s);
        CHECK(told.value == expected);
    }
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
    opening begin;
    run_ranks(7, [&](int rank) { return rank == 6 ? observed(p, &seen, 18, &begin) : take_turns(p, rank, &order, &begin); });
    begin.told.reset();
    CHECK(order.size() == 18);
    for (auto& text : order)
        if (text.ends_with(" a")) text.resize(text.size() - 2);
    CHECK(seen == order);
}
TEST_CASE("election: who waits is told who leads, and leads when that one dies") { run(handover(unique_prefix())); }
TEST_CASE("election: lead() cancels its body when the leadership is lost, and resigns when the body ends") { run(cancels_body(unique_prefix())); }
TEST_CASE("election: a cancelled lead() cancels its body and resigns") { run(cancelled_lead(unique_prefix())); }
TEST_CASE("election: lost replies and late copies proclaim nothing twice, and nothing out of order") { run(proclaims_once(unique_prefix())); }
TEST_CASE("election: a feed leaves nothing out for a next() that was cancelled or has failed") { run(feed_goes_on(unique_prefix())); }
TEST_CASE("election: who is cut off is deposed before another leads") { run(silenced(unique_prefix())); }
TEST_CASE("election: a feed goes on behind a compaction from where history begins") { run(compacted(unique_prefix())); }
