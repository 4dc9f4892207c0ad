// Calls and a watch on three members, one of which is killed every five seconds. What etcd's history says afterwards has to agree with what
// the client said of every call. ETCDCOLL_CHAOS_SECONDS (12) and ETCDCOLL_CHAOS_SEED (at random) change it.
#include "support.hpp"

#include <etcdcoll/etcd/maintenance.hpp>
#include <support/etcd_cluster.hpp>
#include <support/history.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

using clock_type = std::chrono::steady_clock;
using time_point = clock_type::time_point;
using std::chrono::milliseconds;

constexpr auto slack = 500ms; // the machine's, beyond a call's deadline
constexpr auto bar = 3s;      // for 95 % of the guarded writes that met a leader's death

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
}

enum class kind { put, guarded, read };
constexpr std::array<const char*, 3> kind_names = {"puts", "guarded writes", "reads"};
constexpr std::array<milliseconds, 3> timeouts = {3s, 8s, 5s};

struct operation {
    operation(kind what_, time_point begin_) : what(what_), begin(begin_) {}
    kind what;
    time_point begin;
    time_point end;
    std::string value;         // of a write: no other has it
    std::int64_t revision = 0; // of a write that was acknowledged
    std::uint64_t term = 0;
    std::string failed; // empty: done
    errc reason{};
};

struct kill {
    std::size_t member;
    bool led;
    std::uint64_t term; // in which the member led, or followed
    time_point when;
};

struct story {
    time_point until;
    std::string prefix;
    std::vector<operation> operations;
    std::vector<kill> kills;
    std::map<std::string, std::int64_t> written; // key -> revision of the last acknowledged put
    std::vector<std::string> stale;              // reads that did not see what had been acknowledged before them
};

// ---- the load -------------------------------------------------------------------------------------------------------------------

// Enough of a pause to leave the members their time: it is not their speed that is measured.
asio::awaitable<void> rest() {
    const auto executor = co_await asio::this_coro::executor;
    const auto later = clock_type::now() + 15ms;
    co_await detail::sleep_until(executor, environment::system(), later);
}

void failed(operation& one, const error& failure) {
    one.failed = failure.what();
    one.reason = failure.reason();
}

asio::awaitable<void> put(client c, std::string key, operation* one) {
    const call_options options{.timeout = timeouts[0]};
    try {
        const auto done = co_await c.put(key, one->value, options);
        one->revision = done.header.revision.value;
        one->term = done.header.raft_term;
    } catch (const error& failure) {
        failed(*one, failure);
    }
}

// Its key is its own: the compare holds until it has been executed.
asio::awaitable<void> write_guarded(client c, std::string key, operation* one) {
    const call_options options{.timeout = timeouts[1], .guarded = true};
    auto request = etcd::when(etcd::version(key) == 0).then(etcd::put(key, one->value)).otherwise(etcd::get(key));
    try {
        const auto done = co_await c.txn(std::move(request), options);
        one->term = done.header.raft_term;
        one->revision = done.header.revision.value;
        if (!done.succeeded) {
            const auto& found = std::get<etcd::range_response>(done.responses.at(0)).kvs.at(0);
            CHECK(found.value == one->value);
            one->revision = found.mod_revision.value;
        }
    } catch (const error& failure) {
        failed(*one, failure);
    }
}

asio::awaitable<void> read(client c, std::string key, std::int64_t at_least, operation* one, story* all) {
    const call_options options{.timeout = timeouts[2]};
    try {
        const auto found = co_await c.get(key, options);
        if (!found || found->mod_revision.value < at_least) all->stale.push_back(key + " was not seen at revision " + std::to_string(at_least));
    } catch (const error& failure) {
        failed(*one, failure);
    }
}

