#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <variant>

using namespace etcdcoll::etcd;

namespace {

const std::string header = R"("header":{"cluster_id":"10164733486537286275","member_id":"10722043876776841145","revision":"6","raft_term":"2"})";

template <class Reply> Reply decoded(const std::string& text) {
    Reply reply;
    codec::decode(text, reply);
    return reply;
}

/// True if the text is refused as a reply of each kind.
bool refused(const std::string& text) {
    const auto throws = [&text](auto reply) {
        try {
            codec::decode(text, reply);
            return false;
        } catch (const codec::bad_reply&) {
            return true;
        }
    };
    return throws(range_response()) && throws(put_response()) && throws(delete_range_response()) && throws(txn_response()) &&
           throws(lease_grant_response()) && throws(lease_keep_alive_response()) && throws(lease_revoke_response()) && throws(lease_time_to_live_response());
}

bool refused_range(const std::string& member) {
    try {
        decoded<range_response>("{" + header + "," + member + "}");
        return false;
    } catch (const codec::bad_reply&) {
        return true;
    }
}

} // namespace

TEST_CASE("codec: reads a range reply") {
    const auto reply = decoded<range_response>(
        "{" + header + R"(,"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"AP8=","lease":"-7"},{"key":"Yg=="}],"more":true,"count":"2"})");
    CHECK(reply.header.cluster_id == 10164733486537286275u);
    CHECK(reply.header.member_id == 10722043876776841145u);
    CHECK(reply.header.revision.value == 6);
    CHECK(reply.header.raft_term == 2);
    REQUIRE(reply.kvs.size() == 2);
    CHECK(reply.kvs[0].key == "a");
    CHECK(reply.kvs[0].value == std::string("\0\xff", 2));
    CHECK(reply.kvs[0].create_revision.value == 2);
    CHECK(reply.kvs[0].mod_revision.value == 3);
    CHECK(reply.kvs[0].version == 2);
    CHECK(reply.kvs[0].lease.value == -7);
    CHECK(reply.kvs[1].key == "b");
    CHECK(reply.kvs[1].value.empty());
    CHECK(reply.more);
    CHECK(reply.count == 2);
}

TEST_CASE("codec: takes numbers as strings and bare, null and missing fields as their default, unknown fields as nothing") {
    const auto reply = decoded<range_response>(
        R"({"header":{"cluster_id":18446744073709551615,"revision":6,"new":{}},"kvs":null,"more":null,"count":9007199254740993,"extra":[1,2]})");
    CHECK(reply.header.cluster_id == UINT64_MAX);
    CHECK(reply.header.raft_term == 0);
    CHECK(reply.header.revision.value == 6);
    CHECK(reply.count == 9007199254740993);
    CHECK(reply.kvs.empty());
    CHECK(!reply.more);
}

TEST_CASE("codec: a reply without header.revision is not the whole reply") {
    CHECK(refused("{}"));
    CHECK(refused(R"({"header":{}})"));
    CHECK(refused(R"({"header":{"cluster_id":"1","revision":"0"}})"));
    CHECK(refused(R"({"header":null})"));
    CHECK(refused(R"({"result":{}})"));
    CHECK(refused(R"({"result":{"header":{"raft_term":"2"},"TTL":"5"}})"));
}

TEST_CASE("codec: a revision is not negative, and another one can follow it") {
    for (const auto* number : {"-1", "\"-6\"", "9223372036854775807", "\"9223372036854775807\""}) {
        INFO(number);
        CHECK(refused(R"({"header":{"revision":)" + std::string(number) + "}}"));
        CHECK(refused(R"({"result":{"header":{"revision":)" + std::string(number) + "}}}"));
        CHECK(refused_range(R"("kvs":[{"create_revision":)" + std::string(number) + "}]"));
        CHECK(refused_range(R"("kvs":[{"mod_revision":)" + std::string(number) + "}]"));
        CHECK_THROWS_AS(codec::decode_watch(R"({"result":{"header":{"raft_term":"2"},"watch_id":"3","canceled":true,"compact_revision":)" + std::string(number) + "}}"),
                        codec::bad_reply);
    }
    CHECK(decoded<put_response>(R"({"header":{"revision":"9223372036854775806"}})").header.revision.value == INT64_MAX - 1);
}

TEST_CASE("codec: refuses what is not one JSON object") {
    const std::string whole = "{" + header + "}";
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK(refused(whole.substr(0, size)));
    for (const auto* text : {"", "[]", "null", "1", "\"x\"", "<html></html>", "{\"header\":", "{'header':1}", "\xef\xbb\xbf{}", "{}{}"}) {
        INFO(text);
        CHECK(refused(text));
    }
    CHECK(refused(whole + "x"));
    CHECK(refused(whole + whole));
    CHECK(refused(std::string("{\"header\"\0:1}", 13)));
    CHECK(!refused(whole + "\n"));
}

