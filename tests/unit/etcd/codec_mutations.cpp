// Twenty thousand replies that are almost etcd's: each is read or refused, and what is read can be used.
#include "../support/mutations.hpp"

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

using namespace etcdcoll::etcd;

namespace {

const std::string header = R"("header":{"cluster_id":"10164733486537286275","member_id":"10722043876776841145","revision":"6","raft_term":"2"})";
const std::string kv = R"({"key":"YS9i","create_revision":"2","mod_revision":"3","version":"2","value":"AP8x","lease":"7587862094967734787"})";

// As etcd 3.4 to 3.6 sent them.
const std::vector<std::string> texts = {
    "{" + header + R"(,"kvs":[)" + kv + "," + kv + R"(],"more":true,"count":"3"})",
    "{" + header + "}",
    "{" + header + R"(,"prev_kv":)" + kv + "}",
    "{" + header + R"(,"deleted":"2","prev_kvs":[)" + kv + "," + kv + "]}",
    "{" + header + R"(,"succeeded":true,"responses":[{"response_range":{"header":{"revision":"6"},"kvs":[)" + kv +
        R"(],"count":"1"}},{"response_put":{"header":{"revision":"6"}}},{"response_delete_range":{"header":{"revision":"6"},"deleted":"1"}},)"
        R"({"response_txn":{"header":{},"responses":[{"response_put":{"header":{"revision":"6"}}}]}}]})",
    "{" + header + R"(,"ID":"7587862094967734787","TTL":"60"})",
    R"({"result":{)" + header + R"(,"ID":"7587862094967734787","TTL":"60"}})" "\n",
    "{" + header + R"(,"ID":"7587862094967734787","TTL":"27","grantedTTL":"30","keys":["bGsx","bGsy"]})",
    R"({"result":{)" + header + R"(,"watch_id":"7","created":true}})",
    R"({"result":{)" + header + R"(,"watch_id":"7","events":[{"kv":)" + kv + R"(,"prev_kv":)" + kv + R"(},{"type":"DELETE","kv":{"key":"Yg==","mod_revision":"6"}}]}})",
    R"({"result":{"header":{"cluster_id":"1","raft_term":"2"},"watch_id":"7","canceled":true,"compact_revision":"28"}})",
    R"({"result":{)" + header + R"(,"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"mvcc: watcher range is empty"}})",
    R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}})",
    R"({"error":"etcdserver: key is not provided","message":"etcdserver: key is not provided","code":3})",
    R"({"code":3, "message":"proto: (line 1:8): invalid value for bytes field key: \"*\""})",
    "{" + header + R"(,"token":"KSqdiAxwoVauveCv.26"})",
    "{" + header + R"(,"version":"3.6.1","dbSize":"20480","leader":"10276657743932975437"})",
    "{" + header + R"(,"members":[{"ID":"10276657743932975437","name":"default","peerURLs":["http://localhost:2380"],"clientURLs":["http://localhost:2379","http://a:1"]}]})",
    "404 page not found\n"};

const std::vector<std::string> words = {
    "null", "true", "-1", "0", "9223372036854775807", "9223372036854775808", "\"-9223372036854775808\"", "18446744073709551616", "1e999", "0.5", "{}", "[]", "{", "}", "[", "]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "\"\"", "\"", ",", ":", "\\", "\\u0000", "\\ud800", "=", "====", "YQ==", "-", "_", "\xff", "\xc3\xa4",
    "\"header\":", "\"kvs\":", "\"events\":", "\"kv\":", "\"result\":", "\"error\":", "\"code\":", "\"revision\":", "\"mod_revision\":", "\"TTL\":", "\"responses\":", "\"type\":"};

void check(const response_header& h) { CHECK(h.revision.value > 0); }

void check(const key_value& of) {
    CHECK(of.mod_revision.value >= 0);
    CHECK(of.mod_revision.value < INT64_MAX);
    CHECK(of.key.size() + of.value.size() < 1000);
}

