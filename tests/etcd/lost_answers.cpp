// What is open stays open: lost replies to leases, ends by close(), and what must not be taken for an answer to something else.
#include "support.hpp"

#include <etcdcoll/etcd/lock.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <support/auth_etcd.hpp>
#include <support/quick_environment.hpp>

#include <boost/asio/co_spawn.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

// Nothing listens there.
const std::string dead = "http://127.0.0.1:1";

asio::awaitable<void> revoked(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    // An attempt that went nowhere has revoked nothing.
    client two(executor, quiet(dead + "," + test_etcd().endpoint()));
    const etcd::lease_id never{0x7e57};
    const auto gone = co_await ending_of(two.lease_revoke(never));
    CHECK(gone.reason == errc::not_found);

    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    const auto granted = co_await c.lease_grant(60s);
    const auto put = co_await c.put(etcd::put_request(p + "k", "v", granted.id));
    CHECK(put.header.revision);
    const auto rule = proxy.add(fault_rule("/v3/lease/revoke").drop_reply());
    const auto first_did_it = co_await c.lease_revoke(granted.id);
    CHECK(!first_did_it.header.revision);
    CHECK(proxy.hits(rule) == 1);
    const auto found = co_await c.get(p + "k");
    CHECK(!found);

    const auto lost = proxy.add(fault_rule("/v3/lease/revoke").times(fault_rule::always).drop_reply());
    const auto other = co_await c.lease_grant(60s);
    const call_options brief{.timeout = 300ms};
    const auto open = co_await ending_of(c.lease_revoke(other.id, brief));
    CHECK(open.reason == errc::outcome_unknown);
    CHECK(proxy.hits(lost) > 1);
}

asio::awaitable<void> granted() {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/lease/grant").drop_reply());
    const auto drawn = co_await c.lease_grant(60s);
    CHECK(drawn.id);
    CHECK(drawn.ttl == 60s);
    const auto there = co_await c.lease_time_to_live(drawn.id);
    CHECK(there.granted_ttl == 60s);

    // It may be that of an earlier run, which only the caller can know.
    proxy.add(fault_rule("/v3/lease/grant").drop_reply());
    const etcd::lease_id own{drawn.id.value ^ 0x5a5a};
    const auto open = co_await ending_of(c.lease_grant(60s, own));
    CHECK(open.reason == errc::outcome_unknown);
    CHECK(contains(open.what, "lease already exists"));
}

// Nothing but a transaction compares: it alone is repeated for being guarded.
asio::awaitable<void> guarded(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    const auto rule = proxy.add(fault_rule("/v3/kv/put").times(fault_rule::always).drop_reply());
    const call_options again{.guarded = true};
    const auto end = co_await ending_of(c.put(p, "v", again));
    CHECK(end.reason == errc::outcome_unknown);
    CHECK(proxy.hits(rule) == 1);
}

asio::awaitable<void> lock_on(client c, std::string name, etcd::lease_id lease, ending* into) {
    etcd::lock_service locks(c);
    auto end = co_await ending_of(locks.lock(name, lease));
    *into = std::move(end);
}

asio::awaitable<void> closed_while_it_waits(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    etcd::lock_service locks(c);
    const auto mine = co_await c.lease_grant(60s);
    const auto his = co_await c.lease_grant(60s);
    const auto held = co_await locks.lock(p, mine.id);
    CHECK(!held.key.empty());
    detail::condition done(executor, environment::system());
    ending end;
    asio::co_spawn(executor, lock_on(c, p, his.id, &end), [&done](std::exception_ptr) { done.notify_all(); });
    for (bool queued = false; !queued;) { // until it waits at the server
        const auto found = co_await c.range(etcd::prefix(p));
        queued = found.kvs.size() == 2;
    }
    c.close();
    const auto soon = environment::system()->now() + 5s;
    const bool ended = co_await done.wait_until(soon);
    CHECK(ended);
    CHECK((end.reason == errc::closed || end.reason == errc::outcome_unknown));
}

