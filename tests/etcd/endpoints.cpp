// Lists of endpoints: dead ones, names, IPv6, and members that come and go.
#include "support.hpp"
#include "versions.hpp"

#include <support/deaf_listener.hpp>
#include <support/etcd_cluster.hpp>

#include <catch2/catch_message.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

#include <dlfcn.h>
#include <netdb.h>

using namespace etcdcoll;
using namespace etcdcoll::test;
using command::local_etcd;
using command::local_etcd_options;

// Names with two addresses in a known order, which no machine's own configuration is sure to have.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) noexcept {
    using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    const std::string_view asked = name == nullptr ? "" : name;
    if (asked != "six-then-four.test" && asked != "four-then-six.test") return real(name, service, hints, found);
    const bool six_first = asked == "six-then-four.test";
    if (const int failed = real(six_first ? "::1" : "127.0.0.1", service, hints, found); failed != 0) return failed;
    auto** last = found;
    while (*last != nullptr) last = &(*last)->ai_next;
    return real(six_first ? "127.0.0.1" : "::1", service, hints, last);
}

namespace {

std::string port_of(const local_etcd& etcd) { return std::to_string(etcd.client_port()); }

// What a client says of its calls and of its endpoints.
class witness {
public:
    // The client's own calls may end after the last handle has gone: they hold what they write to.
    client_options& watch(client_options& options) {
        options.on_call([heard = heard_](const call_report& report) { heard->calls.push_back(std::string(report.call) + " " + std::string(report.endpoint)); });
        return options.log(logger(log_level::info, [heard = heard_](log_level, std::string_view line) { heard->lines.emplace_back(line); }));
    }

    bool heard(const std::string& line) const { return std::count(heard_->lines.begin(), heard_->lines.end(), line) != 0; }
    std::string last_call() const { return heard_->calls.empty() ? "" : heard_->calls.back(); }

private:
    struct record {
        std::vector<std::string> lines;
        std::vector<std::string> calls;
    };
    std::shared_ptr<record> heard_ = std::make_shared<record>();
};

// ---- dead endpoints -------------------------------------------------------------------------------------------------------------

asio::awaitable<void> first_calls(std::string dead_ones, std::string p, std::chrono::milliseconds limit) {
    const auto executor = co_await asio::this_coro::executor;
    const auto list = dead_ones + "," + test_etcd().endpoint();
    client writer(executor, quiet(list));
    auto writing = writer.put(p + "k", "v");
    const auto written = co_await ending_of(std::move(writing));
    CHECK(written.what == "");
    CHECK(written.took < limit);
    client reader(executor, quiet(list));
    auto reading = reader.get(p + "k");
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.what == "");
    CHECK(read.took < limit);
    auto again = reader.get(p + "k");
    const auto next = co_await ending_of(std::move(again));
    CHECK(next.what == "");
    CHECK(next.took < 300ms);
    CHECK(reader.metrics().attempts == 4);
}

asio::awaitable<void> first_event(std::string dead_ones, std::string p, std::chrono::milliseconds limit) {
    const auto executor = co_await asio::this_coro::executor;
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto put = co_await direct.put(p + "k", "v");
    client c(executor, quiet(dead_ones + "," + test_etcd().endpoint()));
    auto changes = c.watch(etcd::watch_request(p + "k", put.header.revision));
    const auto begin = std::chrono::steady_clock::now();
    const auto seen = co_await changes.next();
    CHECK(seen.events.size() == 1);
    CHECK(std::chrono::steady_clock::now() - begin < limit);
}

// A read is made again elsewhere after attempt_timeout; a write that was sent to a member that then says nothing has to wait for its answer.
asio::awaitable<void> silent_ones(std::string dead_ones, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto options = quiet(dead_ones + "," + test_etcd().endpoint());
    options.attempt_timeout(200ms);
    client c(executor, options);
    auto reading = c.get(p + "k");
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.what == "");
    CHECK(read.took >= 400ms);
    CHECK(read.took < 1s);
    const auto written = co_await c.put(p + "k", "v");
    CHECK(written.header.revision.value > 0);
    CHECK(c.metrics().attempts == 4);
}

// ---- addresses ------------------------------------------------------------------------------------------------------------------

asio::awaitable<void> works_through(std::string list, std::string p) {
    INFO(list);
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(list));
    const auto put = co_await c.put(p + "k", "v");
    auto changes = c.watch(etcd::watch_request(p + "k", put.header.revision));
    const auto seen = co_await changes.next();
    CHECK(seen.events.size() == 1);
    CHECK(c.metrics().attempts == 1);
}

asio::awaitable<void> works_within(std::string list, std::chrono::milliseconds limit) {
    INFO(list);
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(list));
    auto writing = c.put("k", "v");
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.what == "");
    CHECK(end.took < limit);
}

