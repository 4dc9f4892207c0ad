// What a client says of a write whose exchange was disturbed, and what etcd then holds.
#include "support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

asio::awaitable<void> put_without_reply(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto warm = co_await c.put(p + "k", "0");
    CHECK(warm.header.revision.value > 0);
    const auto rule = proxy.add(fault_rule("/v3/kv/put").drop_reply());
    auto writing = c.put(p + "k", "1");
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.reason == errc::outcome_unknown);
    CHECK(end.context.attempts == 1);
    CHECK(contains(end.what, "put \"" + p + "k\": http://" + proxy.endpoint()));
    CHECK(proxy.hits(rule) == 1);
    const auto found = co_await direct.get(p + "k");
    REQUIRE(found);
    CHECK(found->version == 2);
}

asio::awaitable<void> guarded_txn_without_reply(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/kv/txn").times(3).drop_reply());
    auto once = etcd::when(etcd::version(p + "k") == 0).then(etcd::put(p + "k", "mine")).otherwise(etcd::get(p + "k"));
    const call_options guarded{.guarded = true};
    const auto done = co_await c.txn(once, guarded);
    CHECK(!done.succeeded);
    REQUIRE(done.responses.size() == 1);
    const auto& own = std::get<etcd::range_response>(done.responses[0]).kvs.at(0);
    CHECK(own.value == "mine");
    CHECK(own.version == 1);
    CHECK(c.metrics().attempts == 4);

    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    auto bare = c.txn(etcd::when().then(etcd::put(p + "k", "again")));
    const auto unknown = co_await ending_of(std::move(bare));
    CHECK(unknown.reason == errc::outcome_unknown);
}

asio::awaitable<void> lease_without_reply() {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/lease/grant").drop_reply());
    proxy.add(fault_rule("/v3/lease/revoke").drop_reply());
    const auto granted = co_await c.lease_grant(60s);
    CHECK(granted.id);
    CHECK(granted.ttl == 60s);
    const auto left = co_await c.lease_time_to_live(granted.id);
    CHECK(left.granted_ttl == 60s);
    auto revoking = c.lease_revoke(granted.id);
    const auto revoked = co_await ending_of(std::move(revoking));
    CHECK(revoked.what == "");
    const auto gone = co_await c.lease_time_to_live(granted.id);
    CHECK(gone.ttl == -1s);
    CHECK(proxy.requests("/v3/lease/grant") == 2);
    CHECK(proxy.requests("/v3/lease/revoke") == 2);
}

asio::awaitable<void> wrong_words(std::string p, std::string reply, bool written) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/kv/put").reply_with(reply));
    proxy.add(fault_rule("/v3/kv/range").reply_with(reply));
    auto writing = c.put(p + "k", "v");
    const auto end = co_await ending_of(std::move(writing));
    INFO(reply << " -> " << end.what);
    CHECK(end.reason == (written ? errc::outcome_unknown : errc::unsupported));
    auto reading = c.get(p + "k");
    const auto read = co_await ending_of(std::move(reading));
    CHECK(read.what == (written ? "" : read.what));
    CHECK(c.metrics().attempts == (written ? 3 : 2));
}

// A port that never was etcd's gateway has executed nothing, and says the same the next time.
asio::awaitable<void> wrong_port(std::string p, std::string reply, std::string hint) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/kv/put").reply_with(reply));
    auto writing = c.put(p + "k", "v");
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.reason == errc::bad_reply);
    CHECK(contains(end.what, hint));
    CHECK(end.context.attempts == 1);
    const auto written = co_await c.put(p + "k", "v"); // a connection that has spoken HTTP
    CHECK(written.header.revision);
    proxy.add(fault_rule("/v3/kv/put").reply_with(reply));
    auto again = c.put(p + "k", "v");
    const auto unknown = co_await ending_of(std::move(again));
    CHECK(unknown.reason == errc::outcome_unknown);
}

std::string http_reply(const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

TEST_CASE("client: a put whose reply is lost has an unknown outcome, and is not repeated") { run(put_without_reply(unique_prefix())); }
TEST_CASE("client: a guarded transaction is repeated until its reply comes, and counts once") { run(guarded_txn_without_reply(unique_prefix())); }
TEST_CASE("client: a lease whose reply is lost is granted once and revoked without an error") { run(lease_without_reply()); }

TEST_CASE("client: a port that speaks HTTP/2 only, or TLS, is named, and a write to it is known not to be done") {
    run(wrong_port(unique_prefix(), std::string("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", 15), "speaks HTTP/2 only: use the address of etcd's --listen-client-http-urls"));
    run(wrong_port(unique_prefix(), std::string("\x15\x03\x01\0\x02\x02\x46", 7), "speaks TLS: write https://"));
}

TEST_CASE("client: what is no whole reply of etcd leaves a write unknown and has a read repeated") {
    run(wrong_words(unique_prefix(), http_reply("200 OK", "{}"), true));
    run(wrong_words(unique_prefix(), http_reply("200 OK", R"({"header":{"cluster_id":"1","raft_term":"2"}})"), true));
    run(wrong_words(unique_prefix(), http_reply("200 OK", "<html>login</html>"), true));
    run(wrong_words(unique_prefix(), http_reply("204 No Content", ""), true));
    run(wrong_words(unique_prefix(), http_reply("302 Found", ""), true));
    run(wrong_words(unique_prefix(), http_reply("502 Bad Gateway", "<html>"), true));
    run(wrong_words(unique_prefix(), http_reply("503 Service Unavailable", R"({"code":14,"message":"etcdserver: request timed out"})"), true));
    run(wrong_words(unique_prefix(), http_reply("404 Not Found", "404 page not found\n"), false));
}