asio::awaitable<void> work(client c, story* all, kind what, int worker) {
    std::mt19937_64 random(static_cast<std::uint64_t>(worker));
    for (int i = 0; clock_type::now() < all->until; ++i) {
        const auto name = std::to_string(worker) + "/" + std::to_string(i);
        operation one(what, clock_type::now());
        one.value = name;
        if (what == kind::put) {
            const auto key = all->prefix + "put/" + std::to_string(worker) + "/" + std::to_string(i % 20);
            co_await put(c, key, &one);
            if (one.revision != 0) all->written[key] = one.revision;
        } else if (what == kind::guarded) {
            co_await write_guarded(c, all->prefix + "once/" + name, &one);
        } else if (!all->written.empty()) {
            const auto any = std::next(all->written.begin(), static_cast<std::ptrdiff_t>(random() % all->written.size()));
            co_await read(c, any->first, any->second, &one, all);
        }
        one.end = clock_type::now();
        all->operations.push_back(std::move(one));
        co_await rest();
    }
}

// ---- the killer -----------------------------------------------------------------------------------------------------------------

// Returns when all members follow one leader: the last one that was killed has come back.
asio::awaitable<std::size_t> whole_again(client c, etcd_cluster* cluster, std::uint64_t* term) {
    for (;;) {
        std::size_t agreed = 0;
        std::optional<std::size_t> leader;
        std::uint64_t latest = 0;
        for (std::size_t i = 0; i < cluster->size(); ++i) {
            const auto endpoint = cluster->member(i).endpoint();
            const call_options options{.timeout = 10s};
            const auto status = co_await etcd::maintenance(c).status(endpoint, options);
            agreed = status.raft_term == latest && status.leader.value != 0 ? agreed + 1 : 1;
            latest = status.raft_term;
            if (status.leader.value == status.header.member_id) leader = i;
        }
        *term = latest;
        if (leader && agreed == cluster->size()) co_return *leader;
        co_await rest();
    }
}

// A kill every 5 s, the next start half of that later. Half of them meet the leader, the first one does.
asio::awaitable<void> kill_and_restart(client c, etcd_cluster* cluster, story* all, std::uint64_t seed) {
    const auto executor = co_await asio::this_coro::executor;
    std::mt19937_64 random(seed);
    for (auto next = clock_type::now() + 2s; next + 3s < all->until; next += 5s) {
        co_await detail::sleep_until(executor, environment::system(), next);
        std::uint64_t term = 0;
        const auto leader = co_await whole_again(c, cluster, &term);
        const bool picks_leader = random() % 2 == 0 || all->kills.empty();
        const auto member = picks_leader ? leader : static_cast<std::size_t>(random() % cluster->size());
        cluster->member(member).kill();
        all->kills.push_back({member, member == leader, term, clock_type::now()});
        const auto restart = clock_type::now() + 2500ms;
        co_await detail::sleep_until(executor, environment::system(), restart);
        cluster->member(member).launch();
    }
}

asio::awaitable<void> follow(etcd::watch* changes, change_log* log) {
    while (!log->ended()) {
        const auto response = co_await changes->next();
        log->add(response);
    }
}

// ---- what came of it ------------------------------------------------------------------------------------------------------------

milliseconds took(const operation& one) { return std::chrono::duration_cast<milliseconds>(one.end - one.begin); }

// Guarded writes that were under way when a leader was killed, or begun before the first one of them that the next leader executed had ended.
std::vector<milliseconds> met_a_death(const story& all) {
    std::vector<milliseconds> times;
    for (const auto& death : all.kills) {
        if (!death.led) continue;
        auto over = time_point::max();
        for (const auto& one : all.operations)
            if (one.what == kind::guarded && one.end > death.when && one.term > death.term) over = std::min(over, one.end);
        for (const auto& one : all.operations)
            if (one.what == kind::guarded && one.end > death.when && one.begin <= over) times.push_back(took(one));
    }
    std::sort(times.begin(), times.end());
    return times;
}

milliseconds percentile(const std::vector<milliseconds>& sorted, std::size_t percent) {
    return sorted.empty() ? 0ms : sorted[(sorted.size() * percent + 99) / 100 - 1];
}

