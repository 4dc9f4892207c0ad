#include "../support/mutations.hpp"
#include "in_memory_gateway_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

const std::string put = codec::encode(etcd::put_request("a", "1"));
const std::string range = codec::encode(etcd::range_request("a"));

// A client's whole side of a connection.
const std::vector<std::string> conversations = {
    post("/v3/kv/put", put) + post("/v3/kv/range", range) + post("/v3/kv/range", "{}"),
    post("/v3/kv/put", put, "Connection: close\r\n") + post("/v3/kv/range", range),
    open_stream("/v3/kv/put", "") + chunk(put.substr(0, 5)) + "8;name=value\r\n" + put.substr(5, 8) + "\r\n" + chunk(put.substr(13)) + "0\r\nA: b\r\n\r\n" +
        post("/v3/kv/range", range),
    post("/v3/kv/put", put, "Expect: 100-continue\r\n") + post("/v3/nothing", "x") + "GET /version HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST http://in-memory/v3/kv/put?x HTTP/1.1\r\ncontent-length:" + std::to_string(put.size()) + "\r\n\r\n" + put,
    "POST /v3/kv/range HTTP/1.0\r\nContent-Length: " + std::to_string(range.size()) + "\r\n\r\n" + range + "more",
    post("/v3/lease/grant", codec::encode_lease_grant(std::chrono::seconds(10), etcd::lease_id{7})) +
        post("/v3/lease/keepalive", R"({"ID":7}{"ID":8} {"ID":"7"})") + post("/v3/lease/keepalive", "") + post("/v3/lease/keepalive", R"({"ID":7}{"ID":"x"})") +
        post("/v3/lease/keepalive", R"({"ID":"x"})") + post("/v3/lease/keepalive", R"({"ID":)") + post("/v3/kv/range", range),
    open_stream("/v3/lease/keepalive") + chunk(R"({"ID":7})") + chunk(R"({"ID":)") + chunk("8}") + chunk("") + "more",
    open_stream("/v3/watch") + chunk(codec::encode_create(etcd::prefix(""), 7, {1}) + codec::encode_create("b", 0, {})) +
        chunk(codec::encode_progress() + codec::encode_cancel(7)) + chunk(codec::encode_create(etcd::key_range("b", "a"), 9, {})),
    open_stream("/v3/watch", "") + chunk(codec::encode_create("a", 7, {})) + chunk(codec::encode_create("b", 7, {})) + chunk("") + post("/v3/kv/range", range),
    post("/v3/watch", codec::encode_create("a", 1, {}) + codec::encode_create("b", 2, {})) + post("/v3/kv/range", range),
    open_stream("/v3/watch") + chunk("[]") + post("/v3/kv/range", range),
    post("/v3/watch", R"({"create_request":{"key":"*"}})") + post("/v3/kv/range", range),
    open_stream("/v3/watch", "Grpc-Metadata-hasleader: true\r\nConnection: close\r\n") + chunk(codec::encode_create("a", 1, {}) + ",{") + chunk(codec::encode_progress()),
    "hello world\r\n\r\n",
    post("/v3/kv/range", range) + "hello world\r\n\r\n",
    "POST /v3/kv/range HTTP/1.1\r\n\r\n",
    "POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /v3/kv/range HTTP/1.1\r\nHost : a\r\n\r\n",
    open_stream("/v3/kv/range") + "zz\r\n{}\r\n",
    open_stream("/v3/watch") + chunk(codec::encode_create("a", 1, {})) + "zz\r\n{}\r\n",
    open_stream("/v3/watch", "") + "zz\r\n{}\r\n",
    open_stream("/v3/kv/range") + "fffffffffffffffff\r\n{}\r\n",
    open_stream("/v3/kv/range") + "2\r\n{}x\r\n",
};

struct heard {
    std::string text;
    bool finished = false;
    bool operator==(const heard&) const = default;
};

// `piece(left)` is the size of the next piece.
template <class Piece> heard hear(std::string_view conversation, Piece piece) {
    test_member member;
    member.store.put({"a", "0"});
    model::gateway_connection connection(member);
    heard result;
    connection.on_output = [&] { result.text += connection.take_output(); };
    while (!conversation.empty()) {
        const auto size = piece(conversation.size());
        connection.receive(conversation.substr(0, size));
        connection.push();
        conversation.remove_prefix(size);
    }
    result.finished = connection.finished();
    return result;
}

heard hear_at_once(std::string_view conversation) {
    return hear(conversation, [](std::size_t left) { return left; });
}

std::string statuses(std::string text) {
    std::string result;
    while (!text.empty()) {
        const auto reply = take_reply(text);
        result += std::to_string(reply.status) + (reply.complete || reply.status == 100 ? " " : "... ");
    }
    return result;
}

} // namespace

