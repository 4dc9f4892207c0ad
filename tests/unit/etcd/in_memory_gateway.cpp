#include "in_memory_gateway_support.hpp"

#include <limits>

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace std::chrono_literals;

TEST_CASE("in_memory gateway: a put, a range and a deletion, through the client's own codec") {
    test_member member;
    const std::string key("a\0\xff", 3);
    auto put = decoded<etcd::put_response>(ask(member, "/v3/kv/put", codec::encode(etcd::put_request(key, "1"))));
    CHECK(put.header.revision.value == 2);
    CHECK(put.header.cluster_id == member.header().cluster_id);
    CHECK(put.header.member_id == member.header().member_id);
    CHECK(put.header.raft_term == 2);
    CHECK_FALSE(put.prev_kv);
    etcd::put_request again(key, "");
    again.prev_kv = true;
    put = decoded<etcd::put_response>(ask(member, "/v3/kv/put", codec::encode(again)));
    REQUIRE(put.prev_kv);
    CHECK(put.prev_kv->value == "1");

    etcd::range_request all(etcd::prefix(""));
    all.limit = 1;
    member.store.put({"b", "2"});
    const auto range = decoded<etcd::range_response>(ask(member, "/v3/kv/range", codec::encode(all)));
    REQUIRE(range.kvs.size() == 1);
    CHECK(range.kvs[0].key == key);
    CHECK(range.kvs[0].value.empty());
    CHECK(range.kvs[0].create_revision.value == 2);
    CHECK(range.kvs[0].mod_revision.value == 3);
    CHECK(range.kvs[0].version == 2);
    CHECK(range.more);
    CHECK(range.count == 2);

    etcd::delete_range_request erase(etcd::prefix(""));
    erase.prev_kv = true;
    const auto erased = decoded<etcd::delete_range_response>(ask(member, "/v3/kv/deleterange", codec::encode(erase)));
    CHECK(erased.deleted == 2);
    REQUIRE(erased.prev_kvs.size() == 2);
    CHECK(erased.prev_kvs[1].value == "2");
    CHECK(erased.header.revision.value == 5);
}

TEST_CASE("in_memory gateway: every field of a range request arrives") {
    test_member member;
    for (const auto* key : {"c", "a", "b"}) member.store.put({key, key});
    member.store.put({"a", "z"});
    const auto keys = [&member](etcd::range_request request) {
        std::string text;
        for (const auto& kv : decoded<etcd::range_response>(ask(member, "/v3/kv/range", codec::encode(request))).kvs) text += kv.key + kv.value + ' ';
        return text;
    };
    etcd::range_request request(etcd::prefix(""));
    CHECK(keys(request) == "az bb cc ");
    request.sort_order = etcd::sort_order::descend;
    CHECK(keys(request) == "cc bb az ");
    request.sort_target = etcd::sort_target::mod;
    CHECK(keys(request) == "az bb cc ");
    request.min_mod_revision.value = 4;
    CHECK(keys(request) == "az bb ");
    request.max_create_revision.value = 3;
    CHECK(keys(request) == "az ");
    request.max_mod_revision.value = 4;
    CHECK(keys(request).empty());
    request = etcd::range_request(etcd::prefix(""));
    request.revision.value = 4;
    request.min_create_revision.value = 3;
    request.keys_only = true;
    CHECK(keys(request) == "a b ");
    request.count_only = true;
    CHECK(keys(request).empty());
}

TEST_CASE("in_memory gateway: a nested transaction goes in and comes out as it was written") {
    test_member member;
    member.store.put({"a", "1"});
    const auto request = etcd::when(etcd::version("a") == 1, etcd::value("a") == "1", etcd::mod_revision("a") < 3, etcd::create_revision("b") != 7,
                                    etcd::lease("a") == 0)
                             .then(etcd::put("b", "2"), etcd::get("a"), etcd::erase("c"),
                                   etcd::when(etcd::version("b") > 0).then(etcd::put("d", "4")).otherwise(etcd::get("b")));
    const auto reply = ask(member, "/v3/kv/txn", codec::encode(request));
    CHECK(reply.body.find(R"("responses":[{"response_put":{"header":{"revision":"3"}}},{"response_range":{"header":{"revision":"3"},"kvs":[)") !=
          std::string::npos);
    CHECK(reply.body.find(R"({"response_txn":{"header":{},"responses":[{"response_range":)") != std::string::npos);
    const auto txn = decoded<etcd::txn_response>(reply);
    CHECK(txn.succeeded);
    REQUIRE(txn.responses.size() == 4);
    CHECK(std::get<etcd::range_response>(txn.responses[1]).kvs.at(0).value == "1");
    CHECK(std::get<etcd::delete_range_response>(txn.responses[2]).deleted == 0);
    const auto& nested = std::get<etcd::txn_response>(txn.responses[3]);
    CHECK_FALSE(nested.succeeded);
    CHECK(std::get<etcd::range_response>(nested.responses.at(0)).kvs.at(0).value == "2");
    CHECK(ask(member, "/v3/kv/txn", codec::encode(etcd::when(etcd::version("a") == 9))).body == "{" + std::string(header_text) + R"(3","raft_term":"2"}})");
}