std::string report(const story& all) {
    std::ostringstream text;
    const auto led = std::count_if(all.kills.begin(), all.kills.end(), [](const kill& each) { return each.led; });
    text << all.operations.size() << " calls, " << all.kills.size() << " kills, " << led << " of them of the leader\n";
    for (const auto what : {kind::put, kind::guarded, kind::read}) {
        std::map<std::string, int> ends;
        auto longest = 0ms;
        for (const auto& one : all.operations) {
            if (one.what != what) continue;
            ++ends[one.failed.empty() ? "done" : std::string(make_error_code(one.reason).message())];
            longest = std::max(longest, took(one));
        }
        text << kind_names[static_cast<std::size_t>(what)] << ": ";
        for (const auto& [name, count] : ends) text << count << ' ' << name << ", ";
        text << "the longest " << longest.count() << " ms\n";
    }
    const auto times = met_a_death(all);
    text << times.size() << " guarded writes met a leader's death: p50 " << percentile(times, 50).count() << ", p95 " << percentile(times, 95).count()
         << ", longest " << percentile(times, 100).count() << " ms";
    return text.str();
}

// Every value is written by one call: it has to be there once, not at all, or either, as the call has ended.
void compare_with_history(const story& all, const std::vector<change>& history) {
    std::map<std::string, std::vector<std::int64_t>> found;
    for (const auto& each : history)
        if (!each.erased) found[each.value].push_back(each.revision);
    for (const auto& one : all.operations) {
        if (one.what == kind::read) continue;
        const auto& at = found[one.value];
        INFO(kind_names[static_cast<std::size_t>(one.what)] << ", " << one.value << ": " << (one.failed.empty() ? "done" : one.failed));
        CHECK(at.size() <= 1);
        if (one.failed.empty()) {
            CHECK(at == std::vector<std::int64_t>{one.revision});
        } else if (one.reason != errc::outcome_unknown) {
            CHECK(at.empty());
        }
    }
}

void check_times(const story& all) {
    for (const auto& one : all.operations) {
        if (took(one) <= timeouts[static_cast<std::size_t>(one.what)] + slack) continue;
        FAIL_CHECK("one of the " << kind_names[static_cast<std::size_t>(one.what)] << " took " << took(one).count() << " ms");
    }
    const auto times = met_a_death(all);
    CHECK(!times.empty());
    CHECK(percentile(times, 50) < 4s);
    if (setting("ETCDCOLL_CHAOS_SECONDS", 0) >= 60) CHECK(percentile(times, 95) <= bar);
}

asio::awaitable<void> chaos(etcd_cluster* cluster, std::chrono::seconds length, std::uint64_t seed) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(cluster->endpoints()));
    client direct(executor, quiet(cluster->endpoints(), 20s));
    story all;
    all.prefix = "chaos/";
    all.until = clock_type::now() + length;
    const auto first = co_await direct.put(all.prefix + "first", "first");
    const auto start = first.header.revision.value;
    auto changes = c.watch(etcd::watch_request(etcd::prefix(all.prefix), revision{start}));
    change_log log;
    crowd watcher(executor);
    watcher.add(follow(&changes, &log));
    crowd callers(executor);
    int worker = 0;
    for (int i = 0; i < 4; ++i) callers.add(work(c, &all, kind::put, ++worker));
    for (int i = 0; i < 12; ++i) callers.add(work(c, &all, kind::guarded, ++worker));
    for (int i = 0; i < 4; ++i) callers.add(work(c, &all, kind::read, ++worker));
    callers.add(kill_and_restart(direct, cluster, &all, seed));
    co_await callers.join();
    const auto end = co_await put_end(direct, all.prefix);
    co_await watcher.join();
    const auto history = co_await history_of(direct, all.prefix, start, end);

    const auto text = report(all);
    std::cout << "chaos, seed " << seed << ", " << length.count() << " s: " << text << '\n'
              << history.size() << " events, " << c.metrics().watch_reconnects << " times the watch's stream was opened again" << std::endl;
    compare_with_history(all, history);
    check_times(all);
    CHECK(all.stale == std::vector<std::string>());
    CHECK(log.fault() == "");
    CHECK(difference(log.all(), history, start, end) == "");
}

} // namespace

TEST_CASE("chaos: while members are killed one after the other, calls end on time and as they say, and a watch loses and repeats nothing") {
    const auto seed = setting("ETCDCOLL_CHAOS_SEED", std::random_device{}());
    const std::chrono::seconds length(setting("ETCDCOLL_CHAOS_SECONDS", 12));
    INFO("ETCDCOLL_CHAOS_SEED=" << seed);
    etcd_cluster cluster;
    run(chaos(&cluster, length, seed), length + std::chrono::seconds(60));
}
