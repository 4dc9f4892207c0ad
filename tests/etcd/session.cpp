#include "support.hpp"

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/session_state.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

using clock = std::chrono::steady_clock;

asio::awaitable<void> put_with(client c, const session* of, std::string key) {
    const etcd::put_request request(key, "v", of->lease());
    const auto done = co_await c.put(request);
    CHECK(done.header.revision.value > 0);
}

asio::awaitable<clock::time_point> gone_at(client c, std::string key) {
    const auto found = co_await c.range(etcd::range_request(key));
    REQUIRE(found.kvs.size() == 1);
    auto changes = c.watch(etcd::watch_request(key, revision{found.header.revision.value + 1}));
    const auto change = co_await changes.next();
    CHECK(change.events.at(0).type == etcd::event::kind::erase);
    co_return clock::now();
}

// Ends when the proxy has seen `n` more requests for a renewal, and done to each what `rule` says.
asio::awaitable<void> renewals(fault_proxy* proxy, fault_rule rule, int n) {
    const auto executor = co_await asio::this_coro::executor;
    const auto seen = std::make_shared<detail::condition>(executor, environment::system());
    const auto left = std::make_shared<int>(n);
    rule.times(fault_rule::always).when([executor, seen, left](std::string_view) {
        asio::post(executor, [seen, left] {
            if (--*left <= 0) seen->notify_all();
        });
        return true;
    });
    const auto counting = proxy->add(std::move(rule));
    while (*left > 0) co_await seen->wait();
    proxy->remove(counting);
}

asio::awaitable<void> wait_lost(session* of, ending* into) {
    auto waiting = of->lost();
    auto end = co_await ending_of(std::move(waiting));
    *into = std::move(end);
}

asio::awaitable<void> keeps_keys(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 2s);
    CHECK(s.lease());
    co_await put_with(direct, &s, p + "k");
    const auto begin = clock::now();
    co_await renewals(&proxy, fault_rule("/v3/lease/keepalive"), 7);
    const auto took = clock::now() - begin;
    CHECK(took > 4s); // more than twice the time to live
    CHECK(took < 10s);
    const auto found = co_await direct.get(p + "k");
    CHECK(found);
    co_await s.close();
    const auto gone = co_await direct.get(p + "k");
    CHECK(!gone);
}

asio::awaitable<void> closes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 60s);
    co_await put_with(c, &s, p + "k");
    detail::condition done(executor, environment::system());
    ending end;
    asio::co_spawn(executor, wait_lost(&s, &end), [&done](std::exception_ptr) { done.notify_all(); });
    co_await s.close();
    if (end.what.empty()) co_await done.wait();
    CHECK(end.reason == errc::closed);
    const auto gone = co_await c.get(p + "k");
    CHECK(!gone);
    co_await s.close(); // again: nothing is left to do

    session empty;
    CHECK_THROWS_AS(empty.lease(), error);
    CHECK_THROWS_AS(empty.lost(), error);
    CHECK_THROWS_AS(empty.close(), error);
    auto moved = std::move(s);
    CHECK_THROWS_AS(s.lease(), error);
    CHECK(moved.lease());
    auto too_short = session::open(c, 1s);
    const auto refused = co_await ending_of(std::move(too_short));
    CHECK(refused.reason == errc::invalid_argument);
}

asio::awaitable<void> revoked(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 3s);
    co_await put_with(c, &s, p + "k");
    const auto begin = clock::now();
    const auto taken = co_await c.lease_revoke(s.lease());
    CHECK(taken.header.revision.value > 0);
    co_await s.lost();
    CHECK(clock::now() - begin < 2s); // at the next renewal, not at the end of the lease
    co_await s.lost();                // and for everybody who asks later
    REQUIRE(s.state()->lost());
    CHECK(s.state()->lost()->reason() == errc::lease_lost);
    CHECK(contains(s.state()->lost()->what(), "revoked, or expired, at the server"));
    auto other = co_await session::open(c, 3s);
    co_await s.close(); // of a lease that is gone
    CHECK(other.lease() != s.lease());
}

