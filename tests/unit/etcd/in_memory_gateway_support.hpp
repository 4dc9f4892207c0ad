#pragma once
// A member with a store of its own, a client's end of its connections, and what they say taken apart.

#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/in_memory/gateway.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etcdcoll::test {

namespace model = etcd::model;
namespace codec = etcd::codec;

class test_member final : public model::member {
public:
    model::store& data() noexcept override { return store; }
    time_point now() const noexcept override { return time; }
    etcd::response_header header() const noexcept override {
        etcd::response_header result;
        result.cluster_id = 10164733486537286275U;
        result.member_id = 10722043876776841145U;
        result.raft_term = 2;
        return result;
    }
    std::string version() const override { return "3.5.21"; }
    std::vector<std::string> client_urls() const override { return {"http://a:2379", "http://b:2379"}; }
    std::uint64_t leader() const noexcept override { return led ? header().member_id : 0; }
    std::size_t message_limit() const noexcept override { return limit; }
    bool history_waits() const noexcept override { return waits; }
    void admit(std::shared_ptr<model::pending_call> call) override {
        if (holds) {
            held.push_back(std::move(call));
        } else {
            call->execute();
        }
    }

    model::store store;
    time_point time = time_point(std::chrono::hours(1));
    bool led = true;
    bool waits = false;
    bool holds = false;
    std::size_t limit = 2 * 1024 * 1024;
    std::vector<std::shared_ptr<model::pending_call>> held;
};

inline constexpr std::string_view header_text = R"("header":{"cluster_id":"10164733486537286275","member_id":"10722043876776841145","revision":")";

inline std::string post(std::string_view path, std::string_view body, std::string_view fields = {}) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: in-memory\r\n" + std::string(fields) + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + std::string(body);
}

inline std::string chunk(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string size;
    for (auto rest = text.size(); rest != 0; rest /= 16) size.insert(size.begin(), digits[rest % 16]);
    return (size.empty() ? "0" : size) + "\r\n" + std::string(text) + "\r\n";
}

/// The head of a stream that stays open in both directions, as the client opens it.
inline std::string open_stream(std::string_view path, std::string_view fields = "Connection: close\r\n") {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: in-memory\r\nContent-Type: application/json\r\n" + std::string(fields) +
           "Transfer-Encoding: chunked\r\n\r\n";
}

struct http_reply {
    int status = 0;
    std::string head;
    std::string body;
    bool chunked = false;
    bool complete = false;
};

/// The first reply of `text`, which loses it. What is no reply fails the test.
inline http_reply take_reply(std::string& text) {
    http_reply reply;
    const auto end = text.find("\r\n\r\n");
    REQUIRE(text.starts_with("HTTP/1.1 "));
    REQUIRE(end != std::string::npos);
    reply.status = std::stoi(text.substr(9));
    reply.head = text.substr(0, end + 2);
    text.erase(0, end + 4);
    reply.chunked = reply.head.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos;
    if (reply.status == 100) return reply;
    if (!reply.chunked) {
        const auto length = reply.head.find("\r\nContent-Length: ");
        REQUIRE(length != std::string::npos);
        const auto size = static_cast<std::size_t>(std::stoul(reply.head.substr(length + 18)));
        REQUIRE(text.size() >= size);
        reply.body = text.substr(0, size);
        text.erase(0, size);
        reply.complete = true;
        return reply;
    }
    while (!text.empty() && !reply.complete) {
        const auto size = static_cast<std::size_t>(std::stoul(text, nullptr, 16));
        const auto line = text.find("\r\n");
        REQUIRE(line != std::string::npos);
        REQUIRE(text.substr(line + 2 + size, 2) == "\r\n");
        reply.body += text.substr(line + 2, size);
        text.erase(0, line + 2 + size + 2);
        reply.complete = size == 0;
    }
    return reply;
}

/// Sends one request on a connection of its own, and takes the whole answer.
inline http_reply ask(test_member& member, std::string_view path, std::string_view body, std::string_view fields = {}) {
    model::gateway_connection connection(member);
    connection.receive(post(path, body, fields));
    auto text = connection.take_output();
    auto reply = take_reply(text);
    CHECK(reply.complete);
    CHECK(text.empty());
    return reply;
}

/// As the client reads it.
template <class Reply> Reply decoded(const http_reply& reply) {
    CHECK(reply.status == 200);
    Reply result;
    codec::decode(reply.body, result);
    return result;
}

/// "code: message (HTTP status)"
inline std::string refusal_of(const http_reply& reply) {
    const auto error = codec::decode_error(reply.body);
    return std::to_string(error.code) + ": " + error.message + " (" + std::to_string(reply.status) + ")";
}

} // namespace etcdcoll::test
