#include "support.hpp"

#include <support/fault_proxy.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

// Less than the 1.5 s after which the client gives up an attempt and makes the next one: nothing has waited for that.
constexpr auto at_once = 1000ms;

struct stall {
    fault_proxy& proxy;
    std::string direct;
    bool first; // rank 0, whose reply is stalled, arrives before the other one
    meeting ready{2};
    meeting done{2};
    meeting read{2};
};

asio::awaitable<void> stall_once(group& joined, stall& plan) {
    co_await joined.barrier();
    const auto keys = co_await keys_now(plan.direct, joined.name());
    const bool stalled = joined.rank() == 0;
    fault_proxy::rule_id rule = 0;
    if (stalled) rule = plan.proxy.add(fault_rule("/v3/kv/txn").stall_response());
    co_await plan.ready.wait();
    if (stalled != plan.first) co_await until_version(plan.direct, keys.count(), 3);

    const auto second = co_await ending_of(joined.barrier());
    CHECK(second.what == "");
    CHECK(second.took < at_once);
    if (stalled) CHECK(plan.proxy.hits(rule) == 1);

    const auto before = plan.proxy.requests("/v3/kv/txn");
    const auto third = co_await ending_of(joined.barrier());
    CHECK(third.what == "");
    CHECK(third.took < at_once);
    if (stalled) CHECK(plan.proxy.requests("/v3/kv/txn") - before == 3); // refused, the look, and the arrival

    co_await plan.done.wait();
    const auto count = co_await version_of(plan.direct, keys.count());
    CHECK(count == 3 * 2);
    co_await plan.read.wait();
}

} // namespace

TEST_CASE("barrier: a rank whose reply is stalled is released by its watch, and goes on at once") {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    stall plan{proxy, direct, GENERATE(true, false)};
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return stall_once(joined, plan); };
    run_ranks(2, [&](int rank) { return member(rank == 0 ? proxy.endpoint() : direct, options_for(name, 2, rank).ttl(20s), body); });
    CHECK(keys_of(direct, name).empty());
}

namespace {

asio::awaitable<void> join_and_leave(std::string endpoint, group_options options) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, endpoint);
    auto joined = co_await group::join(etcd, options);
    co_await joined.leave();
}

asio::awaitable<void> join_in_vain(std::string endpoint, group_options options) {
    const auto end = co_await ending_of(join_and_leave(endpoint, options));
    INFO(end.what);
    CHECK((end.reason == errc::timed_out || end.reason == errc::outcome_unknown));
    CHECK_THAT(end.what, ContainsSubstring(endpoint));
    CHECK(end.took >= 900ms);
    CHECK(end.took < 1800ms);
}

} // namespace

TEST_CASE("join: with etcd paused it ends by its deadline and names the endpoint") {
    command::local_etcd own;
    own.pause();
    run(join_in_vain(own.endpoint(), options_for(unique_group(), 2, 0).join_timeout(1s)));
    own.resume();
}

TEST_CASE("join: whichever of its requests is stalled, it ends by its deadline and names the endpoint") {
    const std::string path = GENERATE("/v3/lease/grant", "/v3/kv/range", "/v3/kv/txn");
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    proxy.add(fault_rule(path).stall_request().times(fault_rule::always));
    run(join_in_vain(proxy.endpoint(), options_for(unique_group(), 2, 0).join_timeout(1s)));
}

namespace {

asio::awaitable<void> stay(group&, meeting& over) { co_await over.wait(); }

asio::awaitable<void> come_third(std::string endpoint, std::string name, meeting& over) {
    co_await until_members(endpoint, name, 2);
    const auto end = co_await ending_of(join_and_leave(endpoint, options_for(name, 2, 1).join_timeout(600ms)));
    CHECK(end.reason == errc::timed_out);
    CHECK_THAT(end.what, ContainsSubstring("timed out after 600 ms (rank 1 is held by host ") && ContainsSubstring("whether it is alive was not known yet"));
    CHECK(end.took < 1500ms);
    co_await over.wait();
}

} // namespace

