// Exchanges cut after every byte: what the client says of each, and what etcd then holds.
#include "support.hpp"

#include <support/auth_etcd.hpp>

#include <cstdio>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::lease_id;
using etcd::revision;

namespace {

// Draws numbers of one length only, so that all requests of a kind have one, too; and each but once.
class even_numbers final : public environment {
public:
    even_numbers() : next_(100'000'000'000'000'000u + 1'000'000'000'000u * ++made) {}
    time_point now() const noexcept override { return inner_->now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return inner_->wall_clock(); }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return inner_->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override { return inner_->make_stream(executor); }
    std::uint64_t random() noexcept override { return 4 * ++next_; } // a drawn lease is odd, one of the test even

private:
    static inline std::uint64_t made = 0;
    std::shared_ptr<environment> inner_ = environment::system();
    std::uint64_t next_;
};

// "k00042"
std::string numbered(std::size_t number) {
    char text[16];
    std::snprintf(text, sizeof text, "k%05zu", number);
    return text;
}

enum class kind { put, txn, guarded, erase, range, grant, keep_alive, revoke };

const char* path_of(kind what) {
    switch (what) {
    case kind::put: return "/v3/kv/put";
    case kind::txn:
    case kind::guarded: return "/v3/kv/txn";
    case kind::erase: return "/v3/kv/deleterange";
    case kind::range: return "/v3/kv/range";
    case kind::grant: return "/v3/lease/grant";
    case kind::keep_alive: return "/v3/lease/keepalive";
    case kind::revoke: return "/v3/lease/revoke";
    }
    return "";
}

bool once(kind what) { return what == kind::put || what == kind::txn || what == kind::erase; }

// What a call works on: a key of its own, a lease of its own (of the grant: the one that it gets).
struct subject {
    std::string key;
    lease_id lease;
};

asio::awaitable<void> make_ready(kind what, client direct, subject on) {
    if (what == kind::erase || what == kind::range) {
        const auto put = co_await direct.put(on.key, "v");
        CHECK(put.header.revision.value > 0);
    }
    if (what == kind::keep_alive || what == kind::revoke) {
        const auto granted = co_await direct.lease_grant(600s, on.lease);
        CHECK(granted.id == on.lease);
    }
}

asio::awaitable<void> call(kind what, client c, subject* on) {
    const auto key = on->key;
    auto request = etcd::when(etcd::version(key) == 0).then(etcd::put(key, "v"));
    const call_options options{.guarded = what == kind::guarded};
    switch (what) {
    case kind::put: {
        const auto reply = co_await c.put(key, "v");
        CHECK(reply.header.revision.value > 0);
        break;
    }
    case kind::txn:
    case kind::guarded: {
        const auto reply = co_await c.txn(std::move(request), options);
        CHECK(reply.header.revision.value > 0);
        break;
    }
    case kind::erase: {
        const auto reply = co_await c.delete_range(key);
        CHECK(reply.deleted == 1);
        break;
    }
    case kind::range: {
        const auto reply = co_await c.range(etcd::range_request(key));
        REQUIRE(reply.kvs.size() == 1);
        CHECK(reply.kvs[0].value == "v");
        break;
    }
    case kind::grant: {
        const auto reply = co_await c.lease_grant(600s);
        CHECK(reply.ttl == 600s);
        on->lease = reply.id;
        break;
    }
    case kind::keep_alive: {
        const auto reply = co_await c.lease_keep_alive(on->lease);
        CHECK(reply.id == on->lease);
        CHECK(reply.ttl == 600s);
        break;
    }
    case kind::revoke: {
        const auto reply = co_await c.lease_revoke(on->lease);
        static_cast<void>(reply); // without a header, where only the first attempt found the lease
        break;
    }
    }
}

// Whether etcd has done it; once and no more.
asio::awaitable<bool> done_once(kind what, client direct, subject on) {
    if (what == kind::grant || what == kind::keep_alive || what == kind::revoke) {
        const auto left = co_await direct.lease_time_to_live(on.lease);
        if (what == kind::revoke) co_return left.ttl == -1s;
        co_return left.granted_ttl == 600s;
    }
    const auto found = co_await direct.get(on.key);
    if (found) CHECK(found->version == 1);
    co_return found.has_value() != (what == kind::erase);
}

// One of eight coroutines, which share the cuts; each goes through a proxy of its own.
asio::awaitable<void> every_cut(std::string p, kind what, close_how how, int lane, std::size_t stride) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    const auto numbers = std::make_shared<even_numbers>();
    client c(executor, quiet(proxy.endpoint()).system(numbers));
    client direct(executor, quiet(test_etcd().endpoint()));
    std::size_t number = static_cast<std::size_t>(lane) * 10'000;
    const auto next = [&] { return subject{p + numbered(number++), lease_id{static_cast<std::int64_t>(numbers->random())}}; };