asio::awaitable<void> silent(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 2s);
    co_await put_with(direct, &s, p + "k");
    proxy.black_hole();
    const auto begin = clock::now();
    co_await s.lost();
    const auto lost = clock::now();
    CHECK(lost - begin <= 2s + 500ms);
    CHECK(contains(s.state()->lost()->what(), "not renewed for 2.0 s, its time to live is 2.0 s"));
    // Never later than the server: whoever holds a lease must not believe in it any longer than it lasts.
    const auto expired = co_await gone_at(direct, p + "k");
    CHECK(lost <= expired);
}

asio::awaitable<void> survives_outage(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 3s);
    const auto opened = clock::now();
    co_await put_with(direct, &s, p + "k");
    fault_rule cut("/v3/lease/keepalive");
    cut.cut_request_after(0, close_how::rst);
    co_await renewals(&proxy, std::move(cut), 8); // with pauses of up to half a second between
    co_await renewals(&proxy, fault_rule("/v3/lease/keepalive"), 4);
    CHECK(clock::now() - opened > 3s); // the time to live
    CHECK(s.state()->alive());
    const auto found = co_await direct.get(p + "k");
    CHECK(found);
    co_await s.close();
}

asio::awaitable<void> angry_words() {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    auto s = co_await session::open(c, 3s);
    const auto begin = clock::now();
    const std::string words = R"({"error":"no","code":7,"message":"etcdserver: permission denied"})";
    proxy.add(fault_rule("/v3/lease/keepalive")
                  .times(fault_rule::always)
                  .reply_with("HTTP/1.1 403 Forbidden\r\nContent-Length: " + std::to_string(words.size()) + "\r\n\r\n" + words));
    co_await s.lost();
    const auto took = clock::now() - begin;
    CHECK(took > 2s);
    CHECK(took < 3s + 500ms);
    CHECK(contains(s.state()->lost()->what(), "not renewed for 3.0 s"));
    CHECK(proxy.requests("/v3/lease/keepalive") <= 20);
}

asio::awaitable<void> paused(command::local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint()));
    auto s = co_await session::open(c, 2s);
    const auto begin = clock::now();
    etcd->pause();
    co_await s.lost();
    CHECK(clock::now() - begin <= 2s + 500ms);
    etcd->resume();
    CHECK(!s.state()->alive());
}

asio::awaitable<void> abandoned(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    {
        auto s = co_await session::open(c, 2s);
        co_await put_with(c, &s, p + "k");
    }
    const auto begin = clock::now();
    const auto expired = co_await gone_at(c, p + "k");
    CHECK(expired - begin > 500ms); // it runs out, nobody revokes it
    CHECK(expired - begin < 5s);
}

asio::awaitable<void> cancelled_wait(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 10s);
    detail::condition done(executor, environment::system());
    asio::cancellation_signal stop;
    ending end;
    const auto finished = [&done](std::exception_ptr) { done.notify_all(); };
    asio::co_spawn(executor, wait_lost(&s, &end), asio::bind_cancellation_slot(stop.slot(), finished));
    co_await put_with(c, &s, p + "k");
    stop.emit(asio::cancellation_type::terminal);
    co_await done.wait();
    CHECK(end.reason == errc::cancelled);
    CHECK(s.state()->alive());
    co_await s.close();
}

} // namespace

TEST_CASE("session: its keys live as long as it is kept, beyond the time to live") { run(keeps_keys(unique_prefix())); }
TEST_CASE("session: close() deletes its keys at once and ends those who wait for its loss") { run(closes(unique_prefix())); }
TEST_CASE("session: a lease that is revoked behind its back is lost at the next renewal") { run(revoked(unique_prefix())); }
TEST_CASE("session: a lease that cannot be renewed is lost here before it is lost at the server") { run(silent(unique_prefix())); }
TEST_CASE("session: an outage shorter than the time to live does it no harm") { run(survives_outage(unique_prefix())); }
TEST_CASE("session: refusals take no lease away before its time, and are not repeated without a pause") { run(angry_words()); }
TEST_CASE("session: is lost on time when etcd is paused") {
    command::local_etcd etcd;
    run(paused(&etcd));
}
TEST_CASE("session: one that is destroyed leaves its keys until the lease runs out") { run(abandoned(unique_prefix())); }
TEST_CASE("session: a cancelled wait for its loss leaves it alive") { run(cancelled_wait(unique_prefix())); }
