#include "tcp_peers.hpp"
#include <support/fault_proxy.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using etcdcoll::test::after_reply;
using etcdcoll::test::close_how;
using etcdcoll::test::fault_proxy;
using etcdcoll::test::fault_rule;
using etcdcoll::test::traffic;
using peers::ending;
using namespace std::chrono_literals;

namespace {

const auto limit = std::chrono::milliseconds{peers::deadline};
const std::string path = "/v3/kv/txn";

std::string post(std::string_view body, std::string_view target = path) {
    return "POST " + std::string{target} + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string{body};
}

const std::string request = post("{\"a\":1}");
const std::string response = peers::echo_server::response_to("{\"a\":1}");

struct fixture {
    peers::echo_server server;
    fault_proxy proxy{"127.0.0.1", server.port()};

    struct result {
        std::string bytes;
        ending how = ending::timeout;
    };

    std::unique_ptr<peers::stream> connect() const {
        const int fd = peers::connect_to(proxy.port());
        REQUIRE(fd >= 0);
        return std::make_unique<peers::stream>(fd);
    }
    // One request on a connection of its own, read until the proxy ends it.
    result ask_until_end(std::string_view bytes) const {
        const auto client = connect();
        client->send(bytes);
        result r;
        r.how = client->receive_all(r.bytes);
        return r;
    }
};

std::string ask(const peers::stream& client, const std::string& body, std::string_view target = path) {
    std::string reply;
    client.send(post(body, target));
    const auto whole = peers::echo_server::response_to(body);
    auto how = ending::open;
    while (how == ending::open && reply.size() < whole.size()) how = client.receive(reply);
    return reply;
}

ending expected(close_how how) { return how == close_how::fin ? ending::eof : ending::reset; }

} // namespace

TEST_CASE("fault_proxy: passes through unchanged and counts, by default") {
    fixture f;
    const auto client = f.connect();
    for (const std::string body : {"one", "two", ""}) {
        CHECK(ask(*client, body) == peers::echo_server::response_to(body));
    }
    CHECK(ask(*client, "range", "/v3/kv/range") == peers::echo_server::response_to("range"));
    CHECK(f.proxy.requests() == 4);
    CHECK(f.proxy.requests(path) == 3);
    CHECK(f.proxy.responses("/v3/kv/range") == 1);
    CHECK(f.proxy.last_request_size("/range") == post("range", "/v3/kv/range").size());
    CHECK(f.proxy.last_response_size("/txn") == peers::echo_server::response_to("").size());
    const auto log = f.proxy.log();
    REQUIRE(log.size() == 4);
    CHECK(log[0].path == path);
    CHECK(log[0].request_bytes == post("one").size());
    CHECK(log[0].response_complete);
    CHECK(log[0].status == 200);
    const auto totals = f.proxy.totals();
    CHECK(totals.connections == 1);
    CHECK(totals.bytes_to_server == f.server.now(0).size());
    CHECK(totals.cuts == 0);
}

TEST_CASE("fault_proxy: cuts a request after each byte, with FIN and with RST") {
    fixture f;
    std::size_t connection = 0;
    for (const auto how : {close_how::fin, close_how::rst}) {
        for (std::size_t k = 0; k <= request.size(); ++k) {
            CAPTURE(k, how == close_how::rst);
            f.proxy.add(fault_rule{path}.cut_request_after(k, how));
            const auto seen = f.ask_until_end(request);
            CHECK(seen.bytes.empty());
            CHECK(seen.how == expected(how));
            CHECK(f.server.ended(connection++) == request.substr(0, k));
        }
    }
    CHECK(f.proxy.totals().cuts == connection);
}