void check_ttl(std::chrono::seconds ttl) {
    CHECK(ttl.count() >= -1);
    CHECK(ttl.count() <= 9'000'000'000);
}

void check(const range_response& r) {
    for (const auto& each : r.kvs) check(each);
}
void check(const put_response& r) {
    if (r.prev_kv) check(*r.prev_kv);
}
void check(const delete_range_response& r) {
    for (const auto& each : r.prev_kvs) check(each);
}
void check(const txn_response& r) {
    for (const auto& each : r.responses) std::visit([](const auto& inner) { check(inner); }, each);
}
void check(const compact_response&) {}
void check(const lease_grant_response& r) { check_ttl(r.ttl); }
void check(const lease_keep_alive_response& r) { check_ttl(r.ttl); }
void check(const lease_revoke_response&) {}
void check(const lease_time_to_live_response& r) {
    check_ttl(r.ttl);
    check_ttl(r.granted_ttl);
}

void check_words(const std::string& text) {
    CHECK(text.size() <= 503);
    CHECK(std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
}

struct tally {
    std::size_t read = 0;
    std::size_t refused = 0;
    bool operator==(const tally&) const = default;
};

template <class Reply> void decode(const std::string& text, tally& of) {
    Reply reply;
    try {
        codec::decode(text, reply);
        ++of.read;
        check(reply.header);
        check(reply);
    } catch (const codec::bad_reply& why) {
        ++of.refused;
        CHECK(why.what()[0] != '\0');
    }
}

void decode_watch(const std::string& text, tally& of) {
    try {
        const auto message = codec::decode_watch(text);
        ++of.read;
        if (message.is_error) CHECK(!message.error.message.empty());
        check_words(message.error.message);
        check_words(message.cancel_reason);
        CHECK(message.compact_revision.value >= 0);
        if (!message.response.events.empty()) check(message.response.header);
        for (const auto& each : message.response.events) {
            CHECK(each.kv.mod_revision.value > 0);
            check(each.kv);
            if (each.prev_kv) check(*each.prev_kv);
        }
    } catch (const codec::bad_reply&) {
        ++of.refused;
    }
}

template <class Decode> void decode_part(const std::string& text, tally& of, Decode decode) {
    try {
        decode(text);
        ++of.read;
    } catch (const codec::bad_reply&) {
        ++of.refused;
    }
}

void decode_token(const std::string& text, tally& of) {
    const auto fits = [](const std::string& reply) {
        const auto token = codec::decode_token(reply);
        CHECK(!token.empty());
        CHECK(std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    };
    decode_part(text, of, fits);
}

void decode_version(const std::string& text, tally& of) {
    const auto is_short = [](const std::string& reply) {
        const auto version = codec::decode_version(reply);
        CHECK(version.size() <= 40);
        check_words(version);
    };
    decode_part(text, of, is_short);
}

void decode_client_urls(const std::string& text, tally& of) {
    const auto few = [](const std::string& reply) {
        const auto urls = codec::decode_client_urls(reply);
        CHECK(urls.size() <= 100);
    };
    decode_part(text, of, few);
}

using decoder = void (*)(const std::string&, tally&);
const std::vector<decoder> decoders = {decode<range_response>, decode<put_response>, decode<delete_range_response>, decode<txn_response>, decode<compact_response>,
                                       decode<lease_grant_response>, decode<lease_keep_alive_response>, decode<lease_revoke_response>, decode<lease_time_to_live_response>, decode_watch, decode_token, decode_version, decode_client_urls};
// Of each text, the number of the decoder that it is meant for.
const std::size_t meant[] = {0, 1, 1, 2, 3, 5, 6, 8, 9, 9, 9, 9, 9, 9, 9, 10, 11, 12, 9};

tally decode_all(std::uint64_t seed, int count) {
    tally seen;
    mutations::mutator make(seed, texts, words);
    for (int i = 0; i < count; ++i) {
        const auto chosen = make.choose();
        const auto text = make.next();
        INFO("seed " << seed << ", mutation " << i << ": " << mutations::shown(text));
        decoders[meant[chosen]](text, seen);
        decoders[make.below(decoders.size())](text, seen);
        check_words(codec::decode_error(text).message);
    }
    return seen;
}

} // namespace

TEST_CASE("codec: of replies that are almost right it reads what can be used, and refuses the rest") {
    for (std::size_t i = 0; i < texts.size(); ++i) {
        tally whole;
        decoders[meant[i]](texts[i], whole);
        INFO(texts[i]);
        CHECK(whole.read == (texts[i].starts_with('{') ? 1 : 0));
    }
    const auto seen = decode_all(20'240'601, 20'000);
    CHECK(seen.read + seen.refused == 40'000);
    CHECK(seen.read > 2'000); // changed, but not only noise
    CHECK(seen.refused > 2'000);
    CHECK(decode_all(7, 500) == decode_all(7, 500));
}
