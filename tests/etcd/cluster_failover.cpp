// A client of three members while one or two of them are killed or stopped, with calls and a watch under way.
#include "support.hpp"

#include <support/etcd_cluster.hpp>
#include <support/history.hpp>

#include <algorithm>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

using clock_type = std::chrono::steady_clock;
using std::chrono::milliseconds;

milliseconds since(clock_type::time_point begin) { return std::chrono::duration_cast<milliseconds>(clock_type::now() - begin); }

etcd_cluster& shared_cluster() {
    static etcd_cluster cluster;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
        auto& each = cluster.member(i);
        if (!each.running()) each.restart();
        if (each.paused()) each.resume();
        each.wait_until_serving();
    }
    return cluster;
}

// `first`, and those behind it.
std::string endpoints_from(etcd_cluster& cluster, std::size_t first, std::size_t count = 3) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + cluster.member((first + i) % cluster.size()).endpoint();
    return list;
}

// Hears the log lines of a client, which may still speak when the last handle has gone.
class listener {
public:
    explicit listener(const asio::any_io_executor& executor) : heard_(std::make_shared<record>(executor)) {}
    logger log() {
        return logger(log_level::info, [heard = heard_](log_level, std::string_view line) {
            heard->lines.emplace_back(line);
            heard->more.notify_all();
        });
    }
    asio::awaitable<void> until(std::string part, std::size_t times = 1) {
        const auto has = [&part](const std::string& line) { return contains(line, part); };
        while (static_cast<std::size_t>(std::count_if(heard_->lines.begin(), heard_->lines.end(), has)) < times) co_await heard_->more.wait();
    }

private:
    struct record {
        explicit record(const asio::any_io_executor& executor) : more(executor, environment::system()) {}
        detail::condition more;
        std::vector<std::string> lines;
    };
    std::shared_ptr<record> heard_;
};

// ---- calls under way ------------------------------------------------------------------------------------------------------------

struct load {
    bool struck = false;
    std::vector<milliseconds> writes;
    std::vector<milliseconds> reads;
    static constexpr int afterwards = 20; // calls that each still makes once it has happened
};

etcd::txn_request once(const std::string& key) { return etcd::when(etcd::version(key) == 0).then(etcd::put(key, "v")).otherwise(etcd::get(key)); }

asio::awaitable<void> write_guarded(client c, std::string p, load* all) {
    const call_options guarded{.guarded = true};
    for (int i = 0, left = load::afterwards; left != 0; ++i) {
        if (all->struck) --left;
        const auto begin = clock_type::now();
        auto request = once(p + std::to_string(i));
        const auto done = co_await c.txn(std::move(request), guarded);
        CHECK(done.header.revision.value > 0);
        all->writes.push_back(since(begin));
    }
}

asio::awaitable<void> read_own(client c, std::string p, load* all) {
    for (int left = load::afterwards; left != 0;) {
        if (all->struck) --left;
        const auto begin = clock_type::now();
        const auto found = co_await c.get(p + "0");
        CHECK((!found || found->version == 1));
        all->reads.push_back(since(begin));
    }
}

// Elections take 1 to 2 s, and that again when votes are split.
struct expectation {
    milliseconds calls;
    milliseconds watch;
};

using blow = void (command::local_etcd::*)();

// The client begins with the endpoint `at`; `learns`: it is given that one only.
asio::awaitable<void> strike(etcd_cluster* cluster, std::size_t victim, blow falls, std::size_t at, bool learns, std::string p, expectation within) {
    const auto executor = co_await asio::this_coro::executor;
    listener heard(executor);
    auto options = quiet(endpoints_from(*cluster, at, learns ? 1 : 3));
    if (learns) options.refresh_endpoints(1ms).log(heard.log());
    client c(executor, options);
    client direct(executor, quiet(endpoints_from(*cluster, victim + 1, 2)));
    const auto first = co_await direct.put(p + "first", "");
    const auto start = first.header.revision.value;
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{start}));
    change_log log;
    load all;
    crowd callers(executor);
    for (int i = 0; i < 6; ++i) callers.add(write_guarded(c, p + std::to_string(i) + "/", &all));
    for (int i = 0; i < 2; ++i) callers.add(read_own(c, p + std::to_string(i) + "/", &all));
    if (learns) co_await heard.until(": a new member", 2);
    while (log.all().size() < 100) {
        const auto response = co_await changes.next();
        log.add(response);
    }
    (cluster->member(victim).*falls)();
    all.struck = true;
    const auto begin = clock_type::now();
    const call_options guarded{.guarded = true};
    auto mark = once(p + "mark");
    const auto marked = co_await direct.txn(std::move(mark), guarded);
    co_await read_until(&changes, &log, marked.header.revision.value);
    CHECK(since(begin) < within.watch);

    co_await callers.join();
    const auto end = co_await put_end(direct, p);
    co_await read_until(&changes, &log, end);
    const auto history = co_await history_of(direct, p, start, end);
    CHECK(log.fault() == "");
    CHECK(difference(log.all(), history, start, end) == "");
    CHECK(*std::max_element(all.writes.begin(), all.writes.end()) < within.calls);
    CHECK(*std::max_element(all.reads.begin(), all.reads.end()) < within.calls);
}