    auto whole = next();
    co_await make_ready(what, direct, whole);
    co_await call(what, c, &whole);
    const auto request = proxy.last_request_size();
    const auto response = proxy.last_response_size();
    REQUIRE(request > 100);
    REQUIRE(response > 100);

    for (std::size_t at = static_cast<std::size_t>(lane) * stride; at <= request + response; at += 8 * stride) {
        const bool in_request = at < request;
        const auto after = in_request ? at : at - request;
        auto on = next();
        co_await make_ready(what, direct, on);
        fault_rule rule(path_of(what));
        if (in_request) rule.cut_request_after(after, how);
        if (!in_request) rule.cut_response_after(after, how);
        const auto id = proxy.add(rule);
        const auto before = c.metrics().attempts;
        auto calling = call(what, c, &on);
        const auto end = co_await ending_of(std::move(calling));
        const auto attempts = c.metrics().attempts - before;
        proxy.remove(id);
        const bool done = co_await done_once(what, direct, on);
        INFO((in_request ? "request" : "response") << " cut after byte " << after << " of " << (in_request ? request : response) << ": " << end.what);
        CHECK(proxy.hits(id) == 1);
        // At its end the response may be whole, or, where its revision has got a digit more, still one byte short.
        const bool torn = in_request || after < response;
        if (once(what)) {
            CHECK(attempts == 1);
            CHECK((end.reason == errc::outcome_unknown || (!torn && end.what.empty())));
            CHECK(done == !in_request);
        } else {
            CHECK(end.what == "");
            CHECK((attempts == 2 || (!torn && attempts == 1)));
            CHECK((done || what == kind::range));
        }
    }
}

// `stride` 1: after every byte.
void cut_everywhere(kind what, close_how how, std::size_t stride) {
    const auto p = unique_prefix() + (how == close_how::fin ? "f/" : "r/");
    const auto own = [&](int lane) { return every_cut(p, what, how, lane, stride); };
    run_ranks(8, own, 120s);
}

// ---- logins ---------------------------------------------------------------------------------------------------------------------

// A client of its own for each: its first call logs in, with this many requests.
asio::awaitable<void> log_in(auth_etcd* etcd, fault_proxy* proxy, std::uint64_t requests) {
    const auto executor = co_await asio::this_coro::executor;
    const auto before = proxy->requests("/v3/auth/authenticate");
    client c(executor, quiet(proxy->endpoint()).user(auth_etcd::user, auth_etcd::password));
    auto reading = c.get(etcd->prefix() + "k");
    const auto end = co_await ending_of(std::move(reading));
    CHECK(end.what == "");
    CHECK(proxy->requests("/v3/auth/authenticate") == before + requests);
    CHECK(c.metrics().logins == 1);
}

asio::awaitable<void> every_login_cut(auth_etcd* etcd, close_how how, int lane, std::size_t stride) {
    auto proxy = proxy_of(etcd->server());
    co_await log_in(etcd, &proxy, 1);
    const auto request = proxy.last_request_size("/v3/auth/authenticate");
    const auto response = proxy.last_response_size("/v3/auth/authenticate");
    REQUIRE(request > 100);
    REQUIRE(response > 100);
    for (std::size_t at = static_cast<std::size_t>(lane) * stride; at < request + response; at += 8 * stride) {
        fault_rule rule("/v3/auth/authenticate");
        if (at < request) rule.cut_request_after(at, how);
        if (at >= request) rule.cut_response_after(at - request, how);
        const auto id = proxy.add(rule);
        INFO("login cut after byte " << at << " of " << request << " + " << response);
        co_await log_in(etcd, &proxy, 2);
        CHECK(proxy.hits(id) == 1);
        proxy.remove(id);
    }
}

void cut_login_everywhere(auth_etcd& etcd, close_how how, std::size_t stride) {
    const auto own = [&](int lane) { return every_login_cut(&etcd, how, lane, stride); };
    run_ranks(8, own, 120s);
}

// ---- watches --------------------------------------------------------------------------------------------------------------------

asio::awaitable<std::vector<std::string>> next_events(etcd::watch* from, std::size_t n) {
    std::vector<std::string> seen;
    while (seen.size() < n) {
        const auto response = co_await from->next();
        for (const auto& e : response.events) seen.push_back(e.kv.key + "=" + e.kv.value);
    }
    co_return seen;
}

asio::awaitable<revision> write(client direct, std::string key) {
    const auto reply = co_await direct.put(key, "v");
    co_return reply.header.revision;
}

struct stream_size {
    std::size_t request = 0;
    std::size_t response = 0;
};

// Three events of the past, then one of the present. Returns what the stream has taken for those of the past, where it was not cut.
asio::awaitable<stream_size> watched(client direct, fault_proxy* proxy, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    const auto start = co_await write(direct, p + "0");
    co_await write(direct, p + "1");
    co_await write(direct, p + "2");
    client c(executor, quiet(proxy->endpoint()));
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), start));
    const auto past = co_await next_events(&changes, 3);
    CHECK(past == std::vector<std::string>{p + "0=v", p + "1=v", p + "2=v"});
    const auto last = proxy->log().back();
    co_await write(direct, p + "3");
    const auto now = co_await next_events(&changes, 1);
    CHECK(now == std::vector<std::string>{p + "3=v"});
    CHECK(c.metrics().watch_events == 4);
    CHECK(c.metrics().watch_repeats == 0);
    CHECK(c.metrics().watch_streams <= 2);
    co_return stream_size{last.request_bytes, last.response_bytes};
}