TEST_CASE("codec: refuses fields of another type, and base64 and numbers that are none") {
    CHECK(refused_range(R"("kvs":{})"));
    CHECK(refused_range(R"("kvs":[1])"));
    CHECK(refused_range(R"("kvs":[[]])"));
    CHECK(refused_range(R"("kvs":[{"key":1}])"));
    CHECK(refused_range(R"("kvs":[{"key":"YQ="}])"));
    CHECK(refused_range(R"("kvs":[{"key":"Y Q="}])"));
    CHECK(refused_range(R"("kvs":[{"value":"_-=="}])"));
    for (const auto* number : {"1.0", "1e2", "1e999", "\"1.0\"", "\"\"", "\" 1\"", "\"1 \"", "\"0x1\"", "\"+1\"", "9223372036854775808", "\"9223372036854775808\"",
                               "-9223372036854775809", "true", "{}", "[]"}) {
        INFO(number);
        CHECK(refused_range(R"("count":)" + std::string(number)));
    }
    CHECK(refused_range(R"("more":"true")"));
    CHECK(refused_range(R"("more":1)"));
    CHECK(!refused_range(R"("count":"-9223372036854775808")"));
    CHECK(!refused_range(R"("count":-0)"));
}

TEST_CASE("codec: bears deep nesting without recursion to match") {
    const std::size_t depth = 1'000'000;
    CHECK(refused(std::string(depth, '[')));
    CHECK(refused("{" + header + ",\"x\":" + std::string(depth, '[') + std::string(depth, ']') + "}"));
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
    CHECK(refused(objects));
    std::string nested = "{" + header + "}";
    for (int i = 0; i < 15; ++i) nested = "{" + header + R"(,"responses":[{"response_txn":)" + nested + "}]}";
    CHECK_FALSE(decoded<txn_response>(nested).responses.empty());
}

TEST_CASE("codec: reads put and delete replies with what was there before") {
    CHECK(!decoded<put_response>("{" + header + "}").prev_kv);
    const auto put = decoded<put_response>("{" + header + R"(,"prev_kv":{"key":"YQ==","version":"3"}})");
    REQUIRE(put.prev_kv);
    CHECK(put.prev_kv->version == 3);
    const auto erased = decoded<delete_range_response>("{" + header + R"(,"deleted":"2","prev_kvs":[{"key":"YQ=="},{"key":"Yg=="}]})");
    CHECK(erased.deleted == 2);
    CHECK(erased.prev_kvs.size() == 2);
    CHECK(decoded<delete_range_response>("{" + header + "}").deleted == 0);
}

TEST_CASE("codec: reads a transaction's reply, nested ones too, in the order of the operations") {
    const auto reply = decoded<txn_response>(
        "{" + header + R"(,"succeeded":true,"responses":[{"response_range":{"header":{"revision":"6"},"kvs":[{"key":"YQ=="}],"count":"1"}},)"
                       R"({"response_put":{"header":{"revision":"6"}}},{"response_delete_range":{"header":{"revision":"6"},"deleted":"1"}},)"
                       R"({"response_txn":{"header":{},"responses":[{"response_put":{}}]}}]})");
    CHECK(reply.succeeded);
    REQUIRE(reply.responses.size() == 4);
    CHECK(std::get<range_response>(reply.responses[0]).kvs.at(0).key == "a");
    CHECK(std::holds_alternative<put_response>(reply.responses[1]));
    CHECK(std::get<delete_range_response>(reply.responses[2]).deleted == 1);
    const auto& inner = std::get<txn_response>(reply.responses[3]);
    CHECK(!inner.succeeded);
    CHECK(inner.responses.size() == 1);
    const auto failed = decoded<txn_response>("{" + header + "}");
    CHECK(!failed.succeeded);
    CHECK(failed.responses.empty());
    CHECK_THROWS_AS(decoded<txn_response>("{" + header + R"(,"responses":[{}]})"), codec::bad_reply);
}

TEST_CASE("codec: reads lease replies; a lease that is gone has no TTL, or -1") {
    const auto grant = decoded<lease_grant_response>("{" + header + R"(,"ID":"7587","TTL":"10"})");
    CHECK(grant.id.value == 7587);
    CHECK(grant.ttl.count() == 10);
    const auto kept = decoded<lease_keep_alive_response>(R"({"result":{)" + header + R"(,"ID":"7587","TTL":"10"}})" + "\n");
    CHECK(kept.ttl.count() == 10);
    CHECK(decoded<lease_keep_alive_response>(R"({"result":{)" + header + R"(,"ID":"12345"}})").ttl.count() == 0);
    const auto left = decoded<lease_time_to_live_response>("{" + header + R"(,"ID":"7587","TTL":"-1","grantedTTL":"10","keys":["YQ==","Yg=="]})");
    CHECK(left.ttl.count() == -1);
    CHECK(left.granted_ttl.count() == 10);
    CHECK(left.keys == std::vector<std::string>{"a", "b"});
}