// ---- a member without a leader --------------------------------------------------------------------------------------------------

asio::awaitable<void> loses_its_leader(etcd_cluster* cluster, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const auto alone = cluster->follower();
    auto& second = cluster->member((alone + 1) % 3);
    auto& third = cluster->member((alone + 2) % 3);
    listener heard(executor);
    auto options = quiet(endpoints_from(*cluster, alone));
    options.log(heard.log());
    client c(executor, options);
    const auto first = co_await c.put(p + "k", "1");
    const auto start = first.header.revision.value;
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{start}));
    change_log log;
    co_await read_until(&changes, &log, start);

    second.pause();
    third.pause();
    const auto lost = clock_type::now();
    co_await heard.until("watch: " + cluster->member(alone).endpoint() + ": etcdserver: no leader");
    CHECK(since(lost) < 6s);
    const call_options brief{.timeout = 1s};
    auto reading = c.get(p + "k", brief);
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.what != "");
    CHECK(read.took < 1200ms);

    second.resume();
    third.resume();
    client direct(executor, quiet(endpoints_from(*cluster, alone + 1, 2)));
    const call_options guarded{.guarded = true};
    auto mark = once(p + "mark");
    const auto begin = clock_type::now();
    const auto marked = co_await direct.txn(std::move(mark), guarded);
    co_await read_until(&changes, &log, marked.header.revision.value);
    CHECK(since(begin) < 6s);
    CHECK(log.fault() == "");
    CHECK(log.all().size() == 2);
}

} // namespace

TEST_CASE("failover: a follower that is killed costs calls less than a second, and a watch nothing") {
    auto& cluster = shared_cluster();
    const auto victim = cluster.follower();
    run(strike(&cluster, victim, &command::local_etcd::kill, victim, false, unique_prefix(), {1s, 2s}));
}
TEST_CASE("failover: a client given one member, which is killed, goes on with those that it has learned") {
    auto& cluster = shared_cluster();
    const auto victim = cluster.follower();
    run(strike(&cluster, victim, &command::local_etcd::kill, victim, true, unique_prefix(), {1s, 2s}));
}
TEST_CASE("failover: a follower that is stopped costs calls one attempt, and a watch less than 6 s") {
    auto& cluster = shared_cluster();
    const auto victim = cluster.follower();
    run(strike(&cluster, victim, &command::local_etcd::pause, victim, false, unique_prefix(), {2500ms, 6s}));
}
TEST_CASE("failover: when the leader is killed calls wait for the next one, and a watch goes on within 6 s") {
    auto& cluster = shared_cluster();
    const auto victim = cluster.leader();
    run(strike(&cluster, victim, &command::local_etcd::kill, victim, false, unique_prefix(), {6s, 6s}));
}
TEST_CASE("failover: when the leader is stopped calls through another member wait for the next one, and a watch there goes on") {
    auto& cluster = shared_cluster();
    const auto victim = cluster.leader();
    run(strike(&cluster, victim, &command::local_etcd::pause, victim + 1, false, unique_prefix(), {6s, 6s}));
}
TEST_CASE("failover: a watch at a member that has lost its leader ends there within 6 s, and goes on when there is a majority again") {
    auto& cluster = shared_cluster();
    run(loses_its_leader(&cluster, unique_prefix()), std::chrono::seconds(60));
}
