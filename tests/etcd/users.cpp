// A client that logs in: one token for all of its calls, renewed when it has to be, and no secret in what it says.
#include "support.hpp"

#include <support/auth_etcd.hpp>
#include <support/tls_etcd.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <atomic>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

client_options as_user(const std::string& endpoint) { return quiet(endpoint).user(auth_etcd::user, auth_etcd::password); }

asio::awaitable<void> one_put(client* c, std::string key, int* done) {
    const auto written = co_await c->put(key, "v");
    CHECK(written.header.revision);
    ++*done;
}

void put_at_once(const asio::any_io_executor& executor, client& c, const std::string& prefix, int calls, int& done) {
    for (int i = 0; i < calls; ++i) asio::co_spawn(executor, one_put(&c, prefix + std::to_string(i), &done), asio::detached);
}

asio::awaitable<void> logs_in_once(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, as_user(etcd->endpoint()));
    const auto first = co_await c.put(etcd->prefix() + "k", "v");
    CHECK(first.header.revision);
    const auto found = co_await c.get(etcd->prefix() + "k");
    CHECK(found);
    CHECK(c.metrics().logins == 1);
    auto elsewhere = c.put("elsewhere", "v");
    const auto denied = co_await ending_of(std::move(elsewhere));
    CHECK(denied.reason == errc::permission_denied);
    CHECK(c.metrics().logins == 1);
}

asio::awaitable<void> without_user(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint()));
    auto writing = c.put(etcd->prefix() + "k", "v");
    const auto refused = co_await ending_of(std::move(writing));
    CHECK(refused.reason == errc::unauthenticated);
    CHECK(refused.context.attempts == 1);
    auto seen = c.watch(etcd->prefix() + "k");
    auto waiting = seen.next();
    const auto watched = co_await ending_of(std::move(waiting));
    CHECK(watched.reason == errc::unauthenticated);
}

asio::awaitable<void> wrong_password(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(etcd->endpoint()).user(auth_etcd::user, "wrong-secret"));
    auto writing = c.put(etcd->prefix() + "k", "v");
    const auto refused = co_await ending_of(std::move(writing));
    CHECK(refused.reason == errc::unauthenticated);
    CHECK(contains(refused.what, "authenticate \"user\": " + etcd->endpoint()));
    CHECK(contains(refused.what, "authentication failed"));
    CHECK(!contains(refused.what, "wrong-secret"));
    auto seen = c.watch(etcd->prefix() + "k");
    auto waiting = seen.next();
    const auto watched = co_await ending_of(std::move(waiting));
    CHECK(watched.reason == errc::unauthenticated);
    CHECK(!contains(watched.what, "wrong-secret"));
}

// etcd forgets its tokens in a restart without a peer to keep them, when an account changes, or when they are unused for too long.
asio::awaitable<void> renews_once(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, as_user(etcd->endpoint()));
    const auto first = co_await c.put(etcd->prefix() + "k", "v");
    CHECK(first.header.revision);
    etcd->change_password(auth_etcd::user, auth_etcd::password); // ends the user's tokens
    constexpr int calls = 64;
    int done = 0;
    put_at_once(executor, c, etcd->prefix(), calls, done);
    auto seen = c.watch(etcd::watch_request(etcd::prefix(etcd->prefix()), etcd::revision{first.header.revision.value + 1}));
    std::size_t events = 0;
    while (events < calls) {
        const auto response = co_await seen.next();
        events += response.events.size();
    }
    CHECK(events == calls);
    const auto after = co_await c.get(etcd->prefix() + "k");
    CHECK(after);
    CHECK(done == calls);
    CHECK(c.metrics().logins == 2);
    CHECK(c.metrics().failures == 0);
}

// A stream's token is that of its opening: a watch that is added after it has expired is created on another stream.
asio::awaitable<void> watch_added_after_expiry(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, as_user(etcd->endpoint()));
    auto first = c.watch(etcd::watch_request(etcd->prefix() + "a", etcd::revision{1})); // of a server of its own
    const auto one = co_await c.put(etcd->prefix() + "a", "1");
    const auto event = co_await first.next();
    CHECK(event.events.at(0).kv.mod_revision == one.header.revision);
    etcd->change_password(auth_etcd::user, auth_etcd::password);
    auto second = c.watch(etcd::watch_request(etcd->prefix() + "b", etcd::revision{one.header.revision.value + 1}));
    const auto two = co_await c.put(etcd->prefix() + "b", "2");
    const auto later = co_await second.next();
    CHECK(later.events.at(0).kv.mod_revision == two.header.revision);
    const auto three = co_await c.put(etcd->prefix() + "a", "3");
    const auto again = co_await first.next();
    CHECK(again.events.at(0).kv.mod_revision == three.header.revision);
    CHECK(c.metrics().logins <= 3);
}

