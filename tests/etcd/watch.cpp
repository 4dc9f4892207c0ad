#include "support.hpp"

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <support/quick_environment.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <map>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

// Reads events until there are `n`, and says of each "put key=value" or "erase key".
asio::awaitable<std::vector<std::string>> next_events(etcd::watch* from, std::size_t n) {
    std::vector<std::string> seen;
    std::int64_t last = 0;
    while (seen.size() < n) {
        const auto response = co_await from->next();
        for (const auto& e : response.events) {
            CHECK(e.kv.mod_revision.value >= last);
            last = e.kv.mod_revision.value;
            seen.push_back(e.type == etcd::event::kind::put ? "put " + e.kv.key + "=" + e.kv.value : "erase " + e.kv.key);
        }
    }
    co_return seen;
}

asio::awaitable<void> put_numbers(client c, std::string p, int begin, int end) {
    for (int i = begin; i < end; ++i) {
        const auto done = co_await c.put(p + std::to_string(i), std::to_string(i));
        CHECK(done.header.revision.value > 0);
    }
}

std::vector<std::string> numbers(const std::string& p, int begin, int end) {
    std::vector<std::string> all;
    for (int i = begin; i < end; ++i) all.push_back("put " + p + std::to_string(i) + "=" + std::to_string(i));
    return all;
}

asio::awaitable<revision> now_at(client c) {
    const auto reply = co_await c.range(etcd::range_request("k"));
    co_return reply.header.revision;
}

asio::awaitable<void> sees_changes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const std::string binary("\0\xff", 2);
    const auto start = co_await c.put(p + binary, "1");
    etcd::watch_request request(etcd::prefix(p), start.header.revision);
    request.prev_kv = true;
    auto changes = c.watch(request);
    const auto second = co_await c.put(p + binary, binary);
    CHECK(second.header.revision > start.header.revision);
    const auto erased = co_await c.delete_range(p + binary);
    CHECK(erased.deleted == 1);
    const auto both = co_await c.txn(etcd::when().then(etcd::put(p + "x", "1"), etcd::put(p + "y", "2"), etcd::put("elsewhere" + p, "")));
    std::vector<etcd::event> events;
    while (events.size() < 5) {
        auto response = co_await changes.next();
        CHECK(response.header.revision.value > 0);
        for (auto& e : response.events) events.push_back(std::move(e));
    }
    REQUIRE(events.size() == 5);
    CHECK(events[0].kv.value == "1");
    CHECK(!events[0].prev_kv);
    CHECK(events[1].kv.key == p + binary);
    CHECK(events[1].kv.value == binary);
    REQUIRE(events[1].prev_kv);
    CHECK(events[1].prev_kv->value == "1");
    CHECK(events[2].type == etcd::event::kind::erase);
    CHECK(events[2].kv.mod_revision == erased.header.revision);
    REQUIRE(events[2].prev_kv);
    CHECK(events[2].prev_kv->value == binary);
    CHECK(events[3].kv.key == p + "x");
    CHECK(events[4].kv.key == p + "y");
    CHECK(events[4].kv.mod_revision == both.header.revision);
}

asio::awaitable<void> many_on_one_stream(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(c);
    std::vector<etcd::watch> watches;
    for (int i = 0; i < 50; ++i) watches.push_back(c.watch(etcd::watch_request(p + std::to_string(i), revision{at.value + 1})));
    co_await put_numbers(c, p, 0, 50);
    for (int i = 0; i < 50; ++i) {
        const auto seen = co_await next_events(&watches[static_cast<std::size_t>(i)], 1);
        CHECK(seen == numbers(p, i, i + 1));
    }
    CHECK(c.metrics().watch_streams == 1);
    CHECK(c.metrics().watch_events == 50);
    watches.erase(watches.begin(), watches.begin() + 49);
    co_await put_numbers(c, p, 0, 50);
    const auto seen = co_await next_events(&watches[0], 1);
    CHECK(seen == numbers(p, 49, 50));
    CHECK(c.metrics().watch_events == 51);
}

