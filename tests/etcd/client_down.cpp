#include "support.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/co_spawn.hpp>

#include <functional>
#include <optional>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

struct named_call {
    const char* name;
    std::function<asio::awaitable<ending>(client&)> start;
    bool repeatable;
    bool writes = false; ///< and is repeated all the same
};

std::vector<named_call> every_call() {
    const auto lease = etcd::lease_id{77};
    return {
        {"range", [](client& c) { return ending_of(c.get("k")); }, true},
        {"put", [](client& c) { return ending_of(c.put("k", "v")); }, false},
        {"delete_range", [](client& c) { return ending_of(c.delete_range("k")); }, false},
        {"txn", [](client& c) { return ending_of(c.txn(etcd::when().then(etcd::put("k", "v")))); }, false},
        {"txn", [](client& c) { return ending_of(c.txn(etcd::when().then(etcd::get("k")))); }, true},
        {"lease_grant", [](client& c) { return ending_of(c.lease_grant(10s)); }, true, true},
        {"lease_keep_alive", [lease](client& c) { return ending_of(c.lease_keep_alive(lease)); }, true},
        {"lease_revoke", [lease](client& c) { return ending_of(c.lease_revoke(lease)); }, true, true},
        {"lease_time_to_live", [lease](client& c) { return ending_of(c.lease_time_to_live(lease)); }, true},
    };
}

asio::awaitable<void> all_refused(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(endpoint, 200ms));
    const auto calls = every_call();
    for (const auto& call : calls) {
        const auto end = co_await call.start(c);
        INFO(call.name << ": " << end.what);
        CHECK(end.reason == errc::connection_failed);
        CHECK(end.what.starts_with(call.name));
        CHECK(contains(end.what, "http://" + endpoint + ": connection refused"));
        CHECK(end.context.endpoint == "http://" + endpoint);
        CHECK(end.context.attempts > 1);
        CHECK(end.took <= 700ms);
    }
}

asio::awaitable<void> all_silent(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(endpoint, 250ms);
    options.attempt_timeout(100ms);
    client c(executor, options);
    const auto calls = every_call();
    for (const auto& call : calls) {
        const auto end = co_await call.start(c);
        INFO(call.name << ": " << end.what);
        const bool told = call.repeatable && !call.writes;
        CHECK(end.reason == (told ? errc::timed_out : errc::outcome_unknown));
        CHECK(contains(end.what, "http://" + endpoint + ": waiting for the reply took too long"));
        CHECK(contains(end.what, told ? "gave up after" : "whether it was executed is unknown"));
        CHECK(end.took <= 750ms);
        if (call.repeatable) CHECK(end.context.attempts >= 2);
        if (!call.repeatable) CHECK(end.took >= 250ms);
    }
}

asio::awaitable<void> moves_on(std::string bad, std::string good, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(bad + "," + good);
    options.attempt_timeout(200ms);
    client c(executor, options);
    auto reading = c.get(p + "k");
    const auto end = co_await ending_of(std::move(reading));
    CHECK(end.what == "");
    CHECK(end.took < 1500ms);
    CHECK(c.metrics().attempts == 2);
    // It stays where it works.
    const auto put = co_await c.put(p + "k", "v");
    CHECK(put.header.revision.value > 0);
    CHECK(c.metrics().attempts == 3);
}

asio::awaitable<void> names_both(std::string a, std::string b) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(a + "," + b, 300ms));
    auto call = c.put("k", "v");
    const auto end = co_await ending_of(std::move(call));
    CHECK(end.reason == errc::connection_failed);
    CHECK(contains(end.what, "http://" + a + ": connection refused (connecting); http://" + b + ": connection refused (connecting)"));
}

asio::awaitable<void> survives_restart(command::local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    detail::condition failed(executor, environment::system());
    auto options = quiet(etcd->endpoint(), 10s);
    options.log(logger(log_level::debug, [&failed](log_level, std::string_view) { failed.notify_all(); }));
    client c(executor, options);
    const auto put = co_await c.put("k", "v");
    CHECK(put.header.revision.value > 0);
    etcd->kill();
    std::optional<etcd::key_value> found;
    auto reading = [](client through, std::optional<etcd::key_value>* into) -> asio::awaitable<void> { *into = co_await through.get("k"); };
    detail::condition done(executor, environment::system());
    asio::co_spawn(executor, reading(c, &found), [&done](std::exception_ptr failure) {
        CHECK(!failure);
        done.notify_all();
    });
    co_await failed.wait();
    etcd->restart();
    co_await done.wait();
    REQUIRE(found);
    CHECK(found->value == "v");
    const auto after = co_await c.put("k", "w");
    CHECK(after.header.revision.value > 0);
}

asio::awaitable<void> survives_pause(command::local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(etcd->endpoint(), 400ms);
    options.attempt_timeout(150ms);
    client c(executor, options);
    const auto before = co_await c.put("k", "v");
    CHECK(before.header.revision.value > 0);
    etcd->pause();
    auto reading = c.get("k");
    const auto silent = co_await ending_of(std::move(reading));
    CHECK(silent.reason == errc::timed_out);
    auto writing = c.put("k", "w");
    const auto unknown = co_await ending_of(std::move(writing));
    CHECK(unknown.reason == errc::outcome_unknown);
    CHECK(contains(unknown.what, etcd->endpoint()));
    etcd->resume();
    const call_options patient{.timeout = 5s};
    const auto after = co_await c.get("k", patient);
    REQUIRE(after);
}

} // namespace

TEST_CASE("client: with nobody at the endpoint every call ends by its deadline and names endpoint and cause") {
    fault_proxy proxy;
    proxy.refuse();
    run(all_refused(proxy.endpoint()));
}

TEST_CASE("client: with a silent endpoint every call ends by its deadline; a write's outcome is unknown") {
    fault_proxy proxy;
    proxy.black_hole();
    run(all_silent(proxy.endpoint()));
}

TEST_CASE("client: moves from an endpoint that refuses to one that works, and stays there") {
    fault_proxy bad;
    bad.refuse();
    run(moves_on(bad.endpoint(), test_etcd().endpoint(), unique_prefix()));
}

TEST_CASE("client: moves from a silent endpoint to one that works, and stays there") {
    fault_proxy bad;
    bad.black_hole();
    run(moves_on(bad.endpoint(), test_etcd().endpoint(), unique_prefix()));
}

TEST_CASE("client: an error of several endpoints names each with its cause") {
    fault_proxy a;
    fault_proxy b;
    a.refuse();
    b.refuse();
    run(names_both(a.endpoint(), b.endpoint()));
}

TEST_CASE("client: a read that began while etcd was down ends when etcd is back") {
    command::local_etcd etcd;
    run(survives_restart(&etcd));
}

TEST_CASE("client: a paused etcd costs the deadline, and works again when it goes on") {
    command::local_etcd etcd;
    run(survives_pause(&etcd));
}
