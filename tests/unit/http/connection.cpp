#include "peers.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <boost/asio/this_coro.hpp>

using namespace peers;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

struct asked {
    std::string result; ///< "200 body", or what went wrong
    bool reusable = false;
};

asio::awaitable<void> ask_on(std::uint16_t port, http::limits caps, duration limit, asked* into) {
    const auto executor = co_await asio::this_coro::executor;
    http::connection link(executor, environment::system(), at_port(port), caps, std::make_shared<http::traffic>());
    try {
        co_await link.open(in(1s));
        const auto deadline = in(limit);
        const auto reply = co_await link.exchange("/ask", "", "{}", deadline);
        into->result = std::to_string(reply.status) + " " + reply.body;
    } catch (const http::failure& failure) {
        into->result = describe(failure);
    }
    into->reusable = link.reusable();
}

asked ask(std::uint16_t port, http::limits caps = {}, duration limit = 5s) {
    asked into;
    test::run(ask_on(port, caps, limit, &into), 10s);
    return into;
}

asked answered(fault_rule rule, http::limits caps = {}, duration limit = 5s) {
    fault_proxy proxy;
    proxy.add(std::move(rule));
    return ask(proxy.port(), caps, limit);
}

asked answered(std::string bytes, after_reply then = after_reply::keep_open, http::limits caps = {}) {
    return answered(fault_rule().reply_with(std::move(bytes), then), caps);
}

const std::string chunked = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
                            "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX: y\r\n\r\n";

} // namespace

TEST_CASE("connection: takes a whole reply, and is fit for another") {
    const auto plain = answered(ok("hello"));
    CHECK(plain.result == "200 hello");
    CHECK(plain.reusable);
    const auto pieces = answered(chunked);
    CHECK(pieces.result == "404 abcde");
    CHECK(pieces.reusable);
    CHECK(answered(ok("")).result == "200 ");
    CHECK(answered("HTTP/1.1 204 No Content\r\n\r\n").result == "204 ");
}

TEST_CASE("connection: a reply that comes byte by byte is the same reply") {
    for (const auto& text : {ok("hello"), chunked}) {
        const auto whole = answered(text);
        const auto split = answered(fault_rule().reply_with(text).split_response(1));
        CHECK(split.result == whole.result);
        CHECK(split.reusable);
    }
}

TEST_CASE("connection: a reply cut after any byte is never a success") {
    fault_proxy proxy;
    for (const auto how : {close_how::fin, close_how::rst}) {
        for (const auto& text : {ok("hello"), chunked}) {
            for (std::size_t size = 0; size < text.size(); ++size) {
                proxy.clear_rules();
                proxy.add(fault_rule().reply_with(text).cut_response_after(size, how));
                const auto cut = ask(proxy.port());
                INFO(size << " of " << text.size() << " bytes");
                CHECK_THAT(cut.result, StartsWith("connection failed: "));
                CHECK_THAT(cut.result, !ContainsSubstring("[not sent]"));
                CHECK(!cut.reusable);
            }
        }
    }
}

TEST_CASE("connection: a reply that does not say how long it is counts only as an error's text") {
    CHECK_THAT(answered("HTTP/1.1 200 OK\r\n\r\n{}", after_reply::fin).result, StartsWith("bad reply: the reply does not say how long"));
    CHECK(answered("HTTP/1.1 503 Unavailable\r\n\r\nbusy", after_reply::fin).result == "503 busy");
    CHECK_THAT(answered("HTTP/1.1 503 Unavailable\r\n\r\nbusy", after_reply::rst).result, StartsWith("connection failed"));
}

TEST_CASE("connection: refuses lengths that cannot be, or contradict each other") {
    const char* const bad[] = {
        "Content-Length: 2\r\nContent-Length: 3", "Content-Length: -1", "Content-Length: 9223372036854775808", "Content-Length: 18446744073709551617",
        "Content-Length: 2x", "Content-Length:", "Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Content-Length: 2, 3"};
    for (const auto* fields : bad) {
        const auto reply = answered("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n\r\n{}", after_reply::fin);
        INFO(fields << " -> " << reply.result);
        const bool large = std::string_view(fields) == "Content-Length: 9223372036854775808"; // a number, all the same
        CHECK_THAT(reply.result, StartsWith(large ? "too large: " : "bad reply: "));
        CHECK(!reply.reusable);
    }
}

TEST_CASE("connection: refuses broken chunks") {
    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const auto* body : {"x\r\n", "-1\r\nabc", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "\r\n"}) {
        INFO(body);
        CHECK_THAT(answered(head + body, after_reply::fin).result, StartsWith("bad reply: "));
    }
}