TEST_CASE("in_memory gateway: how a conversation is cut into pieces changes nothing") {
    mutations::mutator random(1, {}, {});
    for (const auto& conversation : conversations) {
        INFO(mutations::shown(conversation.substr(0, 300)));
        const auto whole = hear_at_once(conversation);
        CHECK(hear(conversation, [](std::size_t) { return std::size_t{1}; }) == whole);
        for (int i = 0; i < 20; ++i) CHECK(hear(conversation, [&random](std::size_t left) { return 1 + random.below(std::min<std::size_t>(left, 40)); }) == whole);
    }
}

TEST_CASE("in_memory gateway: requests on one connection are answered one after the other") {
    CHECK(statuses(hear_at_once(conversations[0]).text) == "200 200 400 ");
    CHECK(statuses(hear_at_once(conversations[1]).text) == "200 ");
    CHECK(hear_at_once(conversations[1]).finished);
    CHECK(statuses(hear_at_once(conversations[2]).text) == "200 200 ");
    CHECK(statuses(hear_at_once(conversations[3]).text) == "100 200 404 200 ");
    CHECK(statuses(hear_at_once(conversations[6]).text) == "200 200 200 200 500 500 200 ");
    CHECK_FALSE(hear_at_once(conversations[6]).finished);
}

TEST_CASE("in_memory gateway: what is no HTTP ends the connection, with a word where it began well") {
    CHECK(hear_at_once("hello world\r\n\r\n") == heard{"", true});
    const auto later = hear_at_once(post("/v3/kv/range", range) + "hello world\r\n\r\n");
    CHECK(statuses(later.text) == "200 400 ");
    CHECK(later.finished);
    for (const auto& bad : {"\r\n", "POST / HTTP/2.0\r\n", "POST HTTP/1.1\r\n"}) CHECK(hear_at_once(bad).finished);
    auto chunked = hear_at_once(open_stream("/v3/kv/range", "") + "zz\r\n");
    CHECK(chunked.finished);
    CHECK(refusal_of(take_reply(chunked.text)) == "3: invalid byte in chunk length (400)");
}

TEST_CASE("in_memory gateway: a head or a body without end is given up") {
    const auto head = hear_at_once("POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nX: " + std::string(1'060'000, 'x'));
    CHECK(statuses(head.text) == "431 ");
    CHECK(head.finished);
    CHECK(statuses(hear_at_once("POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nX: " + std::string(1'050'000, 'x') + "\r\n\r\n").text) == "400 ");
    auto body = hear_at_once(post("/v3/kv/put", std::string(17 * 1024 * 1024, ' ')));
    CHECK(body.finished);
    CHECK(refusal_of(take_reply(body.text)) == "8: grpc: received message larger than max (429)");
    const auto message = hear_at_once(open_stream("/v3/watch") + chunk("{\"x\":\"" + std::string(17 * 1024 * 1024, ' ')));
    CHECK(statuses(message.text) == "500 ");
    CHECK(hear_at_once(open_stream("/v3/kv/range") + std::string(5000, '0')).finished);
}

TEST_CASE("in_memory gateway: deep nesting is refused or read, and breaks nothing") {
    test_member member;
    CHECK(ask(member, "/v3/kv/range", std::string(1000, '[')).status == 400);
    CHECK(ask(member, "/v3/kv/range", "{\"x\":" + std::string(1000, '[') + std::string(1000, ']') + "}").status == 400);
    std::string nested = R"({"request_put":{"key":"YQ=="}})";
    for (int i = 0; i < 20; ++i) nested = R"({"request_txn":{"success":[)" + nested + "]}}";
    CHECK(ask(member, "/v3/kv/txn", "{\"success\":[" + nested + "]}").status == 200);
    for (int i = 0; i < 1000; ++i) nested = R"({"request_txn":{"success":[)" + nested + "]}}";
    CHECK(ask(member, "/v3/kv/txn", "{\"success\":[" + nested + "]}").status == 400);
    std::string many;
    for (int i = 0; i < 20000; ++i) many += "{}";
    CHECK(ask(member, "/v3/lease/keepalive", many).status == 200);
    many.clear();
    for (int i = 0; i < 20000; ++i) many += post("/v3/lease/leases", "");
    CHECK_FALSE(hear_at_once(many).finished);
}

TEST_CASE("in_memory gateway: ten thousand conversations that are almost right end or go on, in pieces as in one") {
    mutations::mutator mutator(7, conversations,
                               {"\r\n", "\r\n\r\n", "0\r\n\r\n", "ffffffff\r\n", "-1", "9999999999999999999999", "{", "}", "[[[[[[", "\"", "null", "\\u0000", "\xff", ":", " ",
                                "POST /v3/watch HTTP/1.1\r\n", "Host: a\r\n", "Connection: close\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\n"});
    for (int i = 0; i < 10000; ++i) {
        mutator.choose();
        const auto conversation = mutator.next();
        const auto whole = hear_at_once(conversation);
        const auto pieces = hear(conversation, [&mutator](std::size_t left) { return 1 + mutator.below(std::min<std::size_t>(left, 60)); });
        if (pieces == whole) continue;
        INFO(mutations::shown(conversation));
        CHECK(mutations::shown(pieces.text) == mutations::shown(whole.text));
        CHECK(pieces.finished == whole.finished);
    }
}