TEST_CASE("codec: a time to live is none that etcd does not grant") {
    for (const auto* number : {"-2", "9000000001", "\"9223372036854775807\"", "\"-9223372036854775808\"", "0.5"}) {
        INFO(number);
        const auto ttl = "," + std::string(R"("ID":"7","TTL":)") + number;
        CHECK_THROWS_AS(decoded<lease_grant_response>("{" + header + ttl + "}"), codec::bad_reply);
        CHECK_THROWS_AS(decoded<lease_keep_alive_response>(R"({"result":{)" + header + ttl + "}}"), codec::bad_reply);
        CHECK_THROWS_AS(decoded<lease_time_to_live_response>("{" + header + ttl + "}"), codec::bad_reply);
        CHECK_THROWS_AS(decoded<lease_time_to_live_response>("{" + header + R"(,"ID":"7","TTL":"1","grantedTTL":)" + number + "}"), codec::bad_reply);
    }
    CHECK(decoded<lease_grant_response>("{" + header + R"(,"ID":"7","TTL":"9000000000"})").ttl.count() == 9'000'000'000);
}

TEST_CASE("codec: reads the lines of a watch stream") {
    const auto created = codec::decode_watch(R"({"result":{)" + header + R"(,"created":true}})");
    CHECK(created.created);
    CHECK(created.watch_id == 0);
    CHECK(created.response.header.revision.value == 6);
    const auto changes = codec::decode_watch(R"({"result":{)" + header + R"(,"watch_id":"3","fragment":true,"events":[)"
                                             R"({"kv":{"key":"YQ==","mod_revision":"5","value":"Yg=="},"prev_kv":{"key":"YQ==","value":"Yw=="}},)"
                                             R"({"type":"DELETE","kv":{"key":"Yg==","mod_revision":"6"}},{"type":"PUT","kv":{"mod_revision":6}},{"type":1,"kv":{"mod_revision":6}}]}})");
    CHECK(changes.watch_id == 3);
    CHECK(changes.fragment);
    REQUIRE(changes.response.events.size() == 4);
    CHECK(changes.response.events[0].type == event::kind::put);
    CHECK(changes.response.events[0].kv.value == "b");
    REQUIRE(changes.response.events[0].prev_kv);
    CHECK(changes.response.events[0].prev_kv->value == "c");
    CHECK(changes.response.events[1].type == event::kind::erase);
    CHECK(changes.response.events[1].kv.mod_revision.value == 6);
    CHECK(changes.response.events[2].type == event::kind::put);
    CHECK(changes.response.events[3].type == event::kind::erase);
    const auto gone = codec::decode_watch(R"({"result":{"header":{"raft_term":"2"},"watch_id":"3","canceled":true,"compact_revision":"28"}})");
    CHECK(gone.canceled);
    CHECK(gone.compact_revision.value == 28);
    const auto refusal = codec::decode_watch(R"({"result":{)" + header + R"(,"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"why"}})");
    CHECK(refusal.watch_id == -1);
    CHECK(refusal.cancel_reason == "why");
    for (const auto* line : {"", "{", "{}", R"({"error":{}})", R"({"error":null})", "[]", "x", R"({"result":1})", R"({"result":{"events":[{}]}})", R"({"result":{"events":{}}})", R"({"result":{"watch_id":"x"}})",
                             R"({"result":{"header":{"revision":"6"},"events":[{"type":"TWIST","kv":{"mod_revision":"5"}}]}})",
                             R"({"result":{"header":{"revision":"6"},"events":[{"type":2,"kv":{"mod_revision":"5"}}]}})", R"({"result":{"created":true}})", R"({"result":{"header":{"revision":"0"},"created":true}})",
                             R"({"result":{"events":[{"kv":{"mod_revision":"5"}}]}})", R"({"result":{"header":{"revision":"6"},"events":[{"kv":{"key":"YQ=="}}]}})",
                             R"({"result":{"header":{"revision":"6"},"events":[{"type":"DELETE","kv":{"mod_revision":"0"}}]}})"}) {
        INFO(line);
        CHECK_THROWS_AS(codec::decode_watch(line), codec::bad_reply);
    }
}