asio::awaitable<void> filters(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(c);
    etcd::watch_request puts(p + "0", revision{at.value + 1});
    puts.no_erase = true;
    etcd::watch_request erases(p + "0", revision{at.value + 1});
    erases.no_put = true;
    auto first = c.watch(puts);
    auto second = c.watch(erases);
    co_await put_numbers(c, p, 0, 1);
    const auto erased = co_await c.delete_range(p + "0");
    CHECK(erased.deleted == 1);
    co_await put_numbers(c, p, 0, 1);
    const auto written = co_await next_events(&first, 2);
    CHECK(written == std::vector<std::string>{"put " + p + "0=0", "put " + p + "0=0"});
    const auto gone = co_await next_events(&second, 1);
    CHECK(gone == std::vector<std::string>{"erase " + p + "0"});
}

asio::awaitable<void> large_responses(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(c);
    const std::string big(140'000, 'b');
    auto request = etcd::when();
    for (int i = 0; i < 10; ++i) request.success.push_back(etcd::put(p + std::to_string(i), big));
    const auto first = co_await c.txn(request);
    const auto again = co_await c.txn(request);
    CHECK(again.header.revision.value == first.header.revision.value + 1);
    for (const bool fragment : {false, true}) {
        etcd::watch_request all(etcd::prefix(p), revision{at.value + 1});
        all.prev_kv = true;
        all.fragment = fragment;
        auto changes = c.watch(all);
        std::map<std::int64_t, std::size_t> of_revision;
        std::size_t events = 0;
        while (events < 20) {
            const auto response = co_await changes.next();
            std::map<std::int64_t, std::size_t> here;
            for (const auto& e : response.events) ++here[e.kv.mod_revision.value];
            for (const auto& [number, count] : here) {
                CHECK(count == 10); // no revision is torn apart
                CHECK(of_revision.emplace(number, count).second);
            }
            events += response.events.size();
        }
        CHECK(events == 20);
    }
}

// ---- broken connections ---------------------------------------------------------------------------------------------------------

asio::awaitable<void> survives_cuts(std::string p, close_how how) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(direct);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{at.value + 1}));
    for (int round = 0; round < 10; ++round) {
        co_await put_numbers(direct, p, 2 * round, 2 * round + 1);
        const auto one = co_await next_events(&changes, 1);
        CHECK(one == numbers(p, 2 * round, 2 * round + 1));
        proxy.cut_all(how);
        co_await put_numbers(direct, p, 2 * round + 1, 2 * round + 2);
        const auto missed = co_await next_events(&changes, 1);
        CHECK(missed == numbers(p, 2 * round + 1, 2 * round + 2));
    }
    CHECK(c.metrics().watch_streams == 11);
    CHECK(c.metrics().watch_events == 20);
    CHECK(c.metrics().watch_repeats == 0);
}

asio::awaitable<void> stream_cut_anywhere(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(direct);
    co_await put_numbers(direct, p, 0, 3);
    // Each stream is cut later than the one before, through its header, its creation and its events.
    for (std::size_t size = 0; size < 1300; size += 29) {
        client c(executor, quiet(proxy.endpoint()));
        const auto rule = proxy.add(fault_rule("/v3/watch").cut_response_after(size));
        auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{at.value + 1}));
        const auto seen = co_await next_events(&changes, 3);
        INFO("stream cut after byte " << size);
        CHECK(seen == numbers(p, 0, 3));
        CHECK(c.metrics().watch_repeats == 0);
        proxy.remove(rule);
    }
}

asio::awaitable<void> survives_restart(command::local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint(), 20s));
    auto changes = c.watch(etcd::watch_request(etcd::prefix("k"), revision{1}));
    co_await put_numbers(c, "k", 0, 3);
    const auto before = co_await next_events(&changes, 3);
    CHECK(before == numbers("k", 0, 3));
    etcd->restart();
    co_await put_numbers(c, "k", 3, 6);
    const auto after = co_await next_events(&changes, 3);
    CHECK(after == numbers("k", 3, 6));
}