asio::awaitable<void> switched_off_and_on(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, as_user(etcd->endpoint()));
    etcd->disable();
    const auto off = co_await c.put("anywhere", "v"); // never logged in: etcd says that it knows no users
    CHECK(off.header.revision);
    etcd->enable();
    const auto on = co_await c.put(etcd->prefix() + "k", "v");
    CHECK(on.header.revision);
    etcd->disable();
    const auto again = co_await c.put("anywhere", "v"); // with a token that is of no use any more: 3.4 answers 401
    CHECK(again.header.revision);
    etcd->enable();
}

asio::awaitable<void> deleted_user(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, as_user(etcd->endpoint()));
    const auto first = co_await c.put(etcd->prefix() + "k", "v");
    CHECK(first.header.revision);
    etcd->as_root("/v3/auth/user/delete", R"({"name":"user"})");
    auto writing = c.put(etcd->prefix() + "k", "v");
    const auto refused = co_await ending_of(std::move(writing));
    CHECK(refused.reason == errc::unauthenticated);
    CHECK(refused.took < 3s);
}

asio::awaitable<void> tls_and_password(client_options options, std::string prefix, bool common_name) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, options);
    auto writing = c.put(prefix + "k", "v");
    const auto end = co_await ending_of(std::move(writing));
    INFO(end.what);
    if (!common_name) CHECK(end.what == "");
    if (common_name) {
        CHECK(end.reason == errc::unauthenticated);
        CHECK(contains(end.what, "no client certificate with a CommonName"));
    }
}

// Everything that can be said is said, with two secrets in play: the password, and the token.
asio::awaitable<void> chatter(auth_etcd* etcd, std::string* said) {
    const auto executor = co_await asio::this_coro::executor;
    const std::string canary = "c4nary-pa55word";
    etcd->change_password(auth_etcd::user, canary);
    fault_proxy proxy("127.0.0.1", etcd->server().client_port());
    auto options = quiet(proxy.endpoint(), 2s);
    options.user(auth_etcd::user, canary).log(logger(log_level::trace, [said](log_level, std::string_view line) { said->append(line).append("\n"); }));
    options.on_call([said](const call_report& report) { said->append(report.call).append(report.endpoint).append("\n"); });
    client c(executor, options);
    proxy.add(fault_rule("/v3/auth/authenticate").drop_reply());
    proxy.add(fault_rule("/v3/auth/authenticate").skip(1).reply_with("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
    auto seen = c.watch(etcd::watch_request(etcd->prefix() + "k", etcd::revision{1})); // of a server of its own
    for (const auto* key : {"k", "../not allowed"}) {
        auto writing = c.put(etcd->prefix() + key, "v");
        const auto end = co_await ending_of(std::move(writing));
        said->append(end.what).append("\n").append(end.context.server_message).append(end.context.key).append("\n");
    }
    const auto event = co_await seen.next();
    CHECK(event.events.size() == 1);
    etcd->change_password(auth_etcd::user, "changed");
    proxy.cut_all(close_how::rst);
    auto writing = c.put(etcd->prefix() + "k", "v");
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.reason == errc::unauthenticated);
    said->append(end.what).append("\n").append(prometheus_text(c.metrics()));
    auto waiting = seen.next();
    const auto watched = co_await ending_of(std::move(waiting));
    CHECK(watched.reason == errc::unauthenticated);
    said->append(watched.what).append("\n");
    CHECK(!contains(*said, canary));
    CHECK(!contains(*said, "Authorization"));
    CHECK(contains(*said, "authenticate"));
}

} // namespace

TEST_CASE("user: a client logs in once, and is held to the user's rights") {
    auth_etcd etcd;
    run(logs_in_once(&etcd));
    run(without_user(&etcd));
    run(wrong_password(&etcd));
}

TEST_CASE("user: a token that etcd takes no more is renewed once, however many calls meet it") {
    auth_etcd etcd;
    run(renews_once(&etcd));
    run(watch_added_after_expiry(&etcd));
    run(deleted_user(&etcd));
}

TEST_CASE("user: a client with a user works while authentication is off, and after it is switched on") {
    auth_etcd etcd;
    run(switched_off_and_on(&etcd));
}

TEST_CASE("user: TLS and a password together; a certificate with a CommonName is refused, saying so") {
    certificate_authority authority;
    auth_etcd_options options;
    options.server = tls_etcd(authority, client_certificates::required);
    const auto setting_up = authority.issue(client_certificate());
    options.access.certificate = setting_up.certificate;
    options.access.key = setting_up.key;
    auth_etcd etcd(options);
    const auto bare = authority.issue(client_certificate());
    const auto named = authority.issue(client_certificate("user"));
    const auto trust = tls_options().ca_file(authority.trusted().string());
    run(tls_and_password(as_user(etcd.endpoint()).tls(tls_options(trust).certificate(bare.certificate.string(), bare.key.string())), etcd.prefix(), false));
    run(tls_and_password(as_user(etcd.endpoint()).tls(tls_options(trust).certificate(named.certificate.string(), named.key.string())), etcd.prefix(), true));
}

TEST_CASE("user: no secret is in a log line, an error or a metric, at the most talkative level") {
    auth_etcd etcd;
    std::string said;
    run(chatter(&etcd, &said));
}