asio::awaitable<void> wrong_port_named(std::string grpc_port, std::string http_port) {
    const auto executor = co_await asio::this_coro::executor;
    const std::string hint = "http://" + grpc_port + ": this port speaks HTTP/2 only: use the address of etcd's --listen-client-http-urls";
    client c(executor, quiet(grpc_port));
    auto writing = c.put("k", "v");
    const auto written = co_await ending_of(std::move(writing));
    CHECK(written.what == "put \"k\": " + hint);
    CHECK(written.reason == errc::bad_reply);
    CHECK(written.took < 1s);
    auto changes = c.watch("k");
    auto waiting = changes.next();
    const auto ended = co_await ending_of(std::move(waiting));
    CHECK(ended.what == "watch: " + hint);
    client both(executor, quiet(grpc_port + "," + http_port));
    const auto put = co_await both.put("k", "v"); // nothing was executed there, so the put goes on to the next
    CHECK(put.header.revision.value > 0);
}

// ---- members that are learned ---------------------------------------------------------------------------------------------------

client_options learning(const std::string& endpoints, duration interval) { return quiet(endpoints).refresh_endpoints(interval); }

// What is learned, and when, follows calls.
asio::awaitable<void> reads_until(client c, const witness* seen, std::string line) {
    while (!seen->heard(line)) {
        const auto found = co_await c.get("k");
        CHECK((!found || found->version > 0));
    }
}

asio::awaitable<void> learns_the_others(etcd_cluster* cluster) {
    const auto executor = co_await asio::this_coro::executor;
    witness seen;
    auto options = learning(cluster->member(0).endpoint(), 1ms);
    client c(executor, seen.watch(options));
    const auto put = co_await c.put("k", "1");
    auto changes = c.watch(etcd::watch_request("k", put.header.revision));
    const auto first = co_await changes.next();
    CHECK(first.events.size() == 1);
    co_await reads_until(c, &seen, cluster->member(1).endpoint() + ": a new member"); // members tell of themselves after they have begun to serve
    co_await reads_until(c, &seen, cluster->member(2).endpoint() + ": a new member");

    cluster->member(0).kill();
    auto reading = c.get("k");
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.what == "");
    CHECK(read.took < 5s);
    const auto again = co_await c.put("k", "2");
    const auto second = co_await changes.next();
    REQUIRE(second.events.size() == 1);
    CHECK(second.events[0].kv.mod_revision == again.header.revision);
    CHECK(seen.last_call() != "put " + cluster->member(0).endpoint());
}

asio::awaitable<void> comes_and_goes(local_etcd* first, local_etcd* second) {
    const auto executor = co_await asio::this_coro::executor;
    witness seen;
    auto options = learning(first->endpoint(), 1ms);
    client c(executor, seen.watch(options));
    const auto alone = co_await c.get("k");
    CHECK(!alone);

    const auto added = http_post(first->endpoint(), "/v3/cluster/member/add", R"({"peerURLs":[")" + second->peer_url() + R"("]})");
    REQUIRE(added.status == 200);
    second->launch();
    second->wait_until_serving();
    co_await reads_until(c, &seen, second->endpoint() + ": a new member");

    const auto id = nlohmann::json::parse(added.body).at("member").at("ID").get<std::string>();
    const auto removed = http_post(first->endpoint(), "/v3/cluster/member/remove", R"({"ID":")" + id + R"("})");
    REQUIRE(removed.status == 200);
    co_await reads_until(c, &seen, second->endpoint() + ": not a member any more");
    for (int i = 0; i < 5; ++i) {
        const auto put = co_await c.put("k", "v");
        CHECK(put.header.revision.value > 0);
        CHECK(seen.last_call() == "put " + first->endpoint());
    }
}

asio::awaitable<void> given_stay(local_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    const auto given = "http://localhost:" + port_of(*etcd);
    witness seen;
    auto options = learning(given, 1ms);
    client c(executor, seen.watch(options));
    co_await reads_until(c, &seen, etcd->endpoint() + ": a new member");
    for (int i = 0; i < 20; ++i) {
        const auto found = co_await c.get("k");
        CHECK(!found);
    }
    CHECK(!seen.heard(given + ": not a member any more"));
    CHECK((seen.last_call() == "range " + given || seen.last_call() == "member_list " + given));
}

// Of the member's own state: it answers that whoever leads.
asio::awaitable<void> read_alone(client c) {
    etcd::range_request request("k");
    request.serializable = true;
    const auto found = co_await c.range(request);
    CHECK(found.count == 0);
}

asio::awaitable<void> failed_is_last(etcd_cluster* cluster) {
    const auto executor = co_await asio::this_coro::executor;
    witness seen;
    auto options = quiet(cluster->endpoints());
    client c(executor, seen.watch(options));
    const auto from = [&](std::size_t i) { return "range " + cluster->member(i).endpoint(); };
    co_await read_alone(c);
    CHECK(seen.last_call() == from(0));
    cluster->member(0).kill();
    co_await read_alone(c);
    CHECK(seen.last_call() == from(1));
    cluster->member(0).restart();
    co_await read_alone(c);
    CHECK(seen.last_call() == from(1)); // it works, so there it stays
    cluster->member(1).kill();
    co_await read_alone(c);
    CHECK(seen.last_call() == from(2)); // the one that never failed
    cluster->member(1).restart();
    cluster->member(2).kill();
    co_await read_alone(c);
    CHECK(seen.last_call() == from(0)); // whose failure is oldest
}

