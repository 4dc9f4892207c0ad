#include "in_memory_gateway_support.hpp"

#include <algorithm>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

std::int64_t count(const test_member& member) { return member.store.range(etcd::range_request(etcd::prefix(""))).count; }

std::string put(std::string key) { return post("/v3/kv/put", codec::encode(etcd::put_request(std::move(key), "1"))); }

} // namespace

TEST_CASE("in_memory gateway calls: one that is kept is answered when it is executed, and those behind it wait") {
    test_member member;
    member.holds = true;
    model::gateway_connection connection(member);
    connection.receive(put("a") + put("b"));
    CHECK(connection.take_output().empty());
    REQUIRE(member.held.size() == 1);
    CHECK(count(member) == 0);
    member.held[0]->execute();
    CHECK(count(member) == 1);
    auto text = connection.take_output();
    CHECK(take_reply(text).status == 200);
    CHECK(text.empty());
    REQUIRE(member.held.size() == 2);
    member.held[1]->execute();
    CHECK(count(member) == 2);
    CHECK_FALSE(connection.take_output().empty());
    member.held[0]->execute();
    CHECK(member.store.current().value == 3);
    CHECK(connection.take_output().empty());
}

TEST_CASE("in_memory gateway calls: one that was refused changes the store when it is executed late, and says nothing more") {
    test_member member;
    member.holds = true;
    model::gateway_connection connection(member);
    connection.receive(put("a") + put("b"));
    const auto first = member.held.at(0);
    first->refuse(14, "etcdserver: request timed out");
    auto text = connection.take_output();
    CHECK(refusal_of(take_reply(text)) == "14: etcdserver: request timed out (503)");
    first->refuse(14, "again");
    first->execute();
    CHECK(count(member) == 1);
    CHECK(connection.take_output().empty());
    first->execute();
    CHECK(member.store.current().value == 2);
    member.held.at(1)->execute();
    text = connection.take_output();
    CHECK(take_reply(text).status == 200);
}

TEST_CASE("in_memory gateway calls: those of a connection that is gone are executed all the same") {
    test_member member;
    member.holds = true;
    {
        model::gateway_connection connection(member);
        connection.on_output = [] { FAIL("nobody is there"); };
        connection.receive(put("a"));
    }
    {
        model::gateway_connection connection(member);
        connection.receive(put("b"));
        connection.receive_end();
        CHECK(connection.finished());
        member.held.at(1)->execute();
        CHECK(connection.take_output().empty());
    }
    member.held.at(0)->execute();
    CHECK(count(member) == 2);
}

TEST_CASE("in_memory gateway calls: a connection may be destroyed by what its answer sets off") {
    test_member member;
    auto connection = std::make_unique<model::gateway_connection>(member);
    connection->on_output = [&connection] { connection.reset(); };
    connection->receive(put("a") + put("b"));
    CHECK(connection == nullptr);
    CHECK(count(member) == 2);
}

TEST_CASE("in_memory gateway calls: what they are") {
    test_member member;
    member.holds = true;
    const auto admitted = [&member](std::string_view path, const std::string& body) {
        model::gateway_connection connection(member);
        connection.receive(post(path, body));
        REQUIRE_FALSE(member.held.empty());
        const auto call = member.held.back();
        CHECK(call->path() == path);
        return std::string(call->writes() ? "writes " : "") + (call->linearizable() ? "agreed" : "");
    };
    etcd::range_request local("a");
    local.serializable = true;
    CHECK(admitted("/v3/kv/range", codec::encode(etcd::range_request("a"))) == "agreed");
    CHECK(admitted("/v3/kv/range", codec::encode(local)).empty());
    CHECK(admitted("/v3/kv/put", codec::encode(etcd::put_request("a", "1"))) == "writes ");
    CHECK(admitted("/v3/kv/deleterange", codec::encode(etcd::delete_range_request("a"))) == "writes ");
    CHECK(admitted("/v3/kv/txn", codec::encode(etcd::when().then(local))).empty());
    CHECK(admitted("/v3/kv/txn", codec::encode(etcd::when().then(local, etcd::get("a")))) == "agreed");
    CHECK(admitted("/v3/kv/txn", codec::encode(etcd::when().then(local).otherwise(etcd::erase("a")))) == "writes ");
    CHECK(admitted("/v3/kv/compaction", codec::encode_compact({1}, false)) == "writes ");
    CHECK(admitted("/v3/lease/grant", codec::encode_lease_grant(std::chrono::seconds(5), {})) == "writes ");
    CHECK(admitted("/v3/lease/revoke", codec::encode_lease({5})) == "writes ");
    CHECK(admitted("/v3/lease/timetolive", codec::encode_lease({5})) == "agreed");
    CHECK(admitted("/v3/lease/keepalive", codec::encode_lease({5})) == "agreed");
    CHECK(admitted("/v3/lease/leases", "{}").empty());
    CHECK(admitted("/v3/maintenance/status", "{}").empty());
    CHECK(admitted("/v3/cluster/member/list", R"({"linearizable":true})") == "agreed");
}

TEST_CASE("in_memory gateway calls: each message of a keep-alive is one, and is answered at once on an open stream") {
    test_member member;
    member.store.grant(10, etcd::lease_id{7}, member.time);
    member.holds = true;
    model::gateway_connection connection(member);
    connection.receive(open_stream("/v3/lease/keepalive") + chunk(R"({"ID":7}{"ID":8})"));
    REQUIRE(member.held.size() == 1);
    CHECK(connection.take_output().empty());
    member.held[0]->execute();
    auto text = connection.take_output();
    auto reply = take_reply(text);
    CHECK(reply.status == 200);
    CHECK(reply.head.find("Connection: close\r\n") != std::string::npos);
    CHECK(reply.body == "{\"result\":{" + std::string(header_text) + "1\",\"raft_term\":\"2\"},\"ID\":\"7\",\"TTL\":\"10\"}}\n");
    REQUIRE(member.held.size() == 2);
    member.held[1]->execute();
    connection.receive(chunk(""));
    CHECK(connection.finished());
    text = connection.take_output();
    CHECK(text.ends_with("\"ID\":\"8\"}}\n\r\n0\r\n\r\n"));
}

TEST_CASE("in_memory gateway calls: a keep-alive that is refused ends with an error, in the stream where that has begun") {
    test_member member;
    member.holds = true;
    model::gateway_connection connection(member);
    connection.receive(post("/v3/lease/keepalive", R"({"ID":7})") + post("/v3/lease/keepalive", R"({"ID":7}{"ID":8}{"ID":9})"));
    member.held.at(0)->refuse(14, "etcdserver: request timed out");
    auto text = connection.take_output();
    auto reply = take_reply(text);
    CHECK(reply.complete);
    CHECK(refusal_of(reply) == "14: etcdserver: request timed out (503)");
    member.held.at(1)->execute();
    member.held.at(2)->refuse(14, "etcdserver: leader changed");
    CHECK(member.held.size() == 3);
    text = connection.take_output();
    reply = take_reply(text);
    CHECK(reply.status == 200);
    CHECK(reply.complete);
    CHECK(reply.body.ends_with(R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: leader changed","http_status":"Service Unavailable"}})"));
    member.holds = false;
    connection.receive(post("/v3/lease/leases", "{}"));
    text = connection.take_output();
    CHECK(take_reply(text).status == 200);
}