TEST_CASE("fault_proxy: cuts a response after each byte, with FIN and with RST, when the server has executed") {
    fixture f;
    std::size_t connection = 0;
    for (const auto how : {close_how::fin, close_how::rst}) {
        for (std::size_t k = 0; k <= response.size(); ++k) {
            CAPTURE(k, how == close_how::rst);
            f.proxy.add(fault_rule{path}.cut_response_after(k, how));
            const auto seen = f.ask_until_end(request);
            CHECK(seen.bytes == response.substr(0, k));
            CHECK(seen.how == expected(how));
            CHECK(f.server.ended(connection++) == request);
        }
    }
    CHECK(f.proxy.totals().cuts == connection);
}

TEST_CASE("fault_proxy: drops a reply only when all of it has come from the server") {
    fixture f;
    const auto rule = f.proxy.add(fault_rule{path}.drop_reply());
    const auto seen = f.ask_until_end(request);
    CHECK(seen.bytes.empty());
    CHECK(seen.how == ending::eof);
    CHECK(f.proxy.hits(rule) == 1);
    CHECK(f.proxy.responses(path) == 1);
    CHECK(f.proxy.last_response_size(path) == response.size());
    CHECK(f.server.now(0) == request);
}

TEST_CASE("fault_proxy: a predicate sees a request whole that comes in pieces") {
    fixture f;
    f.proxy.add(fault_rule{}.when([](std::string_view bytes) { return bytes == request; }).drop_reply(close_how::rst));
    const auto client = f.connect();
    for (const char byte : request) client->send(std::string_view{&byte, 1});
    std::string seen;
    CHECK(client->receive_all(seen) == ending::reset);
    CHECK(f.server.ended(0) == request);
}

TEST_CASE("fault_proxy: as one that buffers, passes on requests that are whole, and nothing of others") {
    fixture f;
    f.proxy.whole_requests();
    const auto whole = f.connect();
    for (const char byte : request) whole->send(std::string_view{&byte, 1});
    std::string reply;
    while (reply.size() < response.size()) REQUIRE(whole->receive(reply) == ending::open);
    CHECK(reply == response);
    CHECK(f.proxy.requests() == 1);

    const auto open = f.connect();
    open->send("POST /v3/watch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n");
    open->shut(SHUT_WR);
    std::string nothing;
    CHECK(open->receive_all(nothing) == ending::eof);
    CHECK(nothing.empty());
    CHECK(f.server.ended(1).empty());
    CHECK(f.proxy.requests() == 1);
}

TEST_CASE("fault_proxy: counts requests one by one that come in one piece, and keeps their replies in order") {
    fixture f;
    f.proxy.add(fault_rule{}.skip(1).reply_with("(made up)"));
    f.proxy.add(fault_rule{}.skip(2).cut_response_after(response.size()));
    const auto seen = f.ask_until_end(request + request + request + request);
    CHECK(seen.bytes == response + "(made up)" + response);
    CHECK(f.proxy.totals().cuts == 1);
}

TEST_CASE("fault_proxy: passes and cuts messages of megabytes") {
    fixture f;
    const std::string body(2'000'000, 'x');
    const auto client = f.connect();
    CHECK(ask(*client, body) == peers::echo_server::response_to(body));
    f.proxy.add(fault_rule{}.cut_response_after(1'234'567));
    CHECK(ask(*client, body) == peers::echo_server::response_to(body).substr(0, 1'234'567));
}

TEST_CASE("fault_proxy: splits without changing a byte") {
    fixture f;
    const auto client = f.connect();
    for (const std::size_t size : {1, 2, 3, 7}) {
        f.proxy.add(fault_rule{}.split_request(size).split_response(size, 1ms));
        CHECK(ask(*client, "{\"a\":1}") == response);
    }
    CHECK(f.server.now(0) == request + request + request + request);
}

