// https: what is trusted, what is refused, and what the refusals say.
#include "support.hpp"

#include <support/tls_etcd.hpp>

#include <boost/asio/io_context.hpp>

#include <fstream>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

client_options secured(const command::local_etcd& etcd, const tls_options& tls, duration timeout = 8s) { return quiet(etcd.endpoint(), timeout).tls(tls); }

tls_options trusting(const certificate_authority& authority) { return tls_options().ca_file(authority.trusted().string()); }

asio::awaitable<ending> first_put(client_options options) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, options);
    auto writing = c.put("k", "v");
    auto end = co_await ending_of(std::move(writing));
    co_return end;
}

// A put is known not to be done when the handshake fails, and it is not tried until the deadline: nothing would change.
asio::awaitable<void> refused(client_options options, std::string says) {
    const auto end = co_await first_put(options);
    INFO(end.what);
    CHECK(end.reason == errc::tls_failed);
    CHECK(contains(end.what, says));
    CHECK(contains(end.what, "put \"k\": https://"));
    CHECK(end.took < 3s);
}

// etcd closes a plain port without a word. One that is on its way down does so too: so it is tried again, and the error says what it may be.
asio::awaitable<void> closes_in_the_handshake(client_options options) {
    const auto end = co_await first_put(options);
    INFO(end.what);
    CHECK(end.reason == errc::connection_failed);
    CHECK(contains(end.what, "the server closed the connection in the TLS handshake: if the port is one of plain HTTP, write http://"));
    CHECK(end.took < 3s);
}

asio::awaitable<void> everything_works(client_options options, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, options);
    auto seen = c.watch(etcd::watch_request(etcd::prefix(p), etcd::revision{1}));
    const std::string large(1'000'000, 'x');
    const auto written = co_await c.put(p + "large", large);
    CHECK(written.header.revision);
    const auto read = co_await c.get(p + "large");
    REQUIRE(read);
    CHECK(read->value == large);
    const auto lease = co_await c.lease_grant(60s);
    const auto kept = co_await c.lease_keep_alive(lease.id);
    CHECK(kept.ttl == 60s);
    auto second = c.watch(etcd::watch_request(p + "later", written.header.revision)); // sent on the open stream, while it is read
    const auto later = co_await c.put(p + "later", "1");
    for (int i = 0; i < 100; ++i) {
        const auto one = co_await c.put(p + "k" + std::to_string(i), std::to_string(i));
        CHECK(one.header.revision);
    }
    const auto event = co_await second.next();
    CHECK(event.events.at(0).kv.mod_revision == later.header.revision);
    std::size_t events = 0;
    while (events < 102) {
        const auto response = co_await seen.next();
        events += response.events.size();
    }
    CHECK(events == 102);
    CHECK(c.metrics().connects <= 3); // kept: one for calls, one for watches, and at most one more
}

asio::awaitable<void> many_calls(client_options options, std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, options);
    for (int i = 0; i < 200; ++i) {
        const auto one = co_await c.put(p + "k", std::string(static_cast<std::size_t>(i) * 977, 'y'));
        CHECK(one.header.revision);
        const auto back = co_await c.get(p + "k");
        REQUIRE(back);
        CHECK(back->value.size() == static_cast<std::size_t>(i) * 977);
    }
}

asio::awaitable<void> watch_fails(client_options options) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, options);
    auto seen = c.watch("k");
    auto waiting = seen.next();
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == errc::tls_failed);
    CHECK(contains(end.what, "authority"));
}

errc refusal(const client_options& options, std::string* says) {
    asio::io_context io;
    try {
        client c(io.get_executor(), options);
    } catch (const error& failure) {
        *says = failure.what();
        return failure.reason();
    }
    return {};
}

} // namespace

TEST_CASE("tls: calls and watches work over https, with a CA file") {
    certificate_authority authority;
    command::local_etcd etcd(tls_etcd(authority));
    run(everything_works(secured(etcd, trusting(authority)), "a/"));
    run(many_calls(secured(etcd, trusting(authority)), "b/"));
}

TEST_CASE("tls: the chain of an intermediate authority is followed to its root") {
    certificate_authority root("root");
    certificate_authority between("between", root);
    command::local_etcd etcd(tls_etcd(between));
    run(everything_works(secured(etcd, trusting(root)), "a/"));
}

TEST_CASE("tls: an authority that is not trusted is named, and a put is known not to be done") {
    certificate_authority authority("a stranger");
    certificate_authority other("other");
    command::local_etcd etcd(tls_etcd(authority));
    run(refused(secured(etcd, trusting(other)), "not trusted here"));
    run(refused(secured(etcd, trusting(other)), "a stranger"));
    run(refused(secured(etcd, trusting(other)), "tls_options::ca_file"));
    run(refused(quiet(etcd.endpoint()), "not trusted here")); // the system's authorities
    run(watch_fails(secured(etcd, trusting(other))));
}

