#include "support.hpp"

#include <etcdcoll/etcd/election.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::lease_id;

namespace {

using values = std::vector<std::string>;

asio::awaitable<lease_id> lease_of(client c) {
    const auto granted = co_await c.lease_grant(60s);
    co_return granted.id;
}

asio::awaitable<void> lead_and_resign(etcd::election_service s, std::string name, lease_id lease, std::string value) {
    auto won = co_await s.campaign(name, lease, value);
    const auto proclaimed = co_await s.proclaim(won.leader, value + " again");
    CHECK(proclaimed.revision.value > 0);
    const auto left = co_await s.resign(won.leader);
    CHECK(left.revision.value > 0);
}

asio::awaitable<values> told(etcd::election_observer* observer, std::size_t n) {
    values seen;
    while (seen.size() < n) {
        const auto one = co_await observer->next();
        CHECK(one.header.cluster_id != 0);
        seen.push_back(one.kv.value);
    }
    co_return seen;
}

asio::awaitable<void> terms(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::election_service s(c);
    const auto lease = co_await lease_of(c);
    const auto nobody = co_await s.leader(name);
    CHECK(!nobody);
    const auto won = co_await s.campaign(name, lease, std::string("\0a", 2));
    CHECK(won.leader.name == name);
    CHECK(won.leader.key.starts_with(name + "/"));
    CHECK(won.leader.lease == lease);
    CHECK(won.leader.rev == won.header.revision);
    const auto leader = co_await s.leader(name);
    REQUIRE(leader);
    CHECK(leader->kv.key == won.leader.key);
    CHECK(leader->kv.value == std::string("\0a", 2));
    CHECK(leader->kv.lease == lease);
    const auto proclaimed = co_await s.proclaim(won.leader, "b");
    CHECK(proclaimed.revision > won.header.revision);
    const auto changed = co_await s.leader(name);
    REQUIRE(changed);
    CHECK(changed->kv.value == "b");
    CHECK(changed->kv.create_revision == won.leader.rev);

    const auto left = co_await s.resign(won.leader);
    CHECK(left.revision > proclaimed.revision);
    const auto twice = co_await s.resign(won.leader);
    CHECK(twice.revision == left.revision);
    const auto late = co_await ending_of(s.proclaim(won.leader, "c"));
    CHECK(late.reason == errc::refused);
    CHECK(contains(late.what, "not leader"));
    // A later leadership of the same lease is another one: the old key ends it not.
    const auto second = co_await s.campaign(name, lease, "d");
    const auto stale = co_await s.resign(won.leader);
    CHECK(stale.revision >= second.header.revision);
    const auto still = co_await s.leader(name);
    REQUIRE(still);
    CHECK(still->kv.value == "d");
    const lease_id unknown{12345};
    const auto no_lease = co_await ending_of(s.campaign(name, unknown, "e"));
    CHECK(no_lease.reason == errc::not_found);
}

asio::awaitable<void> handovers(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::election_service s(c);
    auto observer = s.observe(name);
    const auto first = co_await lease_of(c);
    const auto won = co_await s.campaign(name, first, "first");
    const auto begun = co_await told(&observer, 1);
    CHECK(begun == values{"first"});
    // These wait in line, and lead for a moment each: faster than the observer asks.
    for (const char* value : {"second", "third", "fourth"}) {
        const auto lease = co_await lease_of(c);
        const auto before = co_await c.range(etcd::prefix(name + "/"));
        asio::co_spawn(executor, lead_and_resign(s, name, lease, value), asio::detached);
        auto changes = c.watch(etcd::watch_request(etcd::prefix(name + "/"), etcd::revision{before.header.revision.value + 1}));
        const auto queued = co_await changes.next();
        CHECK(queued.events.size() == 1);
    }
    const auto left = co_await s.resign(won.leader);
    CHECK(left.revision.value > 0);
    const auto seen = co_await told(&observer, 6);
    CHECK(seen == values{"second", "second again", "third", "third again", "fourth", "fourth again"});

    // Nobody leads; then the first again.
    const auto again = co_await s.campaign(name, first, "first again");
    const auto later = co_await told(&observer, 1);
    CHECK(later == values{"first again"});
    const auto revoked = co_await c.lease_revoke(first);
    CHECK(revoked.header.revision > again.header.revision);
    auto newcomer = s.observe(name);
    const auto last = co_await lease_of(c);
    const auto end = co_await s.campaign(name, last, "last");
    CHECK(end.header.revision > revoked.header.revision);
    for (auto* each : {&observer, &newcomer}) {
        const auto both = co_await told(each, 1);
        CHECK(both == values{"last"});
    }
    observer.cancel();
    const auto over = co_await ending_of(told(&observer, 1));
    CHECK(over.reason == errc::closed);
}

asio::awaitable<void> through_faults(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    etcd::election_service s(direct);
    etcd::election_service far(client(executor, quiet(proxy.endpoint())));
    auto observer = far.observe(name);
    const auto lease = co_await lease_of(direct);
    const auto won = co_await s.campaign(name, lease, "0");
    const auto begun = co_await told(&observer, 1);
    CHECK(begun == values{"0"});
    for (int i = 1; i < 8; ++i) {
        if (i % 2 == 1) proxy.cut_all(close_how::rst);
        const auto done = co_await s.proclaim(won.leader, std::to_string(i));
        CHECK(done.revision.value > 0);
    }
    const auto seen = co_await told(&observer, 7);
    CHECK(seen == values{"1", "2", "3", "4", "5", "6", "7"});

    // What happens while it is cut off, and is compacted away, is left out, and nothing is told twice.
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    for (int i = 8; i < 11; ++i) {
        const auto done = co_await s.proclaim(won.leader, std::to_string(i));
        CHECK(done.revision.value > 0);
    }
    const auto at = co_await s.leader(name);
    REQUIRE(at);
    const auto compacted = co_await direct.compact(at->kv.mod_revision);
    CHECK(compacted.header.revision.value > 0);
    proxy.accept_again();
    const auto newest = co_await told(&observer, 1);
    CHECK(newest == values{"10"});
    const auto done = co_await s.proclaim(won.leader, "11");
    CHECK(done.revision.value > 0);
    const auto next = co_await told(&observer, 1);
    CHECK(next == values{"11"});
}

// A watch that etcd ends is begun again where it ended.
asio::awaitable<void> through_refusals(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    etcd::election_service s(direct);
    etcd::election_service far(client(executor, quiet(proxy.endpoint())));
    auto observer = far.observe(name);
    const auto lease = co_await lease_of(direct);
    const auto won = co_await s.campaign(name, lease, "0");
    const auto begun = co_await told(&observer, 1);
    CHECK(begun == values{"0"});
    const std::string refusal = R"({"result":{"header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"2"},"watch_id":"1",)"
                                R"("created":true,"canceled":true,"cancel_reason":"because"}})"
                                "\n";
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    proxy.add(fault_rule("/v3/watch").reply_with(
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(refusal.size()) + "\r\n\r\n" + refusal, after_reply::fin));
    for (const char* value : {"1", "2", "3"}) {
        const auto done = co_await s.proclaim(won.leader, value);
        CHECK(done.revision.value > 0);
    }
    proxy.accept_again();
    const auto refused = co_await ending_of(observer.next());
    CHECK(refused.reason == errc::refused);
    CHECK(contains(refused.what, "because"));
    const auto seen = co_await told(&observer, 3);
    CHECK(seen == values{"1", "2", "3"});
}

} // namespace

TEST_CASE("election: a leader proclaims, resigns, and is told from its later self") { run(terms(unique_prefix())); }

TEST_CASE("election: an observer sees every leader and every value, in order and once, also across handovers") { run(handovers(unique_prefix())); }

TEST_CASE("election: an observer goes on over broken connections and compactions") { run(through_faults(unique_prefix())); }

TEST_CASE("election: an observer whose watch etcd has ended misses no value") { run(through_refusals(unique_prefix())); }

TEST_CASE("election: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client through(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::election_service s(through);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return s.campaign("", lease_id{1}, "v"); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.campaign("e", lease_id::none(), "v"); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.leader(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.observe(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.proclaim({}, "v"); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.resign({}); }) == errc::invalid_argument);
    CHECK(through.metrics().calls == 0);
    io.run();
}
