#include <support/group.hpp>
#include <support/quick_environment.hpp>

#include <etcdcoll/host.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using clock_type = std::chrono::steady_clock;

asio::awaitable<void> wait_in_vain(group& joined, meeting& over) {
    co_await joined.barrier();
    if (joined.rank() == 2) {
        co_await over.wait();
        const auto text = co_await expect_error(joined.barrier(), errc::aborted);
        CHECK_THAT(text, ContainsSubstring("aborted by rank ") && ContainsSubstring("missing rank 2 of 3"));
        co_return;
    }
    const auto began = clock_type::now();
    const collective_options options{.timeout = 2s};
    const auto text = co_await expect_error(joined.barrier(options), errc::timed_out);
    const auto took = clock_type::now() - began;
    CHECK(took >= 1500ms); // the other one's end of the epoch may come a little before the own deadline
    CHECK(took <= 2500ms);
    CHECK_THAT(text, ContainsSubstring("barrier 2 of group \"" + joined.name() + "\": timed out after 2.0 s, missing rank 2 of 3 (2: alive on host " + host_name()) &&
                         ContainsSubstring("last seen in barrier 1 (failure.cpp:"));
    co_await over.wait();
}

} // namespace

TEST_CASE("barrier: a rank that never arrives is named when the time is up, and what it did last") {
    const auto name = unique_group();
    meeting over(3);
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return wait_in_vain(joined, over); };
    run_ranks(3, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 3, rank), body); });
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}

namespace {

asio::awaitable<void> all_blocks(group& joined) {
    const auto all = co_await joined.allgather(joined.rank());
    static_cast<void>(all);
}

asio::awaitable<void> mismatch(group& joined, std::vector<std::string>& texts) {
    co_await joined.barrier();
    const auto began = clock_type::now();
    auto& text = texts.at(static_cast<std::size_t>(joined.rank()));
    if (joined.rank() == 1) {
        text = co_await expect_error(joined.barrier(), errc::collective_mismatch);
    } else {
        text = co_await expect_error(all_blocks(joined), errc::collective_mismatch);
    }
    CHECK(clock_type::now() - began < 5s); // by the mismatch, not by the deadline of 20 s
}

} // namespace

TEST_CASE("collectives: a rank that calls another one than the others is named at once on all of them") {
    const auto name = unique_group();
    std::vector<std::string> texts(4);
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return mismatch(joined, texts); };
    run_ranks(4, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 4, rank), body); });
    for (const auto& text : texts) CHECK_THAT(text, ContainsSubstring(" 2 of group \"" + name + "\": rank") && ContainsSubstring("barrier") && ContainsSubstring("allgather") && ContainsSubstring("failure.cpp:"));
}

namespace {

asio::awaitable<void> lose_one(group& joined, meeting& ready) {
    co_await joined.barrier();
    if (joined.rank() == 1) {
        co_await ready.wait();
        // What a lease that has run out looks like to everybody else, without the wait.
        const auto executor = co_await asio::this_coro::executor;
        auto etcd = client_for(executor, test_etcd().endpoint());
        detail::key_layout keys("etcdcoll/groups", joined.name());
        const auto root = co_await etcd.get(keys.root());
        keys.use_epoch(detail::decode_root(root->key, root->value).id);
        const auto mine = co_await etcd.get(keys.member(1));
        co_await etcd.lease_revoke(mine->lease);
        const auto text = co_await expect_error(joined.barrier(), errc::lease_lost);
        CHECK_THAT(text, ContainsSubstring("rank 1"));
        co_return;
    }
    auto waiting = joined.barrier();
    co_await ready.wait();
    const auto text = co_await expect_error(std::move(waiting), errc::rank_lost);
    CHECK_THAT(text, ContainsSubstring("lost rank 1 of 3 (1: lease expired on host " + host_name()) && ContainsSubstring("last seen in barrier 1 (failure.cpp:"));
    const auto later = co_await expect_error(all_blocks(joined), errc::rank_lost);
    CHECK_THAT(later, ContainsSubstring("allgather"));
}

} // namespace

TEST_CASE("collectives: a lost rank is named by all others, and learns itself that it is no member") {
    const auto name = unique_group();
    meeting ready(3);
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return lose_one(joined, ready); };
    run_ranks(3, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 3, rank), body); });
}

namespace {

asio::awaitable<void> leave_early(group& joined) {
    co_await joined.barrier();
    if (joined.rank() == 0) co_return;
    const auto text = co_await expect_error(joined.barrier(), errc::rank_lost);
    CHECK_THAT(text, ContainsSubstring("lost rank 0 of 2 (0: left the group"));
}

asio::awaitable<void> abort_one(group& joined) {
    co_await joined.barrier();
    if (joined.rank() == 1) {
        co_await joined.abort("the disk is full");
        const auto own = co_await expect_error(joined.barrier(), errc::aborted);
        CHECK_THAT(own, ContainsSubstring("aborted by rank 1: the disk is full"));
        co_return;
    }
    const auto text = co_await expect_error(joined.barrier(), errc::aborted);
    CHECK_THAT(text, ContainsSubstring("barrier 2 of group \"" + joined.name() + "\": aborted by rank 1: the disk is full"));
}

} // namespace

