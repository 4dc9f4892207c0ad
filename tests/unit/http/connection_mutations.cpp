// Replies that are almost HTTP, in pieces of any size: each is a whole reply or a failure, however it was cut into pieces.
#include "../support/mutations.hpp"
#include "peers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/this_coro.hpp>

using namespace peers;

namespace {

const std::vector<std::string> texts = {
    ok(R"({"header":{"revision":"6"}})"),
    "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Headers: accept, content-type, authorization\r\nContent-Type: application/json\r\nGrpc-Metadata-Content-Type: application/grpc\r\n"
    "Date: Sat, 01 Jun 2024 12:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Trailer-Content-Type\r\n\r\n"
    "3\r\nabc\r\n0a;ext=1\r\n0123456789\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok("body"),
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.0 503 Unavailable\r\nConnection: close\r\n\r\nbusy"};

const std::vector<std::string> words = {"\r\n", "\r\n\r\n", "\r", "\n", "\0", ":", ";", " ", "\t", ",", "Content-Length: 5\r\n", "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
                                        "Content-Encoding: gzip\r\n", "Connection: close\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "0\r\n\r\n", "ffffffffffffffff\r\n", "7fffffff\r\n", "-1",
                                        "5\r\nabcde\r\n", "chunked", "\"", "\xff", "\x15\x03\x01", "HTTP/2", "200", "099"};

// Says a text, in pieces of these sizes, and ends.
class saying_stream final : public byte_stream {
public:
    saying_stream(std::string_view text, std::size_t first, std::size_t others) : rest_(text), size_(first), others_(others) {}
    asio::awaitable<void> connect(stream_target, error_code&) override { co_return; }
    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override {
        CHECK(into.size() > 0);
        const auto size = std::min({into.size(), rest_.size(), size_});
        std::memcpy(into.data(), rest_.data(), size);
        rest_.remove_prefix(size);
        size_ = others_;
        if (size == 0) failure = asio::error::eof;
        co_return size;
    }
    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code&) override { co_return from.size(); }
    bool quiet() noexcept override { return rest_.empty(); }
    void close() noexcept override {}

private:
    std::string_view rest_;
    std::size_t size_;
    std::size_t others_;
};

class saying_environment final : public environment {
public:
    time_point now() const noexcept override { return time_point(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return {}; }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor&) override { return std::make_unique<no_timer>(); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor&) override { return std::make_unique<saying_stream>(text, first, others); }
    std::uint64_t random() noexcept override { return 4; }

    std::string_view text;
    std::size_t first = 0;
    std::size_t others = 0;

private:
    struct no_timer final : timer {
        void arm(time_point, std::function<void()>) override {}
        void disarm() noexcept override {}
    };
};

constexpr http::limits caps{.header = 1024, .body = 256};

// "200 body", or that it failed: what is both wrong and cut short may be told as either. " +" where the connection may be used again.
asio::awaitable<std::string> heard(std::shared_ptr<environment> system, bool stream) {
    const auto executor = co_await asio::this_coro::executor;
    http::connection link(executor, system, at_port(1), caps, std::make_shared<http::traffic>());
    std::string result;
    const auto later = time_point() + 1s;
    try {
        co_await link.open(later);
        if (stream) {
            co_await link.begin_stream("/v3/watch", "", "{}", later);
            for (;;) {
                const auto piece = co_await link.read_piece();
                if (piece.empty()) break;
                result += piece;
            }
            result = std::to_string(link.stream_status()) + " " + result;
        } else {
            const auto reply = co_await link.exchange("/ask", "", "{}", later);
            CHECK(reply.body.size() <= caps.body);
            CHECK(reply.status >= 200);
            result = std::to_string(reply.status) + " " + reply.body;
        }
    } catch (const http::failure& failure) {
        CHECK((failure.reason() == errc::bad_reply || failure.reason() == errc::connection_failed || failure.reason() == errc::too_large));
        result = "failed";
    }
    if (link.reusable()) result += " +";
    co_return result;
}

asio::awaitable<void> mutate(std::uint64_t seed, int count, bool stream, std::size_t* whole) {
    const auto system = std::make_shared<saying_environment>();
    mutations::mutator make(seed, texts, words);
    for (int i = 0; i < count; ++i) {
        make.choose();
        const auto text = make.next();
        INFO("seed " << seed << ", mutation " << i << ": " << mutations::shown(text));
        system->text = text;
        system->first = system->others = 100'000;
        const auto at_once = co_await heard(system, stream);
        if (at_once.starts_with("200 ")) ++*whole;
        system->first = 1 + make.below(text.size());
        system->others = 1 + make.below(8);
        const auto in_pieces = co_await heard(system, stream);
        CHECK(in_pieces == at_once);
    }
}

} // namespace

TEST_CASE("connection: a reply that is almost right is read alike in all pieces, or refused") {
    std::size_t whole = 0;
    test::run(mutate(20'240'602, 6'000, false, &whole));
    CHECK(whole > 500); // changed, but not only noise
    CHECK(whole < 5'500);
}
TEST_CASE("connection: a stream that is almost right is read alike in all pieces, or refused") {
    std::size_t whole = 0;
    test::run(mutate(20'240'603, 3'000, true, &whole));
    CHECK(whole > 250);
    CHECK(whole < 2'750);
}