asio::awaitable<void> slow_but_coming(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()).attempt_timeout(400ms));
    const std::string value(300'000, 'v');
    const auto put = co_await c.put(p, value);
    CHECK(put.header.revision);
    const auto before = c.metrics().attempts;
    const auto rule = proxy.add(fault_rule("/v3/kv/range").split_response(40'000, 100ms));
    const auto found = co_await c.get(p);
    REQUIRE(found);
    CHECK(found->value == value);
    CHECK(proxy.hits(rule) == 1);
    CHECK(c.metrics().attempts == before + 1);
}

// A watch of keys that do not change follows the store: what is compacted meanwhile is none of its history.
asio::awaitable<void> quiet_watch(command::local_etcd* server) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(*server);
    client direct(executor, quiet(server->endpoint()));
    const auto quick = std::make_shared<quick_environment>(8);
    client c(executor, quiet(proxy.endpoint()).system(quick));
    const auto start = co_await direct.put("other", "1");
    auto changes = c.watch(etcd::watch_request("quiet", start.header.revision));
    const auto later = co_await direct.put("other", "2");
    // What the server says counts when it says so again, a second later.
    const auto said = co_await changes.progress(later.header.revision);
    CHECK(said >= later.header.revision);
    const auto until = quick->now() + 1100ms;
    do {
        const auto at = co_await changes.progress(later.header.revision);
        CHECK(at >= later.header.revision);
    } while (quick->now() < until);
    const auto compacted = co_await direct.compact(later.header.revision);
    CHECK(compacted.header.revision);
    proxy.cut_all(close_how::rst);
    const auto put = co_await direct.put("quiet", "at last");
    const auto seen = co_await changes.next();
    CHECK(seen.events.at(0).kv.mod_revision == put.header.revision);
}

asio::awaitable<void> timed_next(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await c.put(p + "before", "");
    auto changes = c.watch(etcd::watch_request(p, start.header.revision));
    const auto nothing = co_await changes.next_within(50ms);
    CHECK(!nothing);
    const auto put = co_await c.put(p, "v");
    const auto something = co_await changes.next_within(5s);
    REQUIRE(something);
    CHECK(something->events.at(0).kv.mod_revision == put.header.revision);
}

// Refusals name no watch, but come in the order of the creations.
asio::awaitable<void> refused_and_gone(auth_etcd* server) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(server->endpoint()).user(auth_etcd::user, auth_etcd::password));
    const auto put = co_await c.put(server->prefix() + "k", "1");
    auto open = c.watch(etcd::watch_request(server->prefix() + "other", put.header.revision)); // the stream is there
    const auto at = co_await open.progress(put.header.revision);
    CHECK(at >= put.header.revision);
    for (int i = 0; i < 20; ++i) {
        auto forbidden = c.watch(etcd::watch_request("not allowed", put.header.revision));
        auto allowed = c.watch(etcd::watch_request(server->prefix() + "k", put.header.revision));
        forbidden.cancel();
        const auto seen = co_await allowed.next();
        CHECK(seen.events.at(0).kv.mod_revision == put.header.revision);
    }
}

} // namespace

TEST_CASE("lease: one that is revoked by an attempt whose reply was lost is revoked; else what is unknown is told") { run(revoked(unique_prefix())); }
TEST_CASE("lease: a grant is repeated when the number was drawn here, and left open when it is the caller's") { run(granted()); }
TEST_CASE("client: only transactions are repeated for being guarded") { run(guarded(unique_prefix())); }
TEST_CASE("client: close() ends what waits at the server, too") { run(closed_while_it_waits(unique_prefix())); }
TEST_CASE("client: a reply that takes longer than an attempt is taken as long as it comes") { run(slow_but_coming(unique_prefix())); }
TEST_CASE("watch: one of keys that do not change survives the compaction of everything else, and a cut") {
    command::local_etcd server;
    run(quiet_watch(&server));
}
TEST_CASE("watch: a wait with a time loses nothing") { run(timed_next(unique_prefix())); }
TEST_CASE("watch: a refusal that comes after its watch was cancelled is no other watch's") {
    auth_etcd server;
    run(refused_and_gone(&server));
}
