// The flow of watches: progress, readers that are slow, watches that come and go under load, proxies that hold requests back.
#include "support.hpp"
#include "versions.hpp"

#include <support/auth_etcd.hpp>
#include <support/history.hpp>
#include <support/quick_environment.hpp>

#include <algorithm>
#include <random>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using command::local_etcd;
using etcd::revision;

namespace {

using clock_type = std::chrono::steady_clock;

asio::awaitable<std::int64_t> newest(client c) {
    const auto reply = co_await c.range(etcd::range_request("k"));
    co_return reply.header.revision.value;
}

etcd::watch_request below(const std::string& p, std::int64_t from) { return {etcd::prefix(p), revision{from}}; }

asio::awaitable<void> write(client c, std::string p, int first, int last, std::string value) {
    for (int i = first; i < last; ++i) {
        const auto done = co_await c.put(p + std::to_string(i % 100), std::to_string(i) + value);
        CHECK(done.header.revision.value > 0);
    }
}

// `writers` at once, each `each` puts.
asio::awaitable<void> write_together(client c, std::string p, int writers, int each, std::string value) {
    const auto executor = co_await asio::this_coro::executor;
    crowd all(executor);
    for (int i = 0; i < writers; ++i) all.add(write(c, p + std::to_string(i) + "/", 0, each, value));
    co_await all.join();
}

asio::awaitable<void> compare_all(client c, std::string p, const change_log* seen, std::int64_t from) {
    const auto history = co_await history_of(c, p, from, seen->last());
    CHECK(seen->fault() == "");
    CHECK(difference(seen->all(), history, from, seen->last()) == "");
}

// ---- progress -------------------------------------------------------------------------------------------------------------------

// Takes what there is without waiting.
asio::awaitable<void> take(client c, etcd::watch* from, change_log* into) {
    while (c.metrics().watch_backlog != 0) {
        const auto response = co_await from->next();
        into->add(response);
    }
}

asio::awaitable<void> progress_covers(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto changes = c.watch(below(p, start + 1));
    change_log log;
    // Before 3.4.25 and 3.5.8 etcd answers too early for a watch that still reads history: this one has to be through with it.
    const auto first = co_await put_end(direct, p);
    co_await read_until(&changes, &log, first);
    for (int i = 0; i < 100; ++i) {
        const auto put = co_await direct.put(p + std::to_string(i), "v");
        const auto reached = co_await changes.progress(put.header.revision);
        CHECK(reached >= put.header.revision);
        CHECK(c.metrics().watch_backlog >= 1);
        co_await take(c, &changes, &log);
        CHECK(log.last() == put.header.revision.value);
    }
    // Of what it does not watch, it tells how far the store is.
    const auto other = co_await direct.put("elsewhere/" + p, "v");
    const auto reached = co_await changes.progress(other.header.revision);
    CHECK(reached >= other.header.revision);
    CHECK(c.metrics().watch_backlog == 0);
    const auto any = co_await changes.progress();
    CHECK(any >= other.header.revision);
    CHECK_THROWS_AS(changes.progress(revision{-1}), error);
}

asio::awaitable<void> progress_of_a_quiet_store(local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint()));
    const auto put = co_await c.put("k", "v");
    const auto at = put.header.revision.value;
    auto changes = c.watch(below("k", at));
    const auto first = co_await changes.next();
    CHECK(first.events.size() == 1);
    for (int i = 0; i < 3; ++i) {
        const auto reached = co_await changes.progress(put.header.revision, 1s);
        CHECK(reached.value == at);
    }
    auto waiting = changes.progress(revision{at + 1}, 300ms); // nobody writes it
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.took >= 300ms);
    CHECK(contains(end.what, "revision " + std::to_string(at + 1)));
}

asio::awaitable<void> progress_of_paused(local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint()));
    const auto put = co_await c.put("k", "v");
    auto changes = c.watch(below("k", put.header.revision.value));
    const auto before = co_await changes.progress(put.header.revision);
    CHECK(before >= put.header.revision);
    etcd->pause();
    auto waiting = changes.progress({}, 700ms);
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::timed_out);
    CHECK(end.took >= 700ms);
    CHECK(end.took < 1500ms);
    etcd->resume();
    const auto after = co_await changes.progress(put.header.revision);
    CHECK(after >= put.header.revision);
}

struct reached {
    std::int64_t revision;
    std::size_t taken;
};

asio::awaitable<void> ask_meanwhile(client c, etcd::watch* changes, change_log* log, std::vector<reached>* told, const crowd* writers) {
    while (writers->running() != 0) {
        const auto at = co_await changes->progress();
        co_await take(c, changes, log);
        told->push_back({at.value, log->all().size()});
    }
}