TEST_CASE("fault_proxy: a stall holds up exactly the rest until it is released") {
    fixture f;
    const auto client = f.connect();
    f.proxy.add(fault_rule{}.stall_request(9));
    client->send(request);
    REQUIRE(f.proxy.wait_for_stalled(1, limit));
    CHECK(f.server.received(0, 9) == request.substr(0, 9));
    f.proxy.release();
    std::string seen;
    client->receive_until(seen, "{\"a\":1}");
    CHECK(seen == response);
    CHECK(f.proxy.totals().stalled == 0);

    f.proxy.add(fault_rule{}.stall_response());
    client->send(request);
    REQUIRE(f.proxy.wait_for_stalled(1, limit));
    CHECK(client->silent());
    CHECK(f.proxy.responses() == 2);
    f.proxy.release();
    seen.clear();
    client->receive_until(seen, "{\"a\":1}");
    CHECK(seen == response);
}

TEST_CASE("fault_proxy: delays a request and a response by at least what the rule says") {
    fixture f;
    const auto client = f.connect();
    f.proxy.add(fault_rule{}.delay_request(30ms).delay_response(30ms));
    const auto start = std::chrono::steady_clock::now();
    CHECK(ask(*client, "{\"a\":1}") == response);
    CHECK(std::chrono::steady_clock::now() - start >= 60ms);
}