TEST_CASE("in_memory gateway: leases, whose times are the member's") {
    test_member member;
    const auto grant = decoded<etcd::lease_grant_response>(ask(member, "/v3/lease/grant", codec::encode_lease_grant(10s, etcd::lease_id{-7})));
    CHECK(grant.id.value == -7);
    CHECK(grant.ttl == 10s);
    ask(member, "/v3/kv/put", codec::encode(etcd::put_request("a", "1", grant.id)));
    member.time += 4s;
    auto left = decoded<etcd::lease_time_to_live_response>(ask(member, "/v3/lease/timetolive", codec::encode_time_to_live(grant.id, true)));
    CHECK(left.ttl == 6s);
    CHECK(left.granted_ttl == 10s);
    CHECK(left.keys == std::vector<std::string>{"a"});
    const auto alive = decoded<etcd::lease_keep_alive_response>(ask(member, "/v3/lease/keepalive", codec::encode_lease(grant.id)));
    CHECK(alive.id == grant.id);
    CHECK(alive.ttl == 10s);
    const auto list = decoded<etcd::lease_list_response>(ask(member, "/v3/kv/lease/leases", codec::encode_lease_list()));
    CHECK(list.leases == std::vector<etcd::lease_id>{grant.id});
    decoded<etcd::lease_revoke_response>(ask(member, "/v3/lease/revoke", codec::encode_lease(grant.id)));
    CHECK(refusal_of(ask(member, "/v3/kv/lease/revoke", codec::encode_lease(grant.id))) == "5: etcdserver: requested lease not found (404)");
    left = decoded<etcd::lease_time_to_live_response>(ask(member, "/v3/kv/lease/timetolive", codec::encode_time_to_live(grant.id, false)));
    CHECK(left.ttl == -1s);
}

TEST_CASE("in_memory gateway: a compaction, and what is refused behind it") {
    test_member member;
    for (int i = 0; i < 4; ++i) member.store.put({"a", "1"});
    decoded<etcd::compact_response>(ask(member, "/v3/kv/compaction", codec::encode_compact({4}, true)));
    CHECK(refusal_of(ask(member, "/v3/kv/compaction", codec::encode_compact({3}, false))) ==
          "11: etcdserver: mvcc: required revision has been compacted (400)");
    CHECK(refusal_of(ask(member, "/v3/kv/compaction", codec::encode_compact({9}, false))) == "11: etcdserver: mvcc: required revision is a future revision (400)");
}

TEST_CASE("in_memory gateway: status and members, as the client reads them") {
    test_member member;
    CHECK(codec::decode_version(ask(member, "/v3/maintenance/status", "{}").body) == "3.5.21");
    CHECK(ask(member, "/v3/maintenance/status", "{}").body.find(R"("leader":"10722043876776841145")") != std::string::npos);
    CHECK(codec::decode_client_urls(ask(member, "/v3/cluster/member/list", "{}").body) == member.client_urls());
    member.led = false;
    CHECK(ask(member, "/v3/maintenance/status", "{}").body.find(R"("errors":["etcdserver: no leader"])") != std::string::npos);
    CHECK(refusal_of(ask(member, "/v3/kv/range", codec::encode(etcd::range_request("a")), "Grpc-Metadata-hasleader: true\r\n")) ==
          "14: etcdserver: no leader (503)");
    CHECK(ask(member, "/v3/kv/range", codec::encode(etcd::range_request("a")), "Grpc-Metadata-hasleader: 1\r\n").status == 200);
}

TEST_CASE("in_memory gateway: requests are read in each of etcd's ways") {
    test_member member;
    member.store.put({"a", "1"});
    member.store.put({"b", "1"});
    const auto count = [&member](std::string_view body) { return decoded<etcd::range_response>(ask(member, "/v3/kv/range", body)).count; };
    CHECK(count(R"({"key":"YQ==","range_end":"AA=="})") == 2);
    CHECK(count(R"({"key":"YQ==","rangeEnd":"AA==","limit":"1"})") == 2);
    CHECK(count(R"( {"key":"YQ==","range_end":"AA==","minCreateRevision":3,"keys_only":true} )") == 2);
    CHECK(count(R"({"Key":"Yg==","key":"YQ==","range_end":null,"unknown":[{}]})") == 1);
    CHECK(count(R"({"key":"Yg==","key":"YQ\u003d=","sort_order":"DESCEND","sortTarget":4,"revision":" 3"})") == 1);
    CHECK(count("{\"key\":\"YQ\\n==\"}{\"key\":\"") == 1);
    CHECK(ask(member, "/v3beta/kv/range?x=1", R"({"key":"YQ=="})").status == 200);
    CHECK(ask(member, "/v3/lease/leases", "").status == 200);
    CHECK(ask(member, "/v3/lease/leases", " null ").status == 200);
}