// etcd looks for the past ten times a second only, so there are many of these at once.
constexpr int watchers = 32;

asio::awaitable<void> every_watch_cut(std::string p, bool in_request, close_how how, int lane, std::size_t stride) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    std::size_t number = 0;
    const auto size = co_await watched(direct, &proxy, p + numbered(number++) + "/");
    REQUIRE(size.request > 100);
    REQUIRE(size.response > 500);
    const auto end = in_request ? size.request : size.response;
    for (std::size_t after = static_cast<std::size_t>(lane) * stride; after < end; after += watchers * stride) {
        fault_rule rule("/v3/watch");
        if (in_request) rule.cut_request_after(after, how);
        if (!in_request) rule.cut_response_after(after, how);
        const auto id = proxy.add(rule);
        INFO((in_request ? "request" : "stream") << " cut after byte " << after << " of " << end);
        co_await watched(direct, &proxy, p + numbered(number++) + "/");
        CHECK(proxy.hits(id) == 1);
        proxy.remove(id);
    }
    CHECK(proxy.totals().cuts + 1 >= number - 1);
}

void cut_watch_everywhere(bool in_request, close_how how, std::size_t stride) {
    const auto p = unique_prefix();
    const auto own = [&](int lane) { return every_watch_cut(p + std::to_string(lane) + "/", in_request, how, lane, stride); };
    run_ranks(watchers, own, 120s);
}

} // namespace

TEST_CASE("cut: a put cut after any byte is applied whole or not at all, and its fate told") {
    cut_everywhere(kind::put, close_how::fin, 1);
    cut_everywhere(kind::put, close_how::rst, 3);
}
TEST_CASE("cut: a deletion cut after any byte is applied whole or not at all, and its fate told") {
    cut_everywhere(kind::erase, close_how::fin, 1);
    cut_everywhere(kind::erase, close_how::rst, 3);
}
TEST_CASE("cut: a transaction cut after any byte is applied whole or not at all, and its fate told") {
    cut_everywhere(kind::txn, close_how::fin, 1);
    cut_everywhere(kind::txn, close_how::rst, 3);
}
TEST_CASE("cut: a guarded transaction cut after any byte is applied exactly once") {
    cut_everywhere(kind::guarded, close_how::rst, 1);
    cut_everywhere(kind::guarded, close_how::fin, 3);
}
TEST_CASE("cut: a read cut after any byte is repeated") {
    cut_everywhere(kind::range, close_how::fin, 1);
    cut_everywhere(kind::range, close_how::rst, 3);
}
TEST_CASE("cut: a lease whose grant is cut after any byte is granted once") {
    cut_everywhere(kind::grant, close_how::fin, 1);
    cut_everywhere(kind::grant, close_how::rst, 3);
}
TEST_CASE("cut: a keep-alive cut after any byte is repeated") {
    cut_everywhere(kind::keep_alive, close_how::fin, 1);
    cut_everywhere(kind::keep_alive, close_how::rst, 3);
}
TEST_CASE("cut: a lease whose revocation is cut after any byte is gone, and that is no error") {
    cut_everywhere(kind::revoke, close_how::fin, 1);
    cut_everywhere(kind::revoke, close_how::rst, 3);
}
TEST_CASE("cut: a login cut after any byte is repeated") {
    auth_etcd etcd;
    cut_login_everywhere(etcd, close_how::fin, 1);
    cut_login_everywhere(etcd, close_how::rst, 3);
}
TEST_CASE("cut: a watch whose request is cut after any byte loses and repeats nothing") {
    cut_watch_everywhere(true, close_how::fin, 1);
    cut_watch_everywhere(true, close_how::rst, 3);
}
TEST_CASE("cut: a watch whose stream is cut after any byte loses and repeats nothing") { cut_watch_everywhere(false, close_how::fin, 1); }
TEST_CASE("cut: a watch whose stream is reset after any byte loses and repeats nothing") { cut_watch_everywhere(false, close_how::rst, 3); }
