// The servers that tests are run on keep their promises themselves.

#include <support/auth_etcd.hpp>
#include <support/etcd_cluster.hpp>
#include <support/tls_etcd.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace etcdcoll::test;
using etcdcoll::command::local_etcd;

namespace {

int put(const local_etcd& server, const http_access& access = {}) {
    return http_post(server.endpoint(), "/v3/kv/put", R"({"key":"aw==","value":"dg=="})", access).status;
}

http_access shown(const certificate_files& files) {
    http_access access;
    access.certificate = files.certificate;
    access.key = files.key;
    return access;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("etcd_cluster: goes on after its leader is killed, and takes it back with its data") {
    etcd_cluster cluster;
    CHECK(cluster.endpoints() == cluster.member(0).endpoint() + "," + cluster.member(1).endpoint() + "," + cluster.member(2).endpoint());
    for (std::size_t i = 0; i < 3; ++i) CHECK(put(cluster.member(i)) == 200);

    const auto first = cluster.leader();
    cluster.member(first).kill();
    const auto second = cluster.leader();
    CHECK(second != first);
    CHECK(cluster.follower() != second);
    CHECK(put(cluster.member(cluster.follower())) == 200);

    cluster.member(first).restart();
    CHECK(contains(http_post(cluster.member(first).endpoint(), "/v3/kv/range", R"({"key":"aw=="})").body, R"("version":"4")"));
}

TEST_CASE("etcd_cluster: a member can be launched before it has a majority, and serves when it has") {
    etcd_cluster cluster;
    const auto paused = cluster.leader();
    cluster.member(paused).pause();
    CHECK(cluster.leader() != paused);
    cluster.member(paused).resume();

    for (std::size_t i = 0; i < 3; ++i) cluster.member(i).kill();
    cluster.member(0).launch();
    CHECK(cluster.member(0).running());
    cluster.member(1).launch();
    cluster.member(0).wait_until_serving();
    cluster.member(1).wait_until_serving();
    CHECK(cluster.leader() < 2);
    CHECK(put(cluster.member(1)) == 200);
}

TEST_CASE("etcd_cluster: forms over TLS, with client certificates required") {
    certificate_authority authority;
    const auto client = shown(authority.issue(client_certificate()));
    etcd_cluster cluster(3, tls_etcd(authority, client_certificates::required), client);
    CHECK(contains(cluster.endpoints(), "https://127.0.0.1:"));
    cluster.member(cluster.leader()).kill();
    CHECK(put(cluster.member(cluster.leader()), client) == 200);
}

TEST_CASE("tls_etcd: refuses who shows no certificate, a stranger's or an expired one, where certificates are required") {
    certificate_authority authority;
    certificate_authority foreign;
    const local_etcd etcd(tls_etcd(authority, client_certificates::required));
    CHECK(put(etcd) == 0);
    CHECK(put(etcd, shown(foreign.issue(client_certificate()))) == 0);
    CHECK(put(etcd, shown(authority.issue(expired(client_certificate())))) == 0);
    CHECK(put(etcd, shown(authority.issue(client_certificate()))) == 200);
    CHECK(put(etcd, shown(authority.issue(client_certificate("someone")))) == 200);
}

TEST_CASE("tls_etcd: serves with an expired certificate, for a client to refuse, and with one of an authority below the root") {
    certificate_authority root("root");
    certificate_authority below("below", root);
    const local_etcd old(tls_etcd(root, client_certificates::not_asked, expired(server_certificate())));
    CHECK(put(old) == 200);
    const local_etcd etcd(tls_etcd(below));
    CHECK(put(etcd) == 200);
}

TEST_CASE("auth_etcd: answers who has logged in, and each only within its rights") {
    const auth_etcd etcd;
    const std::string inside = R"({"key":"YWxsb3dlZC9r","value":"dg=="})"; // allowed/k
    const std::string outside = R"({"key":"aw==","value":"dg=="})";
    const auto user = etcd.login(auth_etcd::user, auth_etcd::password);
    CHECK(etcd.post("/v3/kv/put", inside).status == 400);
    CHECK(etcd.post("/v3/kv/put", inside, user).status == 200);
    CHECK(etcd.post("/v3/kv/put", outside, user).status == 403);
    CHECK(etcd.post("/v3/kv/put", outside, etcd.login(auth_etcd::root, auth_etcd::root_password)).status == 200);
    CHECK_THROWS(etcd.login(auth_etcd::user, "wrong"));

    etcd.grant("k");
    CHECK(etcd.post("/v3/kv/put", outside, user).status == 200);
    etcd.revoke("k");
    CHECK(etcd.post("/v3/kv/put", outside, user).status == 403);
    etcd.change_password(auth_etcd::user, "another");
    CHECK_FALSE(etcd.login(auth_etcd::user, "another").empty());
    etcd.disable();
    CHECK(etcd.post("/v3/kv/put", outside).status == 200);
    etcd.enable();
    CHECK(etcd.post("/v3/kv/put", outside).status == 400);
}

TEST_CASE("auth_etcd: is to be had over TLS too") {
    certificate_authority authority;
    auth_etcd_options options;
    options.server = tls_etcd(authority, client_certificates::required);
    options.access = shown(authority.issue(client_certificate()));
    const auth_etcd etcd(options);
    CHECK_FALSE(etcd.login(auth_etcd::user, auth_etcd::password).empty());
}
