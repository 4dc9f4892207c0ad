#include "support.hpp"

#include <support/fault_proxy.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <optional>
#include <stdexcept>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using clock_type = std::chrono::steady_clock;

asio::awaitable<void> until_gone(client etcd, std::string key) {
    const etcd::range_request one(key);
    const auto there = co_await etcd.range(one);
    bool gone = there.kvs.empty();
    auto changes = etcd.watch(etcd::watch_request(key, {there.header.revision.value + 1}));
    while (!gone) {
        const auto change = co_await changes.next();
        gone = change.events.back().type == etcd::event::kind::erase;
    }
}

asio::awaitable<void> leave_in_vain(command::local_etcd& own, std::string name) {
    const auto executor = co_await asio::this_coro::executor;
    client_options options;
    options.endpoints(own.endpoint()).timeout(1s).log(logger(log_level::off, {}));
    const client etcd(executor, options);
    auto joined = co_await group::join(etcd, options_for(name, 1, 0).ttl(3s));
    const auto keys = co_await keys_now(own.endpoint(), name);

    own.pause();
    const auto end = co_await ending_of(joined.leave());
    own.resume();
    CHECK((end.reason == errc::outcome_unknown || end.reason == errc::timed_out));
    CHECK(end.took >= 900ms);
    CHECK(end.took < 2s);

    // The group and its client are still there, but nobody renews the lease any more.
    const auto began = clock_type::now();
    co_await until_gone(etcd, keys.member(0));
    CHECK(clock_type::now() - began < 8s);
}

} // namespace

TEST_CASE("group: leaving while etcd is paused ends by the client's deadline, and the member goes with its lease") {
    command::local_etcd own;
    run(leave_in_vain(own, unique_group()));
}

namespace {

struct interrupted_wait {
    std::optional<group> waiting;
    meeting called{2};
    meeting over{2};
    clock_type::time_point interrupted;
};

asio::awaitable<void> wait_interrupted(std::string name, interrupted_wait& plan) {
    const auto executor = co_await asio::this_coro::executor;
    const auto etcd = client_for(executor, test_etcd().endpoint());
    auto joined = co_await group::join(etcd, options_for(name, 2, 0));
    plan.waiting.emplace(std::move(joined));
    auto barrier = plan.waiting->barrier();
    co_await plan.called.wait();
    const auto end = co_await ending_of(std::move(barrier));
    CHECK(end.reason == errc::closed);
    CHECK_THAT(end.what, ContainsSubstring("group \"" + name + "\": "));
    CHECK(clock_type::now() - plan.interrupted < 1s);
    co_await plan.over.wait();
}

asio::awaitable<void> interrupt(std::string name, interrupted_wait& plan, bool destroy) {
    co_await plan.called.wait();
    const auto keys = co_await keys_now(test_etcd().endpoint(), name);
    co_await until_version(test_etcd().endpoint(), keys.count(), 1); // it has arrived, and waits for the other rank
    plan.interrupted = clock_type::now();
    if (destroy) {
        plan.waiting.reset();
    } else {
        co_await plan.waiting->leave();
        plan.waiting.reset(); // before its io_context
    }
}

} // namespace

TEST_CASE("barrier: ends at once when its group is destroyed or left meanwhile") {
    const bool destroy = GENERATE(true, false);
    const auto name = unique_group();
    interrupted_wait plan;
    const std::function<asio::awaitable<void>(group&)> body = [&](group&) { return plan.over.wait(); };
    run_ranks(3, [&](int index) {
        if (index == 0) return wait_interrupted(name, plan);
        if (index == 1) return member(test_etcd().endpoint(), options_for(name, 2, 1), body);
        return interrupt(name, plan, destroy);
    });
}

namespace {

asio::awaitable<void> revoke_other(group& joined) {
    if (joined.rank() == 0) {
        const auto own = co_await ending_of(joined.barrier());
        CHECK(own.reason == errc::lease_lost);
        CHECK_THAT(own.what, ContainsSubstring("rank 0"));
        const auto later = co_await ending_of(joined.barrier());
        CHECK(later.reason == errc::lease_lost);
        co_return;
    }
    const auto keys = co_await keys_now(test_etcd().endpoint(), joined.name());
    co_await until_version(test_etcd().endpoint(), keys.count(), 1);
    co_await revoke_lease_of(test_etcd().endpoint(), joined.name(), 0);
    const auto other = co_await ending_of(joined.barrier());
    CHECK(other.reason == errc::rank_lost);
    CHECK(other.ranks == std::vector<int>{0});
}

} // namespace