TEST_CASE("collectives: a rank that has left in order is not taken for a crash") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = leave_early;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}

TEST_CASE("group: abort wakes everyone with its text") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = abort_one;
    run_ranks(4, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 4, rank), body); });
    CHECK(keys_of(test_etcd().endpoint(), name).empty());
}

namespace {

asio::awaitable<void> cancel_one(group& joined, meeting& arrived) {
    co_await joined.barrier();
    if (joined.rank() == 1) {
        co_await arrived.wait();
        const auto text = co_await expect_error(joined.barrier(), errc::aborted);
        CHECK_THAT(text, ContainsSubstring("aborted by rank 0 in barrier 2 (failure.cpp:"));
        co_return;
    }
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal cancel;
    errc seen{};
    bool ended = false;
    asio::steady_timer end(executor, clock_type::time_point::max());
    asio::co_spawn(executor, joined.barrier(), asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr why) {
                       try {
                           if (why) std::rethrow_exception(why);
                       } catch (const error& failure) {
                           seen = failure.reason();
                       }
                       ended = true;
                       end.cancel();
                   }));
    // Until the arrival is in etcd: then it counts.
    auto etcd = client_for(executor, test_etcd().endpoint());
    detail::key_layout keys("etcdcoll/groups", joined.name());
    const auto root = co_await etcd.get(keys.root());
    keys.use_epoch(detail::decode_root(root->key, root->value).id);
    auto changes = etcd.watch(etcd::watch_request(keys.count(), root->mod_revision));
    for (std::int64_t version = 0; version < 3;) {
        const auto change = co_await changes.next();
        version = change.events.back().kv.version;
    }
    cancel.emit(asio::cancellation_type::terminal);
    boost::system::error_code woken;
    if (!ended) co_await end.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    CHECK(seen == errc::cancelled);
    auto ends = etcd.watch(etcd::watch_request(keys.end(), root->mod_revision));
    const auto put = co_await ends.next(); // the other rank could be faster, and be released
    CHECK(put.events.size() == 1);
    co_await arrived.wait();
    const auto text = co_await expect_error(joined.barrier(), errc::aborted);
    CHECK_THAT(text, ContainsSubstring("aborted by rank 0"));
}

} // namespace

TEST_CASE("barrier: a cancelled arrival that had counted aborts the group") {
    const auto name = unique_group();
    meeting arrived(2);
    const std::function<asio::awaitable<void>(group&)> body = [&](group& joined) { return cancel_one(joined, arrived); };
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}

namespace {

asio::awaitable<void> logged_member(std::string name, int rank, std::shared_ptr<environment> quick, std::vector<std::string>& lines) {
    const auto executor = co_await asio::this_coro::executor;
    const logger log(log_level::warning, [&lines](log_level, std::string_view line) { lines.emplace_back(line); });
    client_options options;
    options.endpoints(test_etcd().endpoint()).log(log).system(quick);
    const client etcd(executor, options);
    if (rank == 1) co_await detail::sleep_until(executor, quick, quick->now() + 12s);
    auto joined = co_await group::join(etcd, options_for(name, 2, rank).ttl(60s));
    if (rank == 1) co_await detail::sleep_until(executor, quick, quick->now() + 12s);
    co_await joined.barrier();
    co_await joined.leave();
}

} // namespace

TEST_CASE("group: while a join or a collective waits, the log says every 10 s who is missing") {
    const auto name = unique_group();
    const auto quick = std::make_shared<quick_environment>(10); // so that 10 s take one
    std::vector<std::string> lines;
    run_ranks(2, [&](int rank) { return logged_member(name, rank, quick, lines); });
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[0], ContainsSubstring("join \"" + name + "\": waiting for rank 1 of 2 (10."));
    CHECK_THAT(lines[1], ContainsSubstring("barrier 1 of group \"" + name + "\": waiting for rank 1 of 2 (10.") && ContainsSubstring("has called no collective yet"));
}

namespace {

asio::awaitable<void> twice(group& joined) {
    if (joined.rank() == 1) {
        co_await joined.barrier();
        co_return;
    }
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer end(executor, clock_type::time_point::max());
    bool ended = false;
    asio::co_spawn(executor, joined.barrier(), [&](std::exception_ptr failure) {
        CHECK_FALSE(failure);
        ended = true;
        end.cancel();
    });
    const auto text = co_await expect_error(all_blocks(joined), errc::invalid_argument);
    CHECK_THAT(text, ContainsSubstring("another collective of this rank is under way"));
    boost::system::error_code woken;
    if (!ended) co_await end.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

} // namespace

TEST_CASE("group: a second collective at the same time is refused and harms nothing") {
    const auto name = unique_group();
    const std::function<asio::awaitable<void>(group&)> body = twice;
    run_ranks(2, [&](int rank) { return member(test_etcd().endpoint(), options_for(name, 2, rank), body); });
}

TEST_CASE("group: one that was never joined, or was moved from, says so") {
    group none;
    CHECK_THROWS_AS(none.rank(), error);
    CHECK_THROWS_AS(none.barrier(), error);
}