TEST_CASE("connection: holds no more of a peer's header and body than it is told to") {
    http::limits caps;
    caps.header = 2048;
    caps.body = 1000;
    const std::string big(1001, 'x');
    CHECK(answered(ok(big.substr(1)), after_reply::keep_open, caps).result.size() == 1004);
    CHECK_THAT(answered(ok(big), after_reply::keep_open, caps).result, StartsWith("too large: the reply is larger than"));
    CHECK_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", after_reply::keep_open, caps).result, StartsWith("too large: the reply is larger than"));

    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK_THAT(answered(head + "3e9\r\n" + big + "\r\n0\r\n\r\n", after_reply::keep_open, caps).result, StartsWith("too large: the reply is larger than"));
    std::string many = head;
    for (int i = 0; i < 101; ++i) many += "a\r\n0123456789\r\n";
    CHECK_THAT(answered(many + "0\r\n\r\n", after_reply::keep_open, caps).result, StartsWith("too large: "));

    CHECK_THAT(answered("HTTP/1.1 200 OK\r\nX: " + std::string(4096, 'x'), after_reply::keep_open, caps).result, StartsWith("bad reply: "));
    std::string fields = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 400; ++i) fields += "X: yyy\r\n";
    CHECK_THAT(answered(fields, after_reply::keep_open, caps).result, StartsWith("bad reply: "));
    CHECK_THAT(answered("HTTP/1.1 200 " + std::string(4096, 'O'), after_reply::keep_open, caps).result, StartsWith("bad reply: "));
    CHECK_THAT(answered(head + "3;" + std::string(600'000, 'x'), after_reply::keep_open, caps).result, StartsWith("bad reply: "));
    CHECK_THAT(answered(head + "0\r\nX: " + std::string(600'000, 'x'), after_reply::keep_open, caps).result, StartsWith("bad reply: "));
}

TEST_CASE("connection: refuses a Content-Encoding that nobody asked for") {
    const std::string rest = "\r\nContent-Length: 2\r\n\r\n{}";
    CHECK_THAT(answered("HTTP/1.1 200 OK\r\nContent-Encoding: gzip" + rest).result, ContainsSubstring("Content-Encoding"));
    CHECK(answered("HTTP/1.1 200 OK\r\nContent-Encoding: identity" + rest).result == "200 {}");
}

TEST_CASE("connection: says what a port speaks that is not HTTP/1") {
    CHECK_THAT(answered(std::string("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", 15)).result, ContainsSubstring("HTTP/2 only") && ContainsSubstring("--listen-client-http-urls"));
    CHECK_THAT(answered(std::string("\x15\x03\x01\0\x02\x02\x46", 7)).result, ContainsSubstring("speaks TLS"));
    CHECK_THAT(answered("SSH-2.0-OpenSSH_9.2\r\n").result, StartsWith("bad reply: not a reply of etcd: "));
    CHECK_THAT(answered("\xff\xfe\xfd and words\r\n\r\n").result, StartsWith("bad reply: "));
    CHECK_THAT(answered("HTTP/3.0 200 OK\r\n\r\n").result, StartsWith("bad reply: "));
    CHECK_THAT(answered("HTTP/1.1 2000 OK\r\n\r\n").result, StartsWith("bad reply: "));
    CHECK(answered("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}").result == "bad reply: status 99");
}

TEST_CASE("connection: bytes behind a reply, and a peer that closes, end its use") {
    CHECK(answered(ok("a") + "x").result == "200 a");
    CHECK(!answered(ok("a") + "x").reusable);
    CHECK(!answered(ok("a") + ok("b")).reusable);
    CHECK(!answered("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na").reusable);
    CHECK(!answered("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na").reusable);
}

TEST_CASE("connection: skips informational replies, also several that come at once, but not without end") {
    const std::string one = "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(answered(one + ok("a")).result == "200 a");
    CHECK(answered(one + one + one + ok("a")).result == "200 a");
    CHECK(answered(fault_rule().reply_with(one + one + ok("a")).split_response(1)).result == "200 a");
    CHECK(answered(one + one + ok("a")).reusable);
    std::string many;
    for (int i = 0; i < 100; ++i) many += one;
    CHECK_THAT(answered(many + ok("a")).result, StartsWith("bad reply: status 100"));
    CHECK_THAT(answered("HTTP/1.1 101 Switching Protocols\r\n\r\n").result, StartsWith("bad reply: status 101"));
    CHECK_THAT(answered(one, after_reply::fin).result, StartsWith("connection failed"));
}

TEST_CASE("connection: a silent peer costs the deadline, no more") {
    const auto begin = environment::system()->now();
    const auto silent = answered(fault_rule().reply_with(ok("a")).stall_response(), {}, 200ms);
    CHECK(silent.result == "timed out: waiting for the reply took too long");
    CHECK(!silent.reusable);
    const auto half = answered(fault_rule().reply_with(ok("a")).stall_response(20), {}, 200ms);
    CHECK(half.result == "timed out: in the middle of the reply took too long");
    const auto took = environment::system()->now() - begin;
    CHECK(took >= 400ms);
    CHECK(took < 3s);
}

TEST_CASE("connection: a port where nobody listens is told as such, and nothing was sent") {
    fault_proxy proxy;
    proxy.refuse();
    CHECK(ask(proxy.port()).result == "connection failed: connection refused (connecting) [not sent]");
}

TEST_CASE("connection: a name that does not exist is told as such, and nothing was sent") {
    asked into;
    const auto look_up = [](asked* result) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        http::endpoint peer;
        peer.host = "no-such-host.invalid";
        http::connection link(executor, environment::system(), peer, {}, std::make_shared<http::traffic>());
        try {
            co_await link.open(in(5s));
        } catch (const http::failure& failure) {
            result->result = describe(failure);
        }
    };
    test::run(look_up(&into));
    CHECK_THAT(into.result, StartsWith("connection failed: ") || StartsWith("timed out: "));
    CHECK_THAT(into.result, ContainsSubstring("[not sent]"));
}

TEST_CASE("connection: sends its request as one piece, with a length and no more than it needs") {
    std::string seen;
    fault_proxy proxy;
    proxy.add(fault_rule().reply_with(ok("")).when([&seen](std::string_view request) {
        seen = request;
        return true;
    }));
    CHECK(ask(proxy.port()).result == "200 ");
    CHECK(seen == "POST /ask HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(proxy.port()) +
                      "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

namespace {

asio::awaitable<void> stream_on(std::uint16_t port, std::string* into) {
    const auto executor = co_await asio::this_coro::executor;
    http::connection link(executor, environment::system(), at_port(port), {}, std::make_shared<http::traffic>());
    try {
        co_await link.open(in(1s));
        co_await link.begin_stream("/v3/watch", "X: y\r\n", "{}", in(1s));
        CHECK(link.stream_status() == 0);
        for (;;) {
            const auto piece = co_await link.read_piece();
            if (piece.empty()) break;
            CHECK(link.stream_status() == 200);
            *into += piece;
        }
        *into += "|end";
    } catch (const http::failure& failure) {
        *into += "|" + describe(failure);
    }
    CHECK(!link.reusable());
}

// The first piece with its status, and whether it was the last.
asio::awaitable<void> first_piece_on(std::uint16_t port, std::string* into) {
    const auto executor = co_await asio::this_coro::executor;
    http::connection link(executor, environment::system(), at_port(port), {}, std::make_shared<http::traffic>());
    try {
        co_await link.open(in(1s));
        co_await link.begin_stream("/v3/watch", "X: y\r\n", "{}", in(1s));
        const auto piece = co_await link.read_piece();
        *into = std::to_string(link.stream_status()) + " " + std::string(piece);
        if (piece.size() > 1000) co_return;
        const auto next = co_await link.read_piece();
        *into += next.empty() ? "|end" : "|more";
    } catch (const http::failure& failure) {
        *into += "|" + describe(failure);
    }
}

std::string refused(fault_rule rule) {
    fault_proxy proxy;
    proxy.add(std::move(rule));
    std::string into;
    test::run(first_piece_on(proxy.port(), &into), 10s);
    return into;
}

std::string streamed(fault_rule rule) {
    fault_proxy proxy;
    proxy.add(std::move(rule));
    std::string into;
    test::run(stream_on(proxy.port(), &into), 10s);
    return into;
}

} // namespace

TEST_CASE("connection: a stream gives its pieces as they come, and tells its end from a cut") {
    const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    CHECK(streamed(fault_rule().reply_with(text)) == "abcde|end");
    CHECK(streamed(fault_rule().reply_with(text).split_response(1)) == "abcde|end");
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto cut = streamed(fault_rule().reply_with(text).cut_response_after(size));
        INFO(size << ": " << cut);
        CHECK(cut.find("|connection failed: connection closed by the server") != std::string::npos);
    }
}

TEST_CASE("connection: a stream may begin with informational replies, but not without end") {
    const std::string one = "HTTP/1.1 103 Early Hints\r\n\r\n";
    const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    CHECK(streamed(fault_rule().reply_with(one + text)) == "abc|end");
    CHECK(streamed(fault_rule().reply_with(one + one + text).split_response(1)) == "abc|end");
    CHECK(streamed(fault_rule().reply_with("").then_endlessly(one)) == "|bad reply: status 103");
    CHECK(streamed(fault_rule().reply_with("HTTP/1.1 101 Switching Protocols\r\n\r\n")) == "|bad reply: status 101");
}

TEST_CASE("connection: a refusal in place of a stream comes as one piece") {
    const std::string sized = "HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nrefusal";
    const std::string in_chunks = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nref\r\n4\r\nusal\r\n0\r\n\r\n";
    const std::string until_end = "HTTP/1.1 403 Forbidden\r\n\r\nrefusal";
    for (const auto& text : {sized, in_chunks, until_end}) {
        INFO(text);
        CHECK(refused(fault_rule().reply_with(text, after_reply::fin)) == "403 refusal|end");
        CHECK(refused(fault_rule().reply_with(text, after_reply::fin).split_response(1)) == "403 refusal|end");
    }
    CHECK(refused(fault_rule().reply_with("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")) == "403 |end");
    CHECK(refused(fault_rule().reply_with(sized.substr(0, sized.size() - 1), after_reply::fin)).find("|connection failed") != std::string::npos);
    const auto endless = refused(fault_rule().reply_with("HTTP/1.1 403 Forbidden\r\n\r\n").then_endlessly(std::string(4096, 'x')));
    CHECK(endless.size() > 64 * 1024);
    CHECK(endless.size() < 512 * 1024);
}