TEST_CASE("barrier: a rank whose own lease is revoked while it waits learns that it is no member, and does not call itself a lost one") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = revoke_other;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank).ttl(20s), body); });
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}

namespace {

// Ranks 0 and 1 of an epoch of three wait behind a proxy that lets nothing through while rank 2 dies and three others begin a new epoch.
struct takeover {
    fault_proxy& proxy;
    std::string direct;
    std::string name;
    bool forget; // the history of it is compacted before it gets to them
    meeting dead{4};
    meeting begun{3};
    meeting met{3};
};

void shut(takeover& plan) {
    if (!plan.forget) return plan.proxy.black_hole();
    plan.proxy.refuse();
    plan.proxy.cut_all(close_how::rst);
}

asio::awaitable<void> open_again(takeover& plan) {
    if (!plan.forget) {
        plan.proxy.pass_through();
        co_return;
    }
    const auto executor = co_await asio::this_coro::executor;
    auto etcd = client_for(executor, plan.direct);
    const auto put = co_await etcd.put("unrelated", "x");
    const auto compacted = co_await etcd.compact(put.header.revision);
    static_cast<void>(compacted);
    plan.proxy.accept_again();
}

asio::awaitable<void> be_old(group& joined, takeover& plan) {
    co_await joined.barrier();
    if (joined.rank() == 2) {
        const auto keys = co_await keys_now(plan.direct, plan.name);
        co_await until_version(plan.direct, keys.count(), 5);
        shut(plan);
        co_await revoke_lease_of(plan.direct, plan.name, 2);
        co_await plan.dead.wait();
        const auto own = co_await ending_of(joined.barrier());
        CHECK(own.reason == errc::lease_lost);
        co_return;
    }
    for (int call = 0; call < 2; ++call) {
        const auto end = co_await ending_of(joined.barrier());
        INFO(end.what);
        CHECK(end.reason == (plan.forget ? errc::lease_lost : errc::rank_lost));
        CHECK(end.ranks == (plan.forget ? std::vector<int>() : std::vector<int>{2}));
    }
}

asio::awaitable<void> be_new(group& joined, takeover& plan) {
    CHECK(joined.epoch() == 2);
    co_await plan.begun.wait();
    if (joined.rank() == 0) co_await open_again(plan);
    co_await joined.barrier();
    co_await plan.met.wait(); // a watch that began too late for the compacted history lists the release, which goes with the rank that wrote it
}

} // namespace

TEST_CASE("collectives: ranks that a new epoch replaced name who was lost before it, or themselves, but none that lives") {
    const auto name = unique_group();
    const auto direct = test_etcd().endpoint();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    takeover plan{proxy, direct, name, GENERATE(false, true)};
    const std::function<asio::awaitable<void>(group&)> old_body = [&](group& joined) { return be_old(joined, plan); };
    const std::function<asio::awaitable<void>(group&)> new_body = [&](group& joined) { return be_new(joined, plan); };
    run_ranks(6, [&](int index) -> asio::awaitable<void> {
        const int rank = index % 3;
        if (index >= 3) co_await plan.dead.wait();
        if (index == 2) co_await until_members(direct, name, 1); // else the root might be its own, and go with it
        const auto& body = index < 3 ? old_body : new_body;
        const auto endpoint = index < 2 ? proxy.endpoint() : direct;
        co_await member(endpoint, options_for(name, 3, rank).ttl(20s), body);
    });
    CHECK(keys_of(direct, name).empty());
}

namespace {

asio::awaitable<void> log_in_vain(std::string endpoint, group_options options, fault_proxy& proxy, int& lines) {
    const auto executor = co_await asio::this_coro::executor;
    const logger log(log_level::trace, [&lines](log_level, std::string_view) {
        ++lines;
        throw std::runtime_error("the disk is full");
    });
    const auto etcd = client_for(executor, endpoint, log);
    auto joined = co_await group::join(etcd, options);
    for (int round = 0; round < 10; ++round) {
        if (joined.rank() == 0) proxy.cut_all(round % 2 == 0 ? close_how::fin : close_how::rst);
        co_await joined.barrier();
    }
    co_await joined.leave();
}

} // namespace

TEST_CASE("collectives: go on while the log's function throws") {
    const auto name = unique_group();
    fault_proxy proxy("127.0.0.1", test_etcd().client_port());
    int lines = 0;
    run_ranks(2, [&](int rank) { return log_in_vain(proxy.endpoint(), options_for(name, 2, rank).ttl(20s), proxy, lines); });
    CHECK(lines > 0);
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}