TEST_CASE("join: a taken rank is not called alive when the time was too short to tell") {
    const auto name = unique_group();
    const auto endpoint = test_etcd().endpoint();
    meeting over(3);
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return stay(joined, over); };
    run_ranks(3, [&](int rank) {
        if (rank == 2) return come_third(endpoint, name, over);
        return member(endpoint, options_for(name, 2, rank).ttl(9s), body); // its first renewal comes after 3 s
    });
    CHECK(keys_of(endpoint, name).empty());
}

namespace {

struct broken_epoch {
    std::string name;
    std::string direct;
    fault_proxy& proxy;
    bool between; // the member goes between the newcomer's list and its entry; else before both
    meeting written{2};
    meeting begun{3};
};

// Writes an epoch of three with ranks 0 and 1 there, takes rank 1 away, and with it `joined`; sees the newcomer begin another epoch.
asio::awaitable<void> break_epoch(broken_epoch& plan) {
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, plan.direct);
    const auto stays = co_await etcd.lease_grant(60s);
    const auto goes = co_await etcd.lease_grant(60s);
    detail::key_layout keys("etcdcoll/groups", plan.name);
    keys.use_epoch("00000000000000aa");
    const auto root = encode(detail::root_record{1, 1, "00000000000000aa", 3});
    const auto person = encode(detail::member_record{"h", 1, 0, false});
    auto first = etcd::when().then(etcd::put(keys.root(), root, stays.id), etcd::put(keys.member(0), person, stays.id), etcd::put(keys.joined(), {}, stays.id));
    auto second = etcd::when().then(etcd::put(keys.member(1), person, goes.id), etcd::put(keys.joined(), {}, goes.id));
    const auto one = co_await etcd.txn(std::move(first));
    static_cast<void>(one);
    const auto two = co_await etcd.txn(std::move(second));

    if (plan.between) {
        asio::steady_timer entering(executor, std::chrono::steady_clock::time_point::max());
        int seen = 0; // by the proxy's thread: the list is a transaction, too
        bool held = false;
        const auto note = [&] {
            held = true;
            entering.cancel();
        };
        const auto second_request = [&](std::string_view) {
            if (++seen != 2) return false;
            asio::post(executor, note);
            return true;
        };
        plan.proxy.add(fault_rule("/v3/kv/txn").when(second_request).stall_request());
        co_await plan.written.wait();
        boost::system::error_code woken;
        if (!held) co_await entering.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        REQUIRE(plan.proxy.wait_for_stalled(1, 5s));
        plan.proxy.clear_rules();
    }
    const auto revoked = co_await etcd.lease_revoke(goes.id);
    static_cast<void>(revoked);
    plan.proxy.release();
    if (!plan.between) co_await plan.written.wait();

    auto changes = etcd.watch(etcd::watch_request(keys.root(), {two.header.revision.value + 1}));
    const auto change = co_await changes.next();
    const auto& event = change.events.front();
    CHECK(event.type == etcd::event::kind::put);
    CHECK(detail::decode_root(event.kv.key, event.kv.value).epoch == 2);
    co_await plan.begun.wait();
    const auto end = co_await etcd.lease_revoke(stays.id);
    static_cast<void>(end);
}

} // namespace

TEST_CASE("join: an epoch that lost a member is not entered, also when its count of joins went with that member") {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    broken_epoch plan{name, direct, proxy, GENERATE(false, true)};
    std::vector<std::int64_t> epochs;
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) -> asio::awaitable<void> {
        epochs.push_back(joined.epoch());
        co_await joined.barrier();
    };
    run_ranks(4, [&](int rank) -> asio::awaitable<void> {
        if (rank == 3) {
            co_await break_epoch(plan);
            co_return;
        }
        if (rank == 2) co_await plan.written.wait();
        if (rank < 2) co_await plan.begun.wait();
        const auto endpoint = rank == 2 ? proxy.endpoint() : direct;
        co_await member(endpoint, options_for(name, 3, rank).ttl(20s).join_timeout(10s), body);
    });
    CHECK(epochs == std::vector<std::int64_t>{2, 2, 2});
    CHECK(keys_of(direct, name).empty());
}
