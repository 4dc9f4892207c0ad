#pragma once
// Peers for the tests of connections and pools: a proxy with no server behind it that says what a rule tells it, and a byte stream that
// follows a script without any network.

#include <etcdcoll/http/connection.hpp>
#include <support/fault_proxy.hpp>
#include <support/run.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <string>

namespace peers {

using namespace etcdcoll;
using namespace std::chrono_literals;
using test::after_reply;
using test::close_how;
using test::fault_proxy;
using test::fault_rule;

inline http::endpoint at_port(std::uint16_t port) {
    http::endpoint peer;
    peer.port = port;
    return peer;
}

inline time_point in(duration length) { return environment::system()->now() + length; }

inline std::string ok(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// "timed out: ..."; a failure that proves that nothing was sent ends in " [not sent]".
inline std::string describe(const http::failure& failure) {
    return make_error_code(failure.reason()).message() + ": " + failure.what() + (failure.sent() ? "" : " [not sent]");
}

/// What a scripted stream does.
struct script {
    bool connects = true;
    std::function<void()> on_write;
    std::deque<std::string> replies; ///< one for each read
    int streams = 0;
};

class scripted_stream final : public byte_stream {
public:
    scripted_stream(const asio::any_io_executor& executor, script& follow) : script_(follow), never_(executor, time_point::max()) { ++script_.streams; }

    asio::awaitable<void> connect(stream_target, error_code& failure) override {
        co_await asio::post(script_executor(), asio::use_awaitable);
        if (!script_.connects) co_await hang(failure);
    }
    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override {
        if (script_.replies.empty()) {
            co_await hang(failure);
            co_return 0;
        }
        const auto text = script_.replies.front();
        script_.replies.pop_front();
        std::memcpy(into.data(), text.data(), text.size());
        co_return text.size();
    }
    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code&) override {
        if (script_.on_write) script_.on_write();
        co_return from.size();
    }
    bool quiet() noexcept override { return true; }
    void close() noexcept override { never_.cancel(); }

private:
    asio::any_io_executor script_executor() { return never_.get_executor(); }
    asio::awaitable<void> hang(error_code& failure) {
        co_await never_.async_wait(asio::redirect_error(asio::use_awaitable, failure));
        failure = asio::error::operation_aborted;
    }
    script& script_;
    asio::steady_timer never_;
};

class scripted_environment final : public environment {
public:
    explicit scripted_environment(script& follow) : script_(follow) {}
    time_point now() const noexcept override { return system()->now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return system()->wall_clock(); }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return system()->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override {
        return std::make_unique<scripted_stream>(executor, script_);
    }
    std::uint64_t random() noexcept override { return 4; }

private:
    script& script_;
};

} // namespace peers