asio::awaitable<void> from_now_on(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await now_at(direct);
    co_await put_numbers(direct, p, 0, 1);
    auto changes = c.watch(etcd::prefix(p));
    auto other = c.watch(etcd::watch_request(etcd::prefix(p), start));
    const auto created = co_await next_events(&other, 1); // creations are answered in order: the first one is there
    CHECK(created == numbers(p, 0, 1));
    proxy.cut_all(close_how::fin);
    co_await put_numbers(direct, p, 1, 2);
    const auto seen = co_await next_events(&changes, 1);
    CHECK(seen == numbers(p, 1, 2));
}

asio::awaitable<void> compacted_start(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    co_await put_numbers(c, p, 0, 5);
    const auto at = co_await now_at(c);
    auto running = c.watch(etcd::watch_request(etcd::prefix(p), at));
    const auto first = co_await next_events(&running, 1);
    CHECK(first.size() == 1);
    const auto compacted = co_await c.compact(at);
    CHECK(compacted.header.revision.value > 0);

    auto late = c.watch(etcd::watch_request(p + "0", revision{1}));
    auto waiting = late.next();
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::compacted);
    CHECK(end.context.compact_revision == at.value);
    CHECK(end.what == "watch \"" + p + "0\": revision 1 has been compacted; history begins at " + std::to_string(at.value));
    auto again = late.next();
    const auto same = co_await ending_of(std::move(again));
    CHECK(same.reason == errc::compacted);

    // The others go on.
    co_await put_numbers(c, p, 5, 6);
    const auto seen = co_await next_events(&running, 1);
    CHECK(seen == numbers(p, 5, 6));
    etcd::range_request old(p + "0");
    old.revision.value = 1;
    auto reading = c.range(old);
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.reason == errc::compacted);
    auto twice = c.compact(at);
    const auto refused = co_await ending_of(std::move(twice));
    CHECK(refused.reason == errc::compacted);
}

asio::awaitable<void> compacted_while_away(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    co_await put_numbers(direct, p, 0, 1);
    const auto at = co_await now_at(direct);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), at));
    const auto first = co_await next_events(&changes, 1);
    CHECK(first == numbers(p, 0, 1));
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    co_await put_numbers(direct, p, 1, 5);
    const auto newest = co_await now_at(direct);
    const auto compacted = co_await direct.compact(newest);
    CHECK(compacted.header.revision.value > 0);
    proxy.accept_again();
    auto waiting = changes.next();
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::compacted);
    CHECK(end.context.compact_revision == newest.value);
}

asio::awaitable<void> refused_alone(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(c);
    auto good = c.watch(etcd::watch_request(p + "0", revision{at.value + 1}));
    auto bad = c.watch(etcd::watch_request(etcd::key_range(p + "b", p + "a"), revision{at.value + 1}));
    auto better = c.watch(etcd::watch_request(p + "0", revision{at.value + 1}));
    auto waiting = bad.next();
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::refused);
    CHECK(contains(end.what, "watch \"" + p + "b\": "));
    CHECK(contains(end.what, "watcher range is empty"));
    co_await put_numbers(c, p, 0, 1);
    const auto seen = co_await next_events(&good, 1);
    CHECK(seen.size() == 1);
    const auto too = co_await next_events(&better, 1);
    CHECK(too.size() == 1);
}

// ---- silent servers -------------------------------------------------------------------------------------------------------------

std::shared_ptr<environment> hasty() { return std::make_shared<first_endpoint_first>(std::make_shared<quick_environment>(4)); }

asio::awaitable<void> leaves_silent_endpoint(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    auto options = quiet(proxy.endpoint() + "," + test_etcd().endpoint()).system(hasty());
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto at = co_await now_at(direct);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{at.value + 1}));
    co_await put_numbers(direct, p, 0, 1);
    const auto first = co_await next_events(&changes, 1);
    CHECK(first == numbers(p, 0, 1));
    proxy.black_hole();
    const auto begin = options.get().system->now();
    co_await put_numbers(direct, p, 1, 2);
    const auto second = co_await next_events(&changes, 1);
    CHECK(second == numbers(p, 1, 2));
    const auto took = options.get().system->now() - begin;
    CHECK(took > 2s);
    CHECK(took < 9s);
    CHECK(c.metrics().watch_streams == 2);
}

