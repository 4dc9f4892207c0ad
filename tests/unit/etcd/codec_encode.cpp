#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <limits>
#include <string>

using namespace etcdcoll::etcd;

// Key and value in the texts: YQ== is "a", Yg== is "b", Yw== is "c", AA== is one zero byte, /w== is 0xff.

TEST_CASE("codec: a range request says what differs from the defaults, and no more") {
    CHECK(codec::encode(range_request("a")) == R"({"key":"YQ=="})");
    CHECK(codec::encode(range_request(prefix("a"))) == R"({"key":"YQ==","range_end":"Yg=="})");
    CHECK(codec::encode(range_request(from(""))) == R"({"key":"AA==","range_end":"AA=="})");
    range_request all("a");
    all.limit = 10;
    all.revision.value = std::numeric_limits<std::int64_t>::max();
    all.sort_order = sort_order::descend;
    all.sort_target = sort_target::mod;
    all.serializable = true;
    all.keys_only = true;
    all.count_only = true;
    all.min_mod_revision.value = 1;
    all.max_mod_revision.value = 2;
    all.min_create_revision.value = 3;
    all.max_create_revision.value = 4;
    CHECK(codec::encode(all) == R"({"key":"YQ==","limit":10,"revision":9223372036854775807,"sort_order":"DESCEND","sort_target":"MOD",)"
                                R"("serializable":true,"keys_only":true,"count_only":true,"min_mod_revision":1,"max_mod_revision":2,)"
                                R"("min_create_revision":3,"max_create_revision":4})");
}

TEST_CASE("codec: sort orders and targets have the names of etcd's proto") {
    const std::pair<sort_target, const char*> targets[] = {
        {sort_target::version, "VERSION"}, {sort_target::create, "CREATE"}, {sort_target::mod, "MOD"}, {sort_target::value, "VALUE"}};
    for (const auto& [target, name] : targets) {
        range_request request("a");
        request.sort_order = sort_order::ascend;
        request.sort_target = target;
        CHECK(codec::encode(request) == R"({"key":"YQ==","sort_order":"ASCEND","sort_target":")" + std::string(name) + "\"}");
    }
}

TEST_CASE("codec: a put request takes any bytes, and an empty value") {
    CHECK(codec::encode(put_request("a", "")) == R"({"key":"YQ=="})");
    CHECK(codec::encode(put_request(std::string(1, '\0'), "\xff", lease_id{-5})) == R"({"key":"AA==","value":"/w==","lease":-5})");
    put_request all("a", "b");
    all.prev_kv = all.ignore_value = all.ignore_lease = true;
    CHECK(codec::encode(all) == R"({"key":"YQ==","value":"Yg==","prev_kv":true,"ignore_value":true,"ignore_lease":true})");
}

TEST_CASE("codec: a delete request") {
    delete_range_request request(key_range("a", "c"));
    CHECK(codec::encode(request) == R"({"key":"YQ==","range_end":"Yw=="})");
    request.prev_kv = true;
    CHECK(codec::encode(request) == R"({"key":"YQ==","range_end":"Yw==","prev_kv":true})");
}

TEST_CASE("codec: a transaction, each target and relation, nested") {
    CHECK(codec::encode(when()) == "{}");
    CHECK(codec::encode(when(version("a") == 0).then(put("a", "b")).otherwise(get("a"))) ==
          R"({"compare":[{"key":"YQ==","version":0}],"success":[{"request_put":{"key":"YQ==","value":"Yg=="}}],)"
          R"("failure":[{"request_range":{"key":"YQ=="}}]})");
    CHECK(codec::encode(when(create_revision("a") > 1, mod_revision("a") < revision{2}, lease("a") != lease_id{3}, value("a") == "b",
                             value(prefix("a")) != "")) ==
          R"({"compare":[{"key":"YQ==","result":"GREATER","target":"CREATE","create_revision":1},)"
          R"({"key":"YQ==","result":"LESS","target":"MOD","mod_revision":2},)"
          R"({"key":"YQ==","result":"NOT_EQUAL","target":"LEASE","lease":3},{"key":"YQ==","target":"VALUE","value":"Yg=="},)"
          R"({"key":"YQ==","range_end":"Yg==","result":"NOT_EQUAL","target":"VALUE"}]})");
    CHECK(codec::encode(when().then(erase("a"), when(version("b") > 0).then(get(prefix("b"))))) ==
          R"({"success":[{"request_delete_range":{"key":"YQ=="}},{"request_txn":{"compare":[{"key":"Yg==","result":"GREATER","version":0}],)"
          R"("success":[{"request_range":{"key":"Yg==","range_end":"Yw=="}}]}}]})");
}

TEST_CASE("codec: lease requests") {
    CHECK(codec::encode_lease_grant(std::chrono::seconds(10), lease_id{9007199254740993}) == R"({"TTL":10,"ID":9007199254740993})");
    CHECK(codec::encode_lease(lease_id{7}) == R"({"ID":7})");
    CHECK(codec::encode_time_to_live(lease_id{7}, true) == R"({"ID":7,"keys":true})");
}

TEST_CASE("codec: a compaction request") {
    CHECK(codec::encode_compact(revision{7}, false) == R"({"revision":7})");
    CHECK(codec::encode_compact(revision{7}, true) == R"({"revision":7,"physical":true})");
}

TEST_CASE("codec: watch requests") {
    watch_request plain("a");
    CHECK(codec::encode_create(plain, 7, revision{}) == R"({"create_request":{"key":"YQ==","watch_id":7}})");
    watch_request all(prefix("a"), revision{5});
    all.prev_kv = all.fragment = all.no_put = all.no_erase = true;
    CHECK(codec::encode_create(all, 7, revision{9}) ==
          R"({"create_request":{"key":"YQ==","range_end":"Yg==","watch_id":7,"start_revision":9,"prev_kv":true,"fragment":true,)"
          R"("filters":["NOPUT","NODELETE"]}})");
    all.no_erase = false;
    CHECK(codec::encode_create(all, 7, revision{9}).find(R"("filters":["NOPUT"]}})") != std::string::npos);
    all.no_erase = true;
    all.no_put = false;
    CHECK(codec::encode_create(all, 7, revision{9}).find(R"("filters":["NODELETE"]}})") != std::string::npos);
    CHECK(codec::encode_cancel(7) == R"({"cancel_request":{"watch_id":7}})");
    CHECK(codec::encode_progress() == R"({"progress_request":{}})");
}

TEST_CASE("prefix: ends behind the last key that begins with it") {
    const std::string zero(1, '\0');
    CHECK(prefix("a").end == "b");
    CHECK(prefix("a/").end == "a0");
    CHECK(prefix("a\xff").end == "b");
    CHECK(prefix("a\xff\xff").end == "b");
    CHECK(prefix("\xff\xff").end == zero);
    CHECK(prefix("\xff\xff").key == "\xff\xff");
    CHECK(prefix("").key == zero);
    CHECK(prefix("").end == zero);
    CHECK(prefix(zero).end == "\x01");
    CHECK(prefix("\x7f").end == "\x80");
    CHECK(from("a").key == "a");
    CHECK(from("a").end == zero);
}