TEST_CASE("fault_proxy: replies with any bytes, also without a server") {
    fault_proxy proxy;
    proxy.add(fault_rule{path}.reply_with("HTTP/9 \xff garbage", after_reply::fin));
    proxy.add(fault_rule{"/watch"}.reply_with("gone", after_reply::rst).split_response(1));
    const std::vector<std::pair<std::string, std::string>> cases{
        {request, "HTTP/9 \xff garbage"},
        {"POST /v3/watch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "gone"},
        {post("x", "/unknown"), ""}};
    for (const auto& [bytes, reply] : cases) {
        const peers::stream client{peers::connect_to(proxy.port())};
        client.send(bytes);
        std::string seen;
        CHECK(client.receive_all(seen) == (reply.starts_with("HTTP") ? ending::eof : ending::reset));
        CHECK(seen == reply);
    }
}

TEST_CASE("fault_proxy: an endless reply goes on until the client closes") {
    fault_proxy proxy;
    proxy.add(fault_rule{path}.reply_with("begin:").then_endlessly("more"));
    {
        const peers::stream client{peers::connect_to(proxy.port())};
        client.send(request);
        std::string seen;
        while (seen.size() < 100'000 && client.receive(seen) == ending::open) continue;
        CHECK(seen.size() >= 100'000);
        CHECK(seen.starts_with("begin:moremoremore"));
    }
    CHECK(proxy.wait_for([](const traffic& now) { return now.open_connections == 0; }, limit));
}

TEST_CASE("fault_proxy: a watch with an open body passes both ways, is counted, and can be cut") {
    fixture f;
    const auto client = f.connect();
    const std::string head = "POST /v3/watch HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    client->send(head + "2\r\n{}\r\n");
    std::string seen;
    CHECK(client->receive_until(seen, "]\r\n") == ending::open);
    seen.clear();
    client->send("1\r\n \r\n");
    CHECK(client->receive_until(seen, "]\r\n") == ending::open);
    CHECK(f.server.received(0, head.size() + 13) == head + "2\r\n{}\r\n1\r\n \r\n");
    CHECK(f.proxy.requests("/v3/watch") == 1);
    CHECK(f.proxy.responses("/v3/watch") == 0);
    CHECK(f.proxy.totals().watch_events >= 2);

    const std::size_t k = 30;
    f.proxy.add(fault_rule{"/v3/watch"}.cut_response_after(k, close_how::rst));
    const auto cut = f.ask_until_end(head + "2\r\n{}\r\n");
    CHECK(cut.bytes.size() == k);
    CHECK(cut.how == ending::reset);
}

TEST_CASE("fault_proxy: refuses, and accepts again on the same port") {
    fixture f;
    const auto old = f.connect();
    CHECK(ask(*old, "before") == peers::echo_server::response_to("before"));
    f.proxy.refuse();
    CHECK(peers::connect_to(f.proxy.port()) == -1);
    CHECK(errno == ECONNREFUSED);
    CHECK(ask(*old, "still") == peers::echo_server::response_to("still"));
    f.proxy.accept_again();
    CHECK(ask(*f.connect(), "again") == peers::echo_server::response_to("again"));
}

TEST_CASE("fault_proxy: a black hole accepts and stays silent until it ends") {
    fixture f;
    const auto old = f.connect();
    CHECK(ask(*old, "x") == peers::echo_server::response_to("x"));
    f.proxy.black_hole();
    const auto young = f.connect();
    old->send(request);
    young->send(request);
    REQUIRE(f.proxy.wait_for([](const traffic& t) { return t.connections == 2 && t.requests == 2; }, limit));
    CHECK(f.server.now(0) == post("x"));
    CHECK(old->silent());
    CHECK(young->silent());
    f.proxy.pass_through();
    for (const auto* client : {old.get(), young.get()}) {
        std::string seen;
        client->receive_until(seen, "{\"a\":1}");
        CHECK(seen == response);
    }
}

TEST_CASE("fault_proxy: cuts all connections at once") {
    fixture f;
    for (const auto how : {close_how::fin, close_how::rst}) {
        const auto one = f.connect();
        const auto two = f.connect();
        ask(*one, "1");
        ask(*two, "2");
        f.proxy.cut_all(how);
        std::string seen;
        CHECK(one->receive_all(seen) == expected(how));
        CHECK(two->receive_all(seen) == expected(how));
        CHECK(seen.empty());
    }
    CHECK(f.proxy.wait_for([](const traffic& t) { return t.open_connections == 0; }, limit));
}

TEST_CASE("fault_proxy: an end of stream passes in both directions") {
    fixture f;
    const auto client = f.connect();
    client->send(request.substr(0, 20));
    client->shut(SHUT_WR);
    std::string seen;
    CHECK(client->receive_all(seen) == ending::eof);
    CHECK(f.server.ended(0) == request.substr(0, 20));
    CHECK(f.proxy.wait_for([](const traffic& t) { return t.open_connections == 0; }, limit));
}

TEST_CASE("fault_proxy: random loss drops the same replies for the same seed, and never the request") {
    const auto lost = [](std::uint64_t seed) {
        fixture f;
        f.proxy.random_reply_loss(0.3, seed, path);
        std::set<int> result;
        for (int i = 0; i < 100; ++i) {
            const auto client = f.connect();
            ask(*client, "free", "/v3/kv/range");
            if (ask(*client, "{\"a\":1}").empty()) result.insert(i);
        }
        CHECK(f.proxy.responses(path) == 100);
        CHECK(f.proxy.responses("/range") == 100);
        CHECK(f.proxy.totals().cuts == result.size());
        return result;
    };
    const auto first = lost(1);
    CHECK(first.size() > 15);
    CHECK(first.size() < 45);
    CHECK(lost(1) == first);
    CHECK(lost(2) != first);
}

TEST_CASE("fault_proxy: its end waits for nobody") {
    const auto start = std::chrono::steady_clock::now();
    peers::echo_server server;
    std::optional<fault_proxy> proxy{std::in_place, "127.0.0.1", server.port()};
    const peers::stream stalled{peers::connect_to(proxy->port())};
    proxy->add(fault_rule{}.stall_request());
    stalled.send(request);
    CHECK(proxy->wait_for_stalled(1, limit));
    proxy->add(fault_rule{}.delay_request(1h));
    const peers::stream delayed{peers::connect_to(proxy->port())};
    delayed.send(request);
    CHECK(proxy->wait_for_requests(2, path, limit));
    proxy->black_hole();
    const peers::stream silent{peers::connect_to(proxy->port())};
    proxy.reset();
    std::string seen;
    CHECK(stalled.receive_all(seen) != ending::timeout);
    CHECK(silent.receive_all(seen) != ending::timeout);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}