asio::awaitable<void> paused(command::local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    detail::condition moved(executor, environment::system());
    std::string said;
    auto options = quiet(etcd->endpoint()).system(hasty());
    options.log(logger(log_level::info, [&](log_level, std::string_view line) {
        if (said.empty()) said = line;
        moved.notify_all();
    }));
    client c(executor, options);
    auto changes = c.watch(etcd::watch_request(etcd::prefix("k"), revision{1}));
    co_await put_numbers(c, "k", 0, 1);
    const auto first = co_await next_events(&changes, 1);
    CHECK(first == numbers("k", 0, 1));
    etcd->pause();
    co_await moved.wait();
    CHECK(contains(said, "watch: " + etcd->endpoint() + ": "));
    etcd->resume();
    co_await put_numbers(c, "k", 1, 2);
    const auto second = co_await next_events(&changes, 1);
    CHECK(second == numbers("k", 1, 2));
}

asio::awaitable<void> idle_stream_is_kept(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const auto system = hasty();
    client c(executor, quiet(test_etcd().endpoint()).system(system));
    const auto at = co_await now_at(c);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{at.value + 1}));
    // Longer than an unanswered probe would leave it.
    const auto later = system->now() + 8s;
    co_await detail::sleep_until(executor, system, later);
    co_await put_numbers(c, p, 0, 1);
    const auto seen = co_await next_events(&changes, 1);
    CHECK(seen == numbers(p, 0, 1));
    CHECK(c.metrics().watch_streams == 1);
}

// ---- the ends of a watch --------------------------------------------------------------------------------------------------------

asio::awaitable<void> wait_for_end(etcd::watch* of, ending* into) {
    auto waiting = of->next();
    auto end = co_await ending_of(std::move(waiting));
    *into = std::move(end);
}

asio::awaitable<void> cancelled_watch(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    detail::condition done(executor, environment::system());
    ending end;
    auto changes = c.watch(etcd::prefix(p));
    asio::co_spawn(executor, wait_for_end(&changes, &end), [&done](std::exception_ptr) { done.notify_all(); });
    const auto at = co_await now_at(c);
    CHECK(at);
    changes.cancel();
    co_await done.wait();
    CHECK(end.reason == errc::closed);
    CHECK_THROWS_AS(changes.next(), error);

    auto other = c.watch(etcd::prefix(p));
    asio::co_spawn(executor, wait_for_end(&other, &end), [&done](std::exception_ptr) { done.notify_all(); });
    end = {};
    c.close();
    co_await done.wait();
    CHECK(end.reason == errc::closed);
    auto late = c.watch(etcd::prefix(p));
    auto waiting = late.next();
    const auto refused = co_await ending_of(std::move(waiting));
    CHECK(refused.reason == errc::closed);
    auto reading = c.get(p);
    const auto closed = co_await ending_of(std::move(reading));
    CHECK(closed.reason == errc::closed);
}

asio::awaitable<void> cancelled_next(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    detail::condition done(executor, environment::system());
    asio::cancellation_signal stop;
    ending end;
    const auto at = co_await now_at(c);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{at.value + 1}));
    const auto finished = [&done](std::exception_ptr) { done.notify_all(); };
    asio::co_spawn(executor, wait_for_end(&changes, &end), asio::bind_cancellation_slot(stop.slot(), finished));
    const auto later = co_await now_at(c);
    CHECK(later);
    stop.emit(asio::cancellation_type::terminal);
    co_await done.wait();
    CHECK(end.reason == errc::cancelled);
    co_await put_numbers(c, p, 0, 1);
    const auto seen = co_await next_events(&changes, 1);
    CHECK(seen == numbers(p, 0, 1));
}

