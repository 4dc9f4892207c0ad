#include "in_memory_gateway_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

const std::string create_a = codec::encode_create("a", 1, {});
const std::string create_b = codec::encode_create("b", 2, {});
constexpr std::string_view no_leader =
    R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}})";
constexpr std::string_view wants_leader = "Grpc-Metadata-HasLeader: true\r\nConnection: close\r\n";

} // namespace

TEST_CASE("in_memory gateway stream: a body that stays open is answered when it ends, unless the connection closes behind it") {
    test_member member;
    model::gateway_connection connection(member);
    connection.receive(open_stream("/v3/watch", "") + chunk(create_a));
    connection.receive(chunk(create_b));
    member.store.put({"a", "1"});
    connection.push();
    CHECK(connection.take_output().empty());
    CHECK(connection.watches());
    connection.receive(chunk(""));
    auto text = connection.take_output();
    const auto reply = take_reply(text);
    CHECK(reply.status == 200);
    CHECK(std::count(reply.body.begin(), reply.body.end(), '\n') == 3);
    CHECK_FALSE(reply.complete);
    member.store.put({"a", "2"});
    connection.push();
    CHECK_FALSE(connection.take_output().empty());
    connection.receive(post("/v3/kv/range", "{}"));
    CHECK(connection.take_output().empty());
}

TEST_CASE("in_memory gateway stream: a complete body of several creations works, and its watches go on") {
    test_member member;
    model::gateway_connection connection(member);
    int told = 0;
    connection.on_output = [&told] { ++told; };
    connection.receive(post("/v3/watch", create_a + "\n" + create_b));
    CHECK(told == 1);
    auto text = connection.take_output();
    const auto reply = take_reply(text);
    CHECK(std::count(reply.body.begin(), reply.body.end(), '\n') == 2);
    member.store.put({"b", "1"});
    connection.push();
    CHECK(told == 2);
    CHECK(connection.take_output().find("\"watch_id\":\"2\",\"events\"") != std::string::npos);
}

TEST_CASE("in_memory gateway stream: one that asks for a leader ends when that is lost, and no other") {
    test_member member;
    model::gateway_connection asking(member);
    model::gateway_connection silent(member);
    asking.receive(open_stream("/v3/watch", wants_leader) + chunk(create_a));
    silent.receive(open_stream("/v3/watch") + chunk(create_a));
    asking.take_output();
    silent.take_output();
    asking.lose_leader();
    silent.lose_leader();
    CHECK(asking.finished());
    CHECK_FALSE(asking.watches());
    CHECK(asking.take_output() == chunk(no_leader) + "0\r\n\r\n");
    CHECK_FALSE(silent.finished());
    CHECK(silent.take_output().empty());
    member.store.put({"a", "1"});
    asking.push();
    CHECK(asking.take_output().empty());
}

TEST_CASE("in_memory gateway stream: a member without a leader refuses it at once") {
    test_member member;
    member.led = false;
    model::gateway_connection asking(member);
    asking.receive(open_stream("/v3/watch", wants_leader));
    CHECK(asking.finished());
    auto text = asking.take_output();
    const auto reply = take_reply(text);
    CHECK(reply.status == 503);
    CHECK(reply.complete);
    CHECK(reply.body == no_leader);
    model::gateway_connection whole(member);
    whole.receive(post("/v3/watch", create_a, "Grpc-Metadata-hasleader: true\r\n") + post("/v3/maintenance/status", ""));
    text = whole.take_output();
    CHECK(take_reply(text).status == 503);
    CHECK(take_reply(text).status == 200);
}

TEST_CASE("in_memory gateway stream: a leader that is lost before the first message ends it with its status") {
    test_member member;
    model::gateway_connection connection(member);
    connection.receive(open_stream("/v3/watch", wants_leader));
    connection.lose_leader();
    auto text = connection.take_output();
    CHECK(take_reply(text).status == 503);
    CHECK(connection.finished());
}

TEST_CASE("in_memory gateway stream: the first message refuses it, a later one is passed over with all behind it") {
    test_member member;
    model::gateway_connection bad(member);
    bad.receive(open_stream("/v3/watch") + chunk(R"({"create_request":{"key":"*"}})"));
    auto text = bad.take_output();
    CHECK(refusal_of(take_reply(text)) == "2: illegal base64 data at input byte 0 (500)");
    CHECK(bad.finished());
    model::gateway_connection late(member);
    late.receive(open_stream("/v3/watch") + chunk(create_a + ",") + chunk(create_b));
    text = late.take_output();
    const auto reply = take_reply(text);
    CHECK(std::count(reply.body.begin(), reply.body.end(), '\n') == 1);
    member.store.put({"a", "1"});
    late.push();
    CHECK_FALSE(late.take_output().empty());
}

TEST_CASE("in_memory gateway stream: the end of what the client sends ends its watches") {
    test_member member;
    model::gateway_connection connection(member);
    connection.receive(open_stream("/v3/watch") + chunk(create_a));
    connection.take_output();
    connection.receive_end();
    CHECK(connection.take_output() ==
          chunk(R"({"error":{"grpc_code":1,"http_code":408,"message":"context canceled","http_status":"Request Timeout"}})") + "0\r\n\r\n");
    CHECK(connection.finished());
    model::gateway_connection idle(member);
    idle.receive_end();
    CHECK(idle.finished());
}

TEST_CASE("in_memory gateway stream: the event of a put goes out before the put's own answer") {
    test_member member;
    model::gateway_connection watching(member);
    model::gateway_connection putting(member);
    std::string order;
    watching.on_output = [&order] { order += "event "; };
    putting.on_output = [&order] { order += "answer "; };
    watching.receive(open_stream("/v3/watch") + chunk(create_a));
    order.clear();
    member.store.on_change = [&] {
        watching.push();
        putting.push();
    };
    putting.receive(post("/v3/kv/put", codec::encode(etcd::put_request("a", "1"))));
    CHECK(order == "event answer ");
}