asio::awaitable<void> progress_under_load(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto changes = c.watch(below(p, start + 1));
    crowd writers(executor);
    for (int i = 0; i < 8; ++i) writers.add(write(direct, p + std::to_string(i) + "/", 0, 120, ""));
    change_log log;
    std::vector<reached> told;
    co_await ask_meanwhile(c, &changes, &log, &told, &writers);
    co_await writers.join();
    const auto end = co_await put_end(direct, p);
    co_await read_until(&changes, &log, end);
    co_await compare_all(direct, p, &log, start + 1);
    CHECK(told.size() >= 10);
    std::size_t early = 0;
    for (const auto& each : told) {
        const auto covered = [&each](const change& one) { return one.revision <= each.revision; };
        if (each.taken < static_cast<std::size_t>(std::count_if(log.all().begin(), log.all().end(), covered))) ++early;
    }
    INFO(early << " of " << told.size() << " answers came before the events");
    if (etcd_is_at_least(5)) CHECK(early == 0); // 3.4.23 answers at once
}

// ---- readers that are slow ------------------------------------------------------------------------------------------------------

constexpr std::size_t event_size = sizeof(etcd::event);
constexpr std::uint64_t revisions_a_message = 1000; // when etcd sends history

// The backlog of all watches is looked at with each event that the quick one brings.
asio::awaitable<void> follow(client c, etcd::watch* quick, change_log* into, std::uint64_t* most) {
    while (!into->ended()) {
        const auto response = co_await quick->next();
        into->add(response);
        *most = std::max(*most, c.metrics().watch_backlog);
    }
}

asio::awaitable<void> slow_reader(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const std::string value(200, 'v');
    auto options = quiet(test_etcd().endpoint());
    options.watch_buffer(64 * 1024);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto slow = c.watch(below(p, start + 1));
    auto quick = c.watch(below(p, start + 1));
    std::uint64_t most = 0;
    change_log by_quick;
    crowd beside(executor);
    beside.add(follow(c, &quick, &by_quick, &most));
    co_await write_together(direct, p, 16, 200, value);
    const auto end = co_await put_end(direct, p);
    co_await beside.join();
    CHECK(by_quick.all().size() == 3201);
    const auto bound = 64 * 1024 / (event_size + value.size());
    CHECK(most < bound + 2 * revisions_a_message);
    CHECK(c.metrics().watch_backlog > 0);
    CHECK(c.metrics().watch_backlog <= bound + revisions_a_message);

    // Nothing of what it did not take is lost, nothing comes twice.
    change_log by_slow;
    while (by_slow.last() < end) {
        const auto response = co_await slow.next();
        by_slow.add(response);
        most = std::max(most, c.metrics().watch_backlog);
    }
    CHECK(most < bound + 2 * revisions_a_message);
    CHECK(by_slow.fault() == "");
    CHECK(by_quick.fault() == "");
    CHECK(difference(by_slow.all(), by_quick.all(), 0, end) == "");
    CHECK(c.metrics().watch_repeats == 0);
    CHECK(c.metrics().watch_reconnects == 0);
}

// Takes a few responses, then makes a call: so it is stopped and goes on many times while etcd has more to send.
asio::awaitable<void> read_slowly(client pace, etcd::watch* from, change_log* into, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!into->ended()) {
        for (auto left = random() % 20; left != 0 && !into->ended(); --left) {
            const auto response = co_await from->next();
            into->add(response);
        }
        const auto at = co_await newest(pace);
        CHECK(at > 0);
    }
}

asio::awaitable<void> stop_and_go(std::string p, std::size_t buffer) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(test_etcd().endpoint());
    options.watch_buffer(buffer);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    std::vector<etcd::watch> watches;
    std::vector<change_log> logs(4);
    crowd readers(executor);
    for (int i = 0; i < 4; ++i) watches.push_back(c.watch(below(p, start + 1)));
    for (std::size_t i = 0; i < 4; ++i) readers.add(read_slowly(direct, &watches[i], &logs[i], i));
    co_await write_together(direct, p, 16, 70, std::string(100, 'v'));
    const auto end = co_await put_end(direct, p);
    co_await readers.join();
    const auto history = co_await history_of(direct, p, start + 1, end);
    CHECK(history.size() == 1121);
    for (const auto& log : logs) {
        CHECK(log.fault() == "");
        CHECK(difference(log.all(), history, start + 1, end) == "");
    }
}