asio::awaitable<void> one_after_another(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(test_etcd().endpoint());
    int lines = 0;
    options.log(logger(log_level::info, [&lines](log_level, std::string_view) { ++lines; }));
    client c(executor, options);
    const auto at = co_await now_at(c);
    for (int i = 0; i < 20; ++i) {
        co_await put_numbers(c, p, i, i + 1);
        auto changes = c.watch(etcd::watch_request(p + std::to_string(i), revision{at.value + 1}));
        const auto seen = co_await next_events(&changes, 1);
        CHECK(seen == numbers(p, i, i + 1));
    }
    CHECK(lines == 0); // a stream that nobody needs any more is no failure
}

asio::awaitable<void> not_etcd(std::string reply, errc reason, std::string words) {
    const auto executor = co_await asio::this_coro::executor;
    fault_proxy proxy;
    proxy.add(fault_rule("/v3/watch").times(fault_rule::always).reply_with(reply));
    client c(executor, quiet(proxy.endpoint()));
    auto changes = c.watch("k");
    auto waiting = changes.next();
    const auto end = co_await ending_of(std::move(waiting));
    INFO(end.what);
    CHECK(end.reason == reason);
    CHECK(end.what == "watch: http://" + proxy.endpoint() + ": " + words);
}

} // namespace

TEST_CASE("watch: brings puts, deletions and transactions of any bytes, in order, with what was there before") { run(sees_changes(unique_prefix())); }
TEST_CASE("watch: all watches of a client share a stream, and each gets its own events") { run(many_on_one_stream(unique_prefix())); }
TEST_CASE("watch: leaves out what it is told to") { run(filters(unique_prefix())); }
TEST_CASE("watch: a revision of megabytes comes whole, in fragments on the wire or not") { run(large_responses(unique_prefix())); }
TEST_CASE("watch: loses and repeats nothing when its connection is cut") {
    run(survives_cuts(unique_prefix(), close_how::fin));
    run(survives_cuts(unique_prefix(), close_how::rst));
}
TEST_CASE("watch: loses and repeats nothing wherever its stream is cut") { run(stream_cut_anywhere(unique_prefix())); }
TEST_CASE("watch: goes on behind the last event when etcd is killed and restarted") {
    command::local_etcd etcd;
    run(survives_restart(&etcd));
}
TEST_CASE("watch: one that begins now loses nothing once it was created") { run(from_now_on(unique_prefix())); }
TEST_CASE("watch: a start that is compacted is reported with the revision where history begins") { run(compacted_start(unique_prefix())); }
TEST_CASE("watch: what was compacted while it was disconnected is reported") { run(compacted_while_away(unique_prefix())); }
TEST_CASE("watch: one that etcd refuses ends alone") { run(refused_alone(unique_prefix())); }
TEST_CASE("watch: leaves an endpoint that falls silent, and loses nothing") { run(leaves_silent_endpoint(unique_prefix())); }
TEST_CASE("watch: says which endpoint fell silent, and returns to it when it is the only one") {
    command::local_etcd etcd;
    run(paused(&etcd));
}
TEST_CASE("watch: an idle stream is kept, since its probes are answered") { run(idle_stream_is_kept(unique_prefix())); }
TEST_CASE("watch: cancel() and the client's close() end who waits with errc::closed") { run(cancelled_watch(unique_prefix())); }
TEST_CASE("watch: a cancelled next() leaves the watch usable") { run(cancelled_next(unique_prefix())); }
TEST_CASE("watch: streams come and go with the watches") { run(one_after_another(unique_prefix())); }
TEST_CASE("watch: at a server that is not etcd it ends instead of trying for ever") {
    run(not_etcd("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nNot Found\n", errc::unsupported, "Not Found"));
    run(not_etcd("HTTP/1.1 401 Unauthorized\r\nContent-Length: 55\r\n\r\n" R"({"error":"no","code":16,"message":"invalid auth token"})", errc::unauthenticated, "invalid auth token"));
}