TEST_CASE("tls: verification can be switched off, and only then is any certificate taken") {
    certificate_authority authority;
    command::local_etcd etcd(tls_etcd(authority, client_certificates::not_asked, expired(server_certificate())));
    run(everything_works(secured(etcd, tls_options().insecure_skip_verify()), "a/"));
}

TEST_CASE("tls: a certificate that has expired, or is not valid yet, is told so with its date") {
    certificate_authority authority;
    {
        command::local_etcd etcd(tls_etcd(authority, client_certificates::not_asked, expired(server_certificate())));
        run(refused(secured(etcd, trusting(authority)), "the server's certificate has expired (on "));
    }
    command::local_etcd etcd(tls_etcd(authority, client_certificates::not_asked, not_yet_valid(server_certificate())));
    run(refused(secured(etcd, trusting(authority)), "the server's certificate is not valid yet (before "));
}

TEST_CASE("tls: a certificate for another name is refused, naming both, and accepted under a server name that it has") {
    certificate_authority authority;
    auto request = server_certificate();
    request.ips.clear();
    request.names = {"etcd.example.org"};
    command::local_etcd etcd(tls_etcd(authority, client_certificates::not_asked, request));
    run(refused(secured(etcd, trusting(authority)), "it is for etcd.example.org, not for 127.0.0.1"));
    run(everything_works(secured(etcd, trusting(authority).server_name("etcd.example.org")), "a/"));
    run(refused(secured(etcd, trusting(authority).server_name("other.example.org")), "not for other.example.org"));
}

TEST_CASE("tls: a client certificate is shown where it is wanted") {
    certificate_authority authority;
    command::local_etcd etcd(tls_etcd(authority, client_certificates::required));
    const auto own = authority.issue(client_certificate());
    run(everything_works(secured(etcd, trusting(authority).certificate(own.certificate.string(), own.key.string())), "a/"));
}

TEST_CASE("tls: a server that wants a client certificate, or another one, is told so; nothing was executed") {
    certificate_authority authority;
    certificate_authority other("other");
    command::local_etcd etcd(tls_etcd(authority, client_certificates::required));
    run(refused(secured(etcd, trusting(authority)), "the server wants a client certificate: give one with tls_options::certificate"));
    const auto foreign = other.issue(client_certificate());
    run(refused(secured(etcd, trusting(authority).certificate(foreign.certificate.string(), foreign.key.string())), "does not take the client certificate"));
    auto unfit = client_certificate();
    unfit.client_use = false;
    unfit.server_use = true;
    const auto wrong = authority.issue(unfit);
    run(refused(secured(etcd, trusting(authority).certificate(wrong.certificate.string(), wrong.key.string())), "does not take the client certificate"));
}

TEST_CASE("tls: http to a TLS port and https to a plain one say what to write") {
    certificate_authority authority;
    command::local_etcd secure(tls_etcd(authority));
    auto plain = secure.endpoint();
    plain.erase(4, 1); // http
    const auto to_tls = [&]() -> asio::awaitable<void> {
        const auto end = co_await first_put(quiet(plain, 1s));
        CHECK(end.what != "");
    };
    run(to_tls());
    auto endpoint = test_etcd().endpoint();
    endpoint.insert(4, "s");
    run(closes_in_the_handshake(quiet(endpoint, 2s).tls(trusting(authority))));
}

TEST_CASE("tls: files that cannot be used are refused when the client is made, naming the file") {
    certificate_authority authority;
    const auto own = authority.issue(client_certificate());
    const auto other = authority.issue(client_certificate());
    std::string says;
    CHECK(refusal(quiet("https://h").tls(tls_options().ca_file("/no/such/ca.pem")), &says) == errc::invalid_argument);
    CHECK(contains(says, "/no/such/ca.pem"));
    const auto garbage = authority.directory() / "garbage.pem";
    std::ofstream(garbage) << "not a certificate";
    CHECK(refusal(quiet("https://h").tls(tls_options().ca_file(garbage.string())), &says) == errc::invalid_argument);
    CHECK(contains(says, "garbage.pem"));
    CHECK(refusal(quiet("https://h").tls(trusting(authority).certificate(own.certificate.string(), "")), &says) == errc::invalid_argument);
    CHECK(contains(says, "both"));
    CHECK(refusal(quiet("https://h").tls(trusting(authority).certificate(own.certificate.string(), other.key.string())), &says) == errc::invalid_argument);
    CHECK(contains(says, other.key.string()));
}