std::string free_url() {
    local_etcd_options options;
    options.start = false;
    return local_etcd(options).endpoint();
}

} // namespace

TEST_CASE("endpoints: two of three that refuse cost the first call less than a second") {
    fault_proxy a;
    fault_proxy b;
    a.refuse();
    b.refuse();
    run(first_calls(a.endpoint() + "," + b.endpoint(), unique_prefix(), 500ms));
    run(first_event(a.endpoint() + "," + b.endpoint(), unique_prefix(), 1s));
}

TEST_CASE("endpoints: two of three that cannot be reached cost the first call less than a second") {
    const deaf_listener a;
    const deaf_listener b;
    run(first_calls(a.endpoint() + "," + b.endpoint(), unique_prefix(), 1s));
    run(first_event(a.endpoint() + "," + b.endpoint(), unique_prefix(), 3s));
}

TEST_CASE("endpoints: two of three that accept and say nothing cost a read two attempts") {
    fault_proxy a;
    fault_proxy b;
    a.black_hole();
    b.black_hole();
    run(silent_ones(a.endpoint() + "," + b.endpoint(), unique_prefix()));
}

TEST_CASE("endpoints: an IPv6 address works, alone and in a list") {
    if (!has_ipv6_loopback()) SKIP("this machine has no IPv6 loopback address");
    local_etcd_options options;
    options.host = "::1";
    local_etcd etcd(options);
    fault_proxy dead;
    dead.refuse();
    CHECK(etcd.endpoint() == "http://[::1]:" + port_of(etcd));
    run(works_through("http://[::1]:" + port_of(etcd), unique_prefix()));
    run(works_through("[::1]:" + port_of(etcd), unique_prefix()));
    run(works_within("http://" + dead.endpoint() + ",http://[::1]:" + port_of(etcd) + "/", 500ms));
}

TEST_CASE("endpoints: of a name with several addresses, the one that answers is found") {
    if (!has_ipv6_loopback()) SKIP("this machine has no IPv6 loopback address");
    local_etcd_options options;
    options.host = "::1";
    local_etcd six(options);
    local_etcd four;
    for (const std::string name : {"six-then-four.test", "four-then-six.test", "localhost"}) {
        run(works_through(name + ":" + port_of(four), unique_prefix()));
        if (name != "localhost") run(works_through(name + ":" + port_of(six), unique_prefix()));
    }
    const deaf_listener in_front("::1", four.client_port());
    run(works_within("six-then-four.test:" + port_of(four), 1s));
    fault_proxy dead;
    dead.refuse();
    run(works_within("six-then-four.test:" + port_of(four) + "," + dead.endpoint(), 2s));
}

TEST_CASE("endpoints: lists may have schemes, blanks and slashes") {
    const auto& etcd = test_etcd();
    const auto bare = "127.0.0.1:" + port_of(etcd);
    for (const auto& list : {"http://" + bare, bare, " http://" + bare + "/ , http://localhost:" + port_of(etcd), bare + "," + bare})
        run(works_through(list, unique_prefix()));
}

TEST_CASE("endpoints: a port that speaks HTTP/2 only is named with what to use instead, and left for another") {
    if (!etcd_is_at_least(5)) SKIP("etcd " + command::etcd_version() + " has no --listen-client-http-urls; set ETCDCOLL_ETCD to a newer one");
    const auto http_url = free_url();
    local_etcd_options options;
    options.arguments.push_back("--listen-client-http-urls=" + http_url);
    local_etcd etcd(options);
    run(wrong_port_named("127.0.0.1:" + port_of(etcd), http_url.substr(7)));
}

TEST_CASE("endpoints: a client given one member learns the others, and goes on when that one is killed") {
    etcd_cluster cluster;
    run(learns_the_others(&cluster));
}

TEST_CASE("endpoints: a member that joins is taken in, one that is removed is left out") {
    local_etcd_options options;
    options.start = false;
    local_etcd first(options);
    local_etcd second(options);
    const std::vector<std::string> lax = {"--strict-reconfig-check=false", "--name=first", "--initial-cluster=first=" + first.peer_url()};
    first.add_arguments(lax);
    first.launch();
    first.wait_until_serving();
    const std::vector<std::string> joining = {"--strict-reconfig-check=false", "--name=second", "--initial-cluster-state=existing",
                                              "--initial-cluster=first=" + first.peer_url() + ",second=" + second.peer_url()};
    second.add_arguments(joining);
    run(comes_and_goes(&first, &second));
}

TEST_CASE("endpoints: those that were given stay, whatever the members call themselves") {
    local_etcd etcd;
    run(given_stay(&etcd));
}

TEST_CASE("endpoints: a member that failed is tried last") {
    etcd_cluster cluster;
    run(failed_is_last(&cluster), std::chrono::seconds(60));
}
