#include "support.hpp"

#include <etcdcoll/etcd/lock.hpp>
#include <support/auth_etcd.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::lease_id;

namespace {

asio::awaitable<lease_id> lease_of(client c) {
    const auto granted = co_await c.lease_grant(60s);
    co_return granted.id;
}

asio::awaitable<void> keep(etcd::lock_service s, std::string name, lease_id lease, std::optional<etcd::lock_response>* into) {
    auto taken = co_await s.lock(name, lease);
    into->emplace(std::move(taken));
}

// Ends when `n` keys wait for the lock; a watch says so.
asio::awaitable<void> until_queued(client c, std::string name, std::size_t n) {
    const auto there = co_await c.range(etcd::prefix(name + "/"));
    auto count = there.kvs.size();
    auto changes = c.watch(etcd::watch_request(etcd::prefix(name + "/"), etcd::revision{there.header.revision.value + 1}));
    while (count < n) {
        const auto response = co_await changes.next();
        count += response.events.size();
    }
}

asio::awaitable<void> one_at_a_time(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::lock_service s(c);
    const auto first = co_await lease_of(c);
    const auto second = co_await lease_of(c);
    const auto third = co_await lease_of(c);

    const auto held = co_await s.lock(name, first);
    CHECK(held.key.starts_with(name + "/"));
    CHECK(held.header.revision.value > 0);
    const auto again = co_await s.lock(name, first);
    CHECK(again.key == held.key);

    std::optional<etcd::lock_response> next;
    std::optional<etcd::lock_response> last;
    asio::co_spawn(executor, keep(s, name, second, &next), asio::detached);
    co_await until_queued(c, name, 2);
    asio::co_spawn(executor, keep(s, name, third, &last), asio::detached);
    co_await until_queued(c, name, 3);
    CHECK(!next);

    const auto freed = co_await s.unlock(held.key);
    CHECK(freed.revision > held.header.revision);
    // Who asks for what he holds waits for nobody, but for his own turn.
    const auto same = co_await s.lock(name, second);
    CHECK(!last);
    const auto key = co_await c.get(same.key);
    REQUIRE(key);
    CHECK(key->lease == second);
    const auto revoked = co_await c.lease_revoke(second); // the lock goes with the lease
    CHECK(revoked.header.revision.value > 0);
    const auto third_now = co_await s.lock(name, third);
    REQUIRE(next);
    CHECK(next->key == same.key);
    const auto done = co_await s.unlock(third_now.key);
    CHECK(done.revision.value > 0);
    const auto twice = co_await s.unlock(third_now.key);
    CHECK(twice.revision == done.revision);
}

// The compares that the doc names, for one answer of lock().
etcd::txn_request fenced(const etcd::lock_response& held, std::string key) {
    const auto until = held.header.revision.value + 1;
    return etcd::when(etcd::create_revision(held.key) > 0, etcd::create_revision(held.key) < until).then(etcd::put(std::move(key), "protected"));
}

asio::awaitable<bool> writes(client c, etcd::txn_request request) {
    const auto done = co_await c.txn(std::move(request));
    co_return done.succeeded;
}

asio::awaitable<void> fences(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::lock_service s(c);
    const auto mine = co_await lease_of(c);
    const auto other = co_await lease_of(c);
    const auto held = co_await s.lock(name, mine);
    const auto now = co_await writes(c, fenced(held, name));
    CHECK(now);
    std::optional<etcd::lock_response> others;
    asio::co_spawn(executor, keep(s, name, other, &others), asio::detached);
    co_await until_queued(c, name, 2);
    const auto still = co_await writes(c, fenced(held, name));
    CHECK(still);
    const auto freed = co_await s.unlock(held.key);
    CHECK(freed.revision > held.header.revision);
    const auto theirs = co_await s.lock(name, other);
    const auto lost = co_await writes(c, fenced(held, name));
    CHECK(!lost);
    // The same lease asks again: its key is there, and holds nothing.
    std::optional<etcd::lock_response> anew;
    asio::co_spawn(executor, keep(s, name, mine, &anew), asio::detached);
    co_await until_queued(c, name, 2);
    const auto key = co_await c.get(held.key);
    CHECK(key);
    const auto waiting = co_await writes(c, fenced(held, name));
    CHECK(!waiting);
    const auto handed_on = co_await s.unlock(theirs.key);
    CHECK(handed_on.revision > freed.revision);
    const auto again = co_await s.lock(name, mine);
    const auto old = co_await writes(c, fenced(held, name));
    CHECK(!old);
    const auto anew_held = co_await writes(c, fenced(again, name));
    CHECK(anew_held);
    for (const auto lease : {mine, other}) {
        const auto revoked = co_await c.lease_revoke(lease);
        CHECK(revoked.header.revision.value > 0);
    }
}

asio::awaitable<void> ends_in_time(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::lock_service s(c);
    const auto holder = co_await lease_of(c);
    const auto waiter = co_await lease_of(c);
    const auto held = co_await s.lock(name, holder);
    const call_options brief{.timeout = 300ms};
    const auto late = co_await ending_of(s.lock(name, waiter, brief));
    CHECK(late.reason == errc::outcome_unknown);
    CHECK(late.context.attempts == 1);
    CHECK(late.took >= 250ms);
    CHECK(late.took < 5s);
    const auto put = co_await c.put(name, "other calls go on");
    CHECK(put.header.revision.value > 0);
    const auto revoked = co_await c.lease_revoke(waiter); // as the doc says
    CHECK(revoked.header.revision.value > 0);
    const auto freed = co_await s.unlock(held.key);
    CHECK(freed.revision.value > 0);
    const auto gone = co_await ending_of(s.lock(name, waiter));
    CHECK(gone.reason == errc::not_found);
    CHECK(gone.context.key == name);
}

asio::awaitable<void> never_repeated(std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    etcd::lock_service s(c);
    const auto lease = co_await lease_of(c);
    proxy.add(fault_rule("/v3/lock/lock").drop_reply());
    const auto lost = co_await ending_of(s.lock(name, lease));
    CHECK(lost.reason == errc::outcome_unknown);
    CHECK(proxy.requests("/v3/lock/lock") == 1);
    const auto revoked = co_await c.lease_revoke(lease);
    CHECK(revoked.header.revision.value > 0);
}

asio::awaitable<void> with_rights(const auth_etcd* server) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(server->endpoint());
    options.user(auth_etcd::user, auth_etcd::password);
    client c(executor, options);
    etcd::lock_service s(c);
    const auto lease = co_await lease_of(c);
    const auto held = co_await s.lock(server->prefix() + "lock", lease);
    CHECK(held.key.starts_with(server->prefix()));
    const auto freed = co_await s.unlock(held.key);
    CHECK(freed.revision > held.header.revision);
    const auto denied = co_await ending_of(s.lock("elsewhere", lease));
    CHECK(denied.reason == errc::permission_denied);
    etcd::lock_service anybody(client(executor, quiet(server->endpoint())));
    const auto unknown = co_await ending_of(anybody.lock("elsewhere", lease));
    CHECK(unknown.reason == errc::unauthenticated);
}

} // namespace

TEST_CASE("lock: one holder at a time, in the order of asking, as long as its lease lives") { run(one_at_a_time(unique_prefix())); }

TEST_CASE("lock: the compares of one tenure hold for no other") { run(fences(unique_prefix())); }

TEST_CASE("lock: a wait ends by its timeout, beside other calls") { run(ends_in_time(unique_prefix())); }

TEST_CASE("lock: a wait whose connection is lost is not repeated") { run(never_repeated(unique_prefix())); }

TEST_CASE("lock: rights are those of the user") {
    const auth_etcd server;
    run(with_rights(&server));
}

TEST_CASE("lock: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client through(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::lock_service s(through);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return s.lock("", lease_id{1}); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.lock("l", lease_id::none()); }) == errc::invalid_argument);
    CHECK(reason([&] { return s.unlock(""); }) == errc::invalid_argument);
    CHECK(through.metrics().calls == 0);
}
