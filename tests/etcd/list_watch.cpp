#include "support.hpp"

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/list_watch.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <map>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::list_watch_response;
using etcd::revision;

namespace {

// What a user makes of it: a map that is kept true.
struct replica {
    std::map<std::string, std::string> all;
    revision at;
    int complete = 0;

    void take(list_watch_response told) {
        CHECK(told.revision >= at);
        at = told.revision;
        if (told.complete) {
            ++complete;
            all.clear();
            CHECK(told.events.empty());
            for (auto& kv : told.kvs) CHECK(all.emplace(std::move(kv.key), std::move(kv.value)).second);
            return;
        }
        CHECK(told.kvs.empty());
        REQUIRE(!told.events.empty());
        CHECK(told.revision == told.events.back().kv.mod_revision);
        for (auto& one : told.events) {
            if (one.type == etcd::event::kind::put) {
                all[one.kv.key] = one.kv.value;
            } else {
                CHECK(all.erase(one.kv.key) == 1);
            }
        }
    }
};

asio::awaitable<void> until(etcd::list_watch* from, replica* kept, revision at) {
    while (kept->at < at) {
        auto told = co_await from->next();
        kept->take(std::move(told));
    }
}

asio::awaitable<errc> end_of(etcd::list_watch* ended) {
    try {
        const auto told = co_await ended->next();
        static_cast<void>(told);
    } catch (const error& failure) {
        co_return failure.reason();
    }
    co_return errc{};
}

asio::awaitable<std::map<std::string, std::string>> truth(client c, std::string p) {
    std::map<std::string, std::string> all;
    const auto reply = co_await c.range(etcd::prefix(p));
    for (const auto& kv : reply.kvs) all.emplace(kv.key, kv.value);
    co_return all;
}

asio::awaitable<revision> change(client c, std::string p, int from, int to) {
    revision last;
    for (int i = from; i < to; ++i) {
        auto both = etcd::when().then(etcd::put(p + std::to_string(i), std::to_string(i)), etcd::put(p + "last", std::to_string(i)), etcd::erase(p + std::to_string(i - 3)));
        const auto done = co_await c.txn(std::move(both));
        last = done.header.revision;
    }
    co_return last;
}

asio::awaitable<void> stays_true(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto before = co_await change(c, p, 0, 20);
    const etcd::list_watch_options options{.page_size = 2, .prev_kv = true};
    etcd::list_watch kept(c, etcd::prefix(p), options);
    replica mine;
    auto first = co_await kept.next();
    CHECK(first.complete);
    CHECK(first.revision >= before);
    CHECK(first.kvs.size() == 4);
    mine.take(std::move(first));
    const auto put = co_await c.put(p + "last", "x");
    auto second = co_await kept.next();
    CHECK(!second.complete);
    REQUIRE(second.events.size() == 1);
    REQUIRE(second.events[0].prev_kv);
    CHECK(second.events[0].prev_kv->value == "19");
    CHECK(second.revision == put.header.revision);
    mine.take(std::move(second));
    const auto end = co_await change(c, p, 20, 40);
    co_await until(&kept, &mine, end);
    const auto right = co_await truth(c, p);
    CHECK(mine.all == right);
    CHECK(mine.complete == 1);

    auto moved = std::move(kept);
    const auto empty_handed = co_await end_of(&kept); // NOLINT(bugprone-use-after-move): says so
    CHECK(empty_handed == errc::closed);
    const auto more = co_await change(c, p, 40, 41);
    co_await until(&moved, &mine, more);
    moved.cancel();
    const auto over = co_await end_of(&moved);
    CHECK(over == errc::closed);
}

asio::awaitable<void> across_a_compaction(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    client c(executor, quiet(proxy.endpoint()));
    const auto begun = co_await change(direct, p, 0, 10);
    const etcd::list_watch_options options{.page_size = 2};
    etcd::list_watch kept(c, etcd::prefix(p), options);
    replica mine;
    co_await until(&kept, &mine, begun);
    CHECK(mine.complete == 1);
    const auto watched = co_await change(direct, p, 10, 12);
    co_await until(&kept, &mine, watched);
    CHECK(mine.complete == 1);

    // Cut off; what happens meanwhile is compacted away.
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    const auto missed = co_await change(direct, p, 12, 30);
    const auto compacted = co_await direct.compact(missed);
    CHECK(compacted.header.revision.value > 0);
    proxy.accept_again();
    co_await until(&kept, &mine, missed);
    CHECK(mine.complete == 2);
    const auto then = co_await truth(direct, p);
    CHECK(mine.all == then);
    const auto end = co_await change(direct, p, 30, 35);
    co_await until(&kept, &mine, end);
    CHECK(mine.complete == 2);
    const auto right = co_await truth(direct, p);
    CHECK(mine.all == right);
}

// The history is compacted between two pages: the listing begins anew, and shows one state.
asio::awaitable<void> compacted_while_listing(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    client c(executor, quiet(proxy.endpoint()));
    etcd::batch writes(direct);
    for (int i = 0; i < 20; ++i) writes.put(p + std::to_string(i), "1");
    const auto done = co_await writes.run();
    done.check();
    const etcd::list_watch_options options{.page_size = 5, .each = {.timeout = 300ms}};
    etcd::list_watch kept(c, etcd::prefix(p), options);
    proxy.add(fault_rule("/v3/kv/range").skip(2).times(fault_rule::always).drop_reply());
    const auto stuck = co_await ending_of(kept.next());
    CHECK((stuck.reason == errc::connection_failed || stuck.reason == errc::timed_out)); // as the last attempt ended
    const auto changed = co_await direct.put(p + "0", "2");
    const auto compacted = co_await direct.compact(changed.header.revision);
    CHECK(compacted.header.revision.value > 0);
    proxy.clear_rules();
    const auto all = co_await kept.next();
    CHECK(all.complete);
    CHECK(all.kvs.size() == 20);
    CHECK(all.revision == changed.header.revision);
    for (const auto& kv : all.kvs) CHECK(kv.value == (kv.key == p + "0" ? "2" : "1"));
}

// etcd tells at most 1000 revisions at a time of what was missed, each time under the store's newest one.
asio::awaitable<void> long_backlog(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    client c(executor, quiet(proxy.endpoint()));
    const auto begun = co_await change(direct, p, 0, 1);
    etcd::list_watch kept(c, etcd::prefix(p));
    replica mine;
    co_await until(&kept, &mine, begun);
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    const auto missed = co_await change(direct, p, 1, 2500);
    proxy.accept_again();
    int told = 0;
    for (; mine.at < missed; ++told) {
        auto some = co_await kept.next();
        mine.take(std::move(some));
        CHECK(mine.all.at(p + "last") == std::to_string(mine.at.value - begun.value));
    }
    CHECK(told >= 3);
    CHECK(mine.complete == 1);
    const auto right = co_await truth(direct, p);
    CHECK(mine.all == right);
}

// Each listing takes longer than the history that etcd keeps.
asio::awaitable<void> never_fast_enough(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    std::vector<std::string> lines;
    auto options = quiet(proxy.endpoint());
    options.log(logger(log_level::warning, [&lines](log_level, std::string_view line) { lines.emplace_back(line); }));
    client c(executor, options);
    const auto begun = co_await change(direct, p, 0, 6);
    const std::string words = R"({"code":11,"message":"etcdserver: mvcc: required revision has been compacted"})";
    const auto too_late = proxy.add(fault_rule("/v3/kv/range")
                                        .when([](std::string_view request) { return contains(std::string(request), "\"revision\""); })
                                        .times(fault_rule::always)
                                        .reply_with("HTTP/1.1 400 Bad Request\r\nContent-Length: " + std::to_string(words.size()) + "\r\n\r\n" + words));
    const etcd::list_watch_options pairs{.page_size = 2};
    etcd::list_watch kept(c, etcd::prefix(p), pairs);
    const auto lost = co_await ending_of(kept.next());
    CHECK(lost.reason == errc::compacted);
    CHECK(proxy.hits(too_late) == 5);
    REQUIRE(lines.size() == 4);
    CHECK(contains(lines[0], "listing everything again"));
    proxy.clear_rules();
    replica mine;
    co_await until(&kept, &mine, begun);
    const auto right = co_await truth(direct, p);
    CHECK(mine.all == right);
}

asio::awaitable<void> wait_for_more(etcd::list_watch* kept) {
    const auto told = co_await kept->next();
    FAIL("a change that nobody made, at " << told.revision.value);
}

asio::awaitable<void> cancelled_and_used_again(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto begun = co_await change(c, p, 0, 3);
    etcd::list_watch kept(c, etcd::prefix(p));
    replica mine;
    co_await until(&kept, &mine, begun);
    asio::cancellation_signal signal;
    std::optional<errc> how;
    const auto ended = [&how](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const error& why) {
            how = why.reason();
        }
    };
    asio::co_spawn(executor, wait_for_more(&kept), asio::bind_cancellation_slot(signal.slot(), ended));
    const auto settled = co_await c.get(p + "elsewhere");
    CHECK(!settled);
    signal.emit(asio::cancellation_type::terminal);
    const auto end = co_await change(c, p, 3, 6);
    co_await until(&kept, &mine, end);
    CHECK(how == errc::cancelled);
    CHECK(mine.complete == 1);
    const auto right = co_await truth(c, p);
    CHECK(mine.all == right);
}

} // namespace

TEST_CASE("list_watch: a complete listing, then every change") { run(stays_true(unique_prefix())); }

TEST_CASE("list_watch: all of it again where a compaction took changes away") { run(across_a_compaction(unique_prefix())); }

TEST_CASE("list_watch: a listing that is compacted half way begins anew") { run(compacted_while_listing(unique_prefix())); }

TEST_CASE("list_watch: the revision of a response is that of its last event, however far the store is ahead") { run(long_backlog(unique_prefix()), 60s); }

TEST_CASE("list_watch: says so when history is too short for any listing") { run(never_fast_enough(unique_prefix())); }

TEST_CASE("list_watch: a wait that is cancelled loses nothing") { run(cancelled_and_used_again(unique_prefix())); }

TEST_CASE("list_watch: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client c(io.get_executor(), quiet("http://127.0.0.1:1"));
    const auto reason = [&c](const char* key, std::size_t size) {
        etcd::list_watch_options options;
        options.page_size = size;
        try {
            etcd::list_watch made(c, key, options);
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason("k", 0) == errc::invalid_argument);
    CHECK(reason("", 1) == errc::invalid_argument);
    CHECK(c.metrics().calls == 0);
    io.run();
}