// A watch that nobody reads, with so much written that it has been stopped: another one tells when all was sent.
asio::awaitable<void> fill(client c, client direct, std::string p, std::int64_t start, std::int64_t* end) {
    auto beside = c.watch(below(p, start));
    co_await write_together(direct, p, 8, 50, std::string(1000, 'v'));
    *end = co_await put_end(direct, p);
    change_log seen;
    co_await read_until(&beside, &seen, *end);
}

asio::awaitable<void> stopped_across_cut(std::string p, bool all_stopped) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    auto options = quiet(proxy.endpoint());
    options.watch_buffer(10'000);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto changes = c.watch(below(p, start + 1));
    auto other = std::make_unique<etcd::watch>(c.watch("other" + p));
    std::int64_t end = 0;
    co_await fill(c, direct, p, start + 1, &end);
    if (all_stopped) other.reset();
    const auto waiting = c.metrics().watch_backlog;
    CHECK(waiting > 0);
    CHECK(waiting < 400);
    proxy.cut_all(close_how::rst);
    co_await write_together(direct, p, 2, 10, "later");
    end = co_await put_end(direct, p);
    change_log log;
    co_await read_until(&changes, &log, end);
    CHECK(log.all().size() == 422);
    co_await compare_all(direct, p, &log, start + 1);
}