TEST_CASE("codec: reads the errors of all versions, also inside streams, and the words of whoever else answers") {
    const struct {
        const char* text;
        int code;
        const char* message;
    } table[] = {
        {R"({"error":"etcdserver: key is not provided","message":"etcdserver: key is not provided","code":3})", 3, "etcdserver: key is not provided"}, // 3.4
        {R"({"error":"no","code":5,"message":"no"})", 5, "no"},                                                                                        // 3.5
        {R"({"code":3, "message":"proto: bad"})", 3, "proto: bad"},                                                                                     // 3.6
        {R"({"error":{"grpc_code":14,"http_code":503,"message":"no leader","http_status":"Service Unavailable"}})", 14, "no leader"},                  // streams of 3.4, 3.5
        {R"({"error":{"code":14,"message":"no leader"}})", 14, "no leader"},                                                                           // of 3.6
        {R"({"error":"words","code":2})", 2, "words"},
        {R"({"error":"words"})", 0, "words"},
        {"Not Found\n", 0, "Not Found"},
        {"404 page not found\nmore", 0, "404 page not found"},
        {"", 0, ""},
        {"{}", 0, ""},
        {R"({"code":"x","message":1})", 0, R"({"code":"x","message":1})"},
    };
    for (const auto& [text, code, message] : table) {
        INFO(text);
        const auto read = codec::decode_error(text);
        CHECK(read.code == code);
        CHECK(read.message == message);
    }
    CHECK(codec::decode_error(std::string(100'000, 'x')).message.size() <= 200);
    CHECK(codec::decode_error("a\rb\x1b[2Jc\x7f\xff").message == "a b [2Jc ?");
    const auto message = codec::decode_watch(R"({"error":{"grpc_code":14,"message":"etcdserver: no leader"}})");
    CHECK(message.is_error);
    CHECK(message.error.code == 14);
}

TEST_CASE("codec: a server's words are one line that can be read, however long they are") {
    const auto code = [](const std::string& message) { return codec::decode_error(R"({"code":5,"message":")" + message + "\"}"); };
    CHECK(code("two\\nlines\\u0000\\u001b[2J").message == "two lines  [2J");
    CHECK(code("a\xc2\xa0z").message == "a\xc2\xa0z");
    CHECK(code(std::string(100'000, 'x')).code == 5);
    CHECK(code(std::string(100'000, 'x')).message == std::string(500, 'x') + "...");
    std::string umlauts;
    for (int i = 0; i < 1000; ++i) umlauts += "\xc3\xa4";
    CHECK(code("x" + umlauts).message == "x" + umlauts.substr(0, 498) + "...");
    const auto nested = codec::decode_error(R"({"error":{"code":14,"message":"a\tb"}})");
    CHECK(nested.message == "a b");
    CHECK(codec::decode_error(R"({"error":"a\tb"})").message == "a b");
    CHECK(codec::decode_watch(R"({"result":{"canceled":true,"cancel_reason":"a\tb"}})").cancel_reason == "a b");
}

TEST_CASE("codec: a token fits into a header, and is none otherwise") {
    const auto token = [](const std::string& text) { return codec::decode_token("{" + header + R"(,"token":)" + text + "}"); };
    CHECK(token(R"("KSqdiAxwoVauveCv.26")") == "KSqdiAxwoVauveCv.26");
    CHECK(token("\"" + std::string(16 * 1024, 'x') + "\"").size() == 16 * 1024);
    for (const auto& text : {std::string(R"("")"), std::string("null"), std::string("7"), std::string(R"("a\r\nX: y")"), std::string(R"("a\u0000")"), std::string("\"\xc3\xa4\""),
                             "\"" + std::string(16 * 1024 + 1, 'x') + "\""}) {
        INFO(text.substr(0, 100));
        CHECK_THROWS_AS(token(text), codec::bad_reply);
    }
    CHECK_THROWS_AS(codec::decode_token("{}"), codec::bad_reply);
}

TEST_CASE("codec: a version is a word, and a cluster has an end") {
    CHECK(codec::decode_version(R"({"version":"3.6.1"})") == "3.6.1");
    CHECK(codec::decode_version(R"({"version":"3\n6\u001b"})") == "3 6 ");
    CHECK(codec::decode_version(R"({"version":")" + std::string(1000, '3') + "\"}").size() == 40);
    CHECK(codec::decode_version("{}").empty());
    CHECK(codec::decode_client_urls(R"({"members":[{"clientURLs":["http://a:1",7,"http://b:2"]},{},{"clientURLs":["http://c:3"]}]})") ==
          std::vector<std::string>{"http://a:1", "http://b:2", "http://c:3"});
    std::string many;
    for (int i = 0; i < 101; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\"";
    for (const auto& text : {std::string("{}"), std::string(R"({"members":{}})"), std::string(R"({"members":[1]})"), std::string(R"({"members":[{"clientURLs":"x"}]})"),
                             R"({"members":[{"clientURLs":[)" + many + "]}]}"}) {
        INFO(text);
        CHECK_THROWS_AS(codec::decode_client_urls(text), codec::bad_reply);
    }
}