TEST_CASE("in_memory gateway: what etcd does not read is refused before anybody is asked") {
    test_member member;
    member.holds = true;
    const auto refused = [&member](std::string_view body) { return refusal_of(ask(member, "/v3/kv/range", body)); };
    CHECK(refused(R"({"key":"YQ==")") == "3: unexpected EOF (400)");
    CHECK(refused(R"({"key":})") == "3: invalid character '}' looking for beginning of value (400)");
    CHECK(refused(R"({"key":"*"})") == "3: illegal base64 data at input byte 0 (400)");
    CHECK(refused(R"({"key":"YQ"})") == "3: illegal base64 data at input byte 0 (400)");
    CHECK(refused("[]") == "3: json: cannot unmarshal array into Go value of type map[string]json.RawMessage (400)");
    CHECK(refused(R"({"limit":1.0})") == "3: json: cannot unmarshal number into Go value of type int64 (400)");
    CHECK(refused(R"({"limit":9223372036854775808})") == "3: json: cannot unmarshal number into Go value of type int64 (400)");
    CHECK(refused(R"({"limit":"9223372036854775808"})") == "3: json: cannot unmarshal number 9223372036854775808 into Go value of type int64 (400)");
    CHECK(refused(R"({"limit":""})") == "3: unexpected end of JSON input (400)");
    CHECK(refused(R"({"limit":"007"})").ends_with("(400)"));
    CHECK(refused(R"({"keys_only":"true"})") == "3: json: cannot unmarshal string into Go value of type bool (400)");
    CHECK(refused(R"({"sort_order":"descend"})") == R"(3: unknown value "\"descend\"" for enum etcdserverpb.RangeRequest.SortOrder (400))");
    CHECK(refusal_of(ask(member, "/v3/kv/txn", R"({"success":[{}]})")) == "3: etcdserver: key not found (400)");
    CHECK(refusal_of(ask(member, "/v3/kv/txn", R"({"compare":[{"target":5}]})")).ends_with("(400)"));
    CHECK(refusal_of(ask(member, "/v3/kv/txn", R"({"success":{}})")).ends_with("(400)"));
    CHECK(member.held.empty());
}

TEST_CASE("in_memory gateway: limits of bytes, that of a message before that of a request") {
    test_member member;
    const auto put = [&member](std::size_t size) { return refusal_of(ask(member, "/v3/kv/put", codec::encode(etcd::put_request("a", std::string(size, 'x'))))); };
    CHECK(put(2'097'152) == "8: grpc: received message larger than max (2097160 vs. 2097152) (429)");
    CHECK(put(2'097'144) == "3: etcdserver: request is too large (400)");
    CHECK(ask(member, "/v3/kv/put", codec::encode(etcd::put_request("a", std::string(1'500'000, 'x')))).status == 200);
    const auto large = ask(member, "/v3/kv/range", codec::encode(etcd::range_request("a")));
    CHECK(large.chunked);
    CHECK(decoded<etcd::range_response>(large).kvs.at(0).value.size() == 1'500'000);
}

TEST_CASE("in_memory gateway: paths and methods") {
    test_member member;
    const auto raw = [&member](std::string_view method, std::string_view path) {
        model::gateway_connection connection(member);
        connection.receive(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost:\r\n\r\n");
        auto text = connection.take_output();
        const auto reply = take_reply(text);
        return std::to_string(reply.status) + " " + reply.body;
    };
    CHECK(raw("GET", "/v3/kv/range") == "405 Method Not Allowed\n");
    CHECK(raw("GET", "/v3/watch") == "405 Method Not Allowed\n");
    CHECK(raw("OPTIONS", "/v3/watch") == "200 ");
    CHECK(raw("POST", "/v3/kv/Range") == "404 Not Found\n");
    CHECK(raw("POST", "/v3/kv/range/") == "404 Not Found\n");
    CHECK(raw("POST", "/v3/kv/lease/grant") == "404 Not Found\n");
    CHECK(raw("POST", "/v2/keys") == "404 404 page not found\n");
    CHECK(raw("GET", "/version") == R"(200 {"etcdserver":"3.5.21","etcdcluster":"3.5.0"})");
    CHECK(raw("POST", "/version") == "405 Method Not Allowed\n");
    CHECK(raw("GET", "/health") == R"(200 {"health":"true","reason":""})");
    for (const auto* path : {"/v3/lock/lock", "/v3/election/campaign", "/v3/auth/authenticate", "/v3/auth/user/add", "/v3/cluster/member/add",
                             "/v3/maintenance/alarm", "/v3/maintenance/snapshot"}) {
        const auto reply = ask(member, path, "{}");
        CHECK(refusal_of(reply) == "12: etcdserver: the in-memory etcd has no " + std::string(path) + " (501)");
        CHECK(reply.head.find("Content-Type: application/json\r\n") != std::string::npos);
    }
    member.led = false;
    CHECK(raw("GET", "/health") == R"(503 {"health":"false","reason":"RAFT NO LEADER"})");
}