asio::awaitable<void> stopped_across_compaction(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(test_etcd().endpoint());
    options.watch_buffer(10'000);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto changes = c.watch(below(p, start + 1));
    std::int64_t end = 0;
    co_await fill(c, direct, p, start + 1, &end);
    const auto history = co_await history_of(direct, p, start + 1, end);
    const revision last{end};
    const auto compacted = co_await direct.compact(last);
    CHECK(compacted.header.revision.value > 0);
    change_log log;
    ending over;
    while (over.what.empty()) {
        auto taking = changes.next();
        const auto before = c.metrics().watch_backlog;
        try {
            const auto response = co_await std::move(taking);
            log.add(response);
        } catch (const error& failure) {
            over.what = failure.what();
            over.reason = failure.reason();
            over.context = failure.context();
        }
        CHECK((before > 0 || !over.what.empty()));
    }
    CHECK(over.reason == errc::compacted);
    CHECK(over.context.compact_revision == end);
    CHECK(log.all().size() > 1);
    CHECK(log.all().size() < history.size());
    CHECK(difference(log.all(), history, start + 1, log.last()) == "");
}

// Every watch of the client is stopped: that is no failure of the endpoint, and costs no reconnects.
asio::awaitable<void> stopped_for_long(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const auto system = std::make_shared<first_endpoint_first>(std::make_shared<quick_environment>(5));
    auto options = quiet(test_etcd().endpoint());
    options.watch_buffer(10'000).system(system);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    auto changes = c.watch(below(p, start + 1));
    std::int64_t end = 0;
    co_await fill(c, direct, p, start + 1, &end);
    const auto later = system->now() + 6s;
    co_await detail::sleep_until(executor, system, later);
    CHECK(c.metrics().watch_reconnects == 0);
    change_log log;
    co_await read_until(&changes, &log, end);
    co_await compare_all(direct, p, &log, start + 1);
    CHECK(c.metrics().watch_reconnects == 0);
}

// ---- watches that come and go ---------------------------------------------------------------------------------------------------

struct part {
    part(std::int64_t from_, change_log log_) : from(from_), log(std::move(log_)) {}
    std::int64_t from;
    change_log log;
};

// Begins watches at revisions that were there a moment ago, reads a little of each, and drops it.
asio::awaitable<void> come_and_go(client c, std::string p, const change_log* seen, std::vector<part>* into, const std::int64_t* end,
                                  std::int64_t start, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    while (*end == 0) {
        const auto behind = static_cast<std::int64_t>(random() % 40);
        const auto from = std::max(seen->last() - behind, start);
        auto one = c.watch(below(p, from));
        change_log log;
        for (auto left = 1 + random() % 5; left != 0 && *end == 0; --left) {
            const auto response = co_await one.next();
            log.add(response);
        }
        if (!log.all().empty()) into->emplace_back(from, std::move(log));
    }
}

asio::awaitable<void> come_and_go_under_load(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto first = co_await direct.put(p + "first", "");
    const auto start = first.header.revision.value;
    auto steady = c.watch(below(p, start));
    change_log log;
    std::int64_t end = 0;
    std::uint64_t most = 0;
    std::vector<part> parts;
    crowd beside(executor);
    beside.add(follow(c, &steady, &log, &most));
    crowd guests(executor);
    for (std::uint64_t i = 0; i < 4; ++i) guests.add(come_and_go(c, p, &log, &parts, &end, start, i));
    co_await write_together(direct, p, 8, 120, "");
    end = co_await put_end(direct, p);
    // Guests that still wait get this one; it is not theirs to end the test without.
    const auto again = co_await put_end(direct, p);
    CHECK(again > end);
    co_await beside.join();
    co_await guests.join();
    const auto history = co_await history_of(direct, p, start, again);
    CHECK(log.fault() == "");
    CHECK(difference(log.all(), history, start, log.last()) == "");
    CHECK(parts.size() > 10);
    for (const auto& each : parts) {
        CHECK(each.log.fault() == "");
        CHECK(difference(each.log.all(), history, each.from, each.log.last()) == "");
    }
    CHECK(c.metrics().watch_reconnects == 0);
}

// ---- large revisions ------------------------------------------------------------------------------------------------------------

asio::awaitable<void> fragments(std::string p, std::size_t buffer) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    auto options = quiet(proxy.endpoint());
    options.watch_buffer(buffer);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    for (int round = 0; round < 3; ++round) {
        auto request = etcd::when();
        for (int i = 0; i < 10; ++i)
            request.success.push_back(etcd::put(p + std::to_string(i), std::to_string(round) + std::string(140'000, 'b')));
        const auto done = co_await direct.txn(std::move(request));
        CHECK(done.succeeded);
    }
    const auto end = co_await put_end(direct, p);
    // Each stream is cut somewhere else, in the midst of fragments too.
    for (std::size_t cut : {1'000'000, 2'500'000, 4'000'000})
        proxy.add(fault_rule("/v3/watch").cut_response_after(cut));
    etcd::watch_request all = below(p, start + 1);
    all.prev_kv = true;
    all.fragment = true;
    auto changes = c.watch(all);
    change_log log;
    co_await read_until(&changes, &log, end);
    CHECK(log.all().size() == 31);
    co_await compare_all(direct, p, &log, start + 1);
    CHECK(c.metrics().watch_repeats == 0);
}

// ---- proxies that hold requests back --------------------------------------------------------------------------------------------

asio::awaitable<void> through_buffering_proxy(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    proxy.whole_requests();
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto first = co_await direct.put(p + "a", "1");
    const auto begin = clock_type::now();
    auto changes = c.watch(below(p, first.header.revision.value));
    change_log log;
    co_await read_until(&changes, &log, first.header.revision.value);
    CHECK(clock_type::now() - begin < 3s);

    // It runs on, beside one that comes and one that goes.
    const auto second = co_await direct.put(p + "a", "2");
    co_await read_until(&changes, &log, second.header.revision.value);
    auto added = c.watch(below(p, second.header.revision.value));
    change_log by_added;
    co_await read_until(&added, &by_added, second.header.revision.value);
    const auto third = co_await direct.put(p + "a", "3");
    co_await read_until(&changes, &log, third.header.revision.value);
    co_await read_until(&added, &by_added, third.header.revision.value);
    added.cancel();
    const auto fourth = co_await direct.put(p + "a", "4");
    co_await read_until(&changes, &log, fourth.header.revision.value);

    proxy.cut_all(close_how::rst);
    const auto fifth = co_await direct.put(p + "a", "5");
    const auto again = clock_type::now();
    co_await read_until(&changes, &log, fifth.header.revision.value);
    CHECK(clock_type::now() - again < 2s); // it is known what is in between

    const auto put = co_await c.put(p + "b", "6");
    co_await read_until(&changes, &log, put.header.revision.value);
    co_await compare_all(direct, p, &log, first.header.revision.value);
    CHECK(by_added.all().size() == 2);
    CHECK(c.metrics().watch_repeats == 0);
}

asio::awaitable<void> much_through_buffering_proxy(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    proxy.whole_requests();
    auto options = quiet(proxy.endpoint());
    options.watch_buffer(20'000);
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto start = co_await newest(direct);
    std::vector<etcd::watch> watches;
    std::vector<change_log> logs(3);
    crowd readers(executor);
    for (int i = 0; i < 3; ++i) watches.push_back(c.watch(below(p, start + 1)));
    for (std::size_t i = 0; i < 3; ++i) readers.add(read_slowly(direct, &watches[i], &logs[i], i));
    co_await write_together(direct, p, 8, 100, std::string(100, 'v'));
    const auto end = co_await put_end(direct, p);
    co_await readers.join();
    const auto history = co_await history_of(direct, p, start + 1, end);
    for (const auto& log : logs) {
        CHECK(log.fault() == "");
        CHECK(difference(log.all(), history, start + 1, end) == "");
    }
}

asio::awaitable<void> idle_behind_buffering_proxy(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const auto system = std::make_shared<first_endpoint_first>(std::make_shared<quick_environment>(4));
    auto proxy = proxy_of(test_etcd());
    proxy.whole_requests();
    client c(executor, quiet(proxy.endpoint() + "," + test_etcd().endpoint()).system(system));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto first = co_await direct.put(p + "a", "1");
    auto changes = c.watch(below(p, first.header.revision.value));
    change_log log;
    co_await read_until(&changes, &log, first.header.revision.value);
    const auto streams = c.metrics().watch_streams;
    const auto later = system->now() + 6s;
    co_await detail::sleep_until(executor, system, later);
    CHECK(c.metrics().watch_streams == streams); // the endpoint answers, so the stream is kept
    CHECK(c.metrics().watch_reconnects == 0);
    proxy.black_hole();
    const auto second = co_await direct.put(p + "a", "2");
    const auto begin = system->now();
    co_await read_until(&changes, &log, second.header.revision.value);
    CHECK(system->now() - begin < 8s);
    CHECK(c.metrics().watch_reconnects == 1);
}

// Newer members answer the question that is asked of the endpoint only to those who may ask it.
asio::awaitable<void> user_behind_buffering_proxy(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(etcd->server());
    proxy.whole_requests();
    auto options = quiet(proxy.endpoint());
    options.user(auth_etcd::user, auth_etcd::password);
    client c(executor, options);
    const auto first = co_await c.put(etcd->prefix() + "a", "1");
    auto changes = c.watch(below(etcd->prefix(), first.header.revision.value));
    const auto begin = clock_type::now();
    change_log log;
    co_await read_until(&changes, &log, first.header.revision.value);
    CHECK(clock_type::now() - begin < 4s);
}

} // namespace

TEST_CASE("watch progress: what it tells has come, and can be taken without waiting") { run(progress_covers(unique_prefix())); }
TEST_CASE("watch progress: is told while nobody writes") {
    local_etcd etcd;
    run(progress_of_a_quiet_store(&etcd));
}
TEST_CASE("watch progress: ends by its timeout while etcd is paused, and works again when it goes on") {
    local_etcd etcd;
    run(progress_of_paused(&etcd));
}
TEST_CASE("watch progress: holds while many write") { run(progress_under_load(unique_prefix())); }

TEST_CASE("watch buffer: a reader that comes late gets everything once, with bounded memory, and holds up no other watch") {
    run(slow_reader(unique_prefix()), std::chrono::seconds(60));
}
TEST_CASE("watch buffer: watches that are stopped and go on again and again lose and repeat nothing") {
    run(stop_and_go(unique_prefix(), 1), std::chrono::seconds(60));
    run(stop_and_go(unique_prefix(), 30'000), std::chrono::seconds(60));
}
TEST_CASE("watch buffer: a watch that is stopped while its stream breaks loses nothing") {
    run(stopped_across_cut(unique_prefix(), false));
    run(stopped_across_cut(unique_prefix(), true));
}
TEST_CASE("watch buffer: a watch that is stopped while its future is compacted learns of it after what it had") {
    run(stopped_across_compaction(unique_prefix()));
}
TEST_CASE("watch buffer: a client all of whose watches are stopped does not blame the endpoint") { run(stopped_for_long(unique_prefix())); }
TEST_CASE("watch: watches that come and go under load get each its own part of history") {
    run(come_and_go_under_load(unique_prefix()), std::chrono::seconds(60));
}
TEST_CASE("watch: revisions above 2 MiB come whole, wherever their fragments are cut and however slow they are taken") {
    run(fragments(unique_prefix(), 64 * 1024 * 1024));
    run(fragments(unique_prefix(), 1));
}

TEST_CASE("watch: behind a proxy that passes on whole requests only, watches run, come and go, and calls are unharmed") {
    run(through_buffering_proxy(unique_prefix()));
}
TEST_CASE("watch: behind a proxy that passes on whole requests only, readers may be slow") { run(much_through_buffering_proxy(unique_prefix())); }
TEST_CASE("watch: behind a proxy that passes on whole requests only, an idle stream is kept, and left when nobody answers") {
    run(idle_behind_buffering_proxy(unique_prefix()));
}
TEST_CASE("watch: behind a proxy that passes on whole requests only, a user without rights on the cluster watches too") {
    auth_etcd etcd;
    run(user_behind_buffering_proxy(&etcd));
}
