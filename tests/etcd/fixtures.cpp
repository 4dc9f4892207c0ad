// The servers that tests are run on keep their promises themselves.

#include <support/etcd_cluster.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace etcdcoll::test;

namespace {

int put(const etcdcoll::command::local_etcd& server, const http_access& access = {}) {
    return http_post(server.endpoint(), "/v3/kv/put", R"({"key":"aw==","value":"dg=="})", access).status;
}

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
    CHECK(http_post(cluster.member(first).endpoint(), "/v3/kv/range", R"({"key":"aw=="})").body.find("\"version\":\"4\"") != std::string::npos);
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
