#include <support/http_framing.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>
#include <vector>

using etcdcoll::test::http_framer;
using side = http_framer::side;
using stage = http_framer::stage;

namespace {

// Feeds `bytes` in pieces of `piece` and returns the lengths of the complete messages.
std::vector<std::size_t> lengths(side which, std::string_view bytes, std::size_t piece, std::string* body = nullptr) {
    http_framer framer{which};
    std::vector<std::size_t> result;
    std::size_t length = 0;
    while (!bytes.empty()) {
        const auto used = framer.consume(bytes.substr(0, piece), body);
        length += used;
        bytes.remove_prefix(used);
        if (framer.where() == stage::not_http) return {};
        if (framer.complete()) {
            result.push_back(length);
            length = 0;
            framer.restart();
        }
    }
    return result;
}

} // namespace

TEST_CASE("http_framing: finds the end of each message, however the bytes are cut") {
    const std::string counted = "POST /v3/kv/put HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
    const std::string chunked = "POST /v3/kv/txn?x=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3;ext=1\r\nabc\r\n0a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    const std::string bare = "GET /version HTTP/1.1\r\n\r\n";
    for (std::size_t piece = 1; piece < 40; ++piece) {
        CAPTURE(piece);
        std::string body;
        const auto found = lengths(side::request, counted + chunked + bare + counted, piece, &body);
        CHECK(found == std::vector{counted.size(), chunked.size(), bare.size(), counted.size()});
        CHECK(body == "helloabc0123456789hello");
    }
}

TEST_CASE("http_framing: an interim response belongs to the one that follows") {
    const std::string interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const std::string empty = "HTTP/1.1 204 No Content\r\n\r\n";
    for (const std::size_t piece : {1, 2, 3, 7, 1000}) {
        CHECK(lengths(side::response, interim + empty, piece) == std::vector{interim.size(), empty.size()});
    }
}

TEST_CASE("http_framing: knows path, method and status") {
    http_framer request{side::request};
    request.consume("POST /v3/watch?a=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(request.method() == "POST");
    CHECK(request.path() == "/v3/watch");
    CHECK(request.chunked());
    CHECK(request.where() == stage::body);
    http_framer response{side::response};
    response.consume("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    CHECK(response.status() == 503);
    CHECK(response.complete());
}

TEST_CASE("http_framing: a response without a length lasts until the connection ends") {
    http_framer framer{side::response};
    framer.consume("HTTP/1.0 200 OK\r\n\r\n");
    CHECK(framer.consume("anything") == 8);
    CHECK(framer.where() == stage::body);
    framer.end_of_stream();
    CHECK(framer.complete());
}

TEST_CASE("http_framing: the response to HEAD has no body") {
    http_framer framer{side::response};
    framer.restart(true);
    framer.consume("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    CHECK(framer.complete());
}

TEST_CASE("http_framing: tells what is not HTTP at the first bytes") {
    for (const std::string_view bytes : {"\x16\x03\x01", "hello", "{}"}) {
        http_framer framer{side::request};
        CHECK(framer.consume(bytes) == 0);
        CHECK(framer.where() == stage::not_http);
    }
    CHECK(lengths(side::response, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 1).empty());
    CHECK(lengths(side::response, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 1).empty());
}
