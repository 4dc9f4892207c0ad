#include "peers.hpp"

#include <etcdcoll/http/pool.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <vector>

using namespace peers;
using Catch::Matchers::StartsWith;

namespace {

asio::awaitable<void> ask(http::pool* through, std::string target, duration limit, std::vector<std::string>* log) {
    try {
        const auto last = in(limit);
        const auto reply = co_await through->exchange(0, target, "", "{}", limit, last, 1s);
        log->push_back(target + " " + reply.body);
    } catch (const http::failure& failure) {
        log->push_back(target + " " + describe(failure));
    } catch (const boost::system::system_error& failure) {
        log->push_back(target + " " + failure.code().message());
    }
}

struct fixture {
    explicit fixture(std::size_t bound, std::shared_ptr<environment> system = environment::system())
        : pool(std::make_unique<http::pool>(io.get_executor(), std::move(system), std::vector<http::endpoint>{at_port(proxy.port())}, bound,
                                            http::limits())) {}

    void start(std::string target, duration limit = 10s) { asio::co_spawn(io, ask(pool.get(), std::move(target), limit, &log), asio::detached); }
    void start(std::string target, asio::cancellation_signal& stop) {
        asio::co_spawn(io, ask(pool.get(), std::move(target), 10s, &log), asio::bind_cancellation_slot(stop.slot(), asio::detached));
    }
    template <class Reached> void run_until(Reached reached) {
        const auto deadline = in(10s);
        while (!reached()) {
            REQUIRE(in(0s) < deadline);
            io.restart();
            io.run_one_for(5ms);
        }
    }
    void run_until_logged(std::size_t lines) {
        run_until([&] { return log.size() >= lines; });
    }
    void run_until_requested(std::uint64_t n, std::string path) {
        run_until([&] { return proxy.requests(path) >= n; });
    }
    void run_until_stalled(std::uint64_t n) {
        run_until([&] { return proxy.totals().stalled >= n; });
    }

    fault_proxy proxy;
    asio::io_context io{1};
    std::vector<std::string> log;
    std::unique_ptr<http::pool> pool;
};

fault_rule always_ok() { return fault_rule().times(fault_rule::always).reply_with(ok("ok")); }

} // namespace

TEST_CASE("pool: uses one connection for one call after another") {
    fixture f(4);
    f.proxy.add(always_ok());
    for (std::size_t i = 1; i <= 5; ++i) {
        f.start("/x");
        f.run_until_logged(i);
    }
    CHECK(f.log.back() == "/x ok");
    CHECK(f.proxy.totals().connections == 1);
    CHECK(f.pool->counters().connects == 1);
    CHECK(f.pool->counters().requests == 5);
}

TEST_CASE("pool: never has more connections than its bound, and serves those who wait in the order they came") {
    fixture f(2);
    f.proxy.add(always_ok().delay_response(10ms));
    for (int i = 0; i < 10; ++i) f.start("/" + std::to_string(i));
    f.run_until_logged(10);
    CHECK(f.proxy.totals().connections == 2);
    const auto log = f.proxy.log();
    REQUIRE(log.size() == 10);
    // Two are under way at a time, and the proxy may see those in either order.
    for (int i = 0; i < 10; ++i) {
        const auto place = std::stoi(log[static_cast<std::size_t>(i)].path.substr(1));
        CHECK(std::abs(place - i) <= 1);
    }
}

TEST_CASE("pool: who waits for a connection can be turned away, and nothing was sent; the connection goes to who comes next") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    f.proxy.add(fault_rule("/c").reply_with(ok("c")));
    f.start("/slow");
    f.run_until_stalled(1);
    f.start("/a");
    f.start("/b");
    f.io.poll();
    f.pool->turn_away(0);
    f.run_until_logged(2);
    CHECK(f.log[0] == "/a connection failed: the endpoint failed while this waited for a connection [not sent]");
    CHECK(f.log[1] == "/b connection failed: the endpoint failed while this waited for a connection [not sent]");
    f.start("/c");
    f.proxy.release();
    f.run_until_logged(4);
    CHECK(f.log[2] == "/slow slow");
    CHECK(f.log[3] == "/c c");
    CHECK(f.proxy.totals().connections == 1);
}

TEST_CASE("pool: closing it ends what waits on a connection of its own") {
    fixture f(1);
    f.proxy.add(fault_rule("/wait").reply_with(ok("never")).stall_response());
    bool ended = false;
    const auto wait = [&]() -> asio::awaitable<void> {
        const auto link = co_await f.pool->open(0, in(5s));
        try {
            const auto reply = co_await link->exchange("/wait", "", "{}", in(30s));
            CHECK(reply.status == 0);
        } catch (const http::failure& failure) {
            CHECK(failure.reason() == errc::connection_failed);
        }
        ended = true;
    };
    asio::co_spawn(f.io, wait(), asio::detached);
    f.run_until_stalled(1);
    f.pool->close();
    f.run_until([&] { return ended; });
}

TEST_CASE("pool: who waits for a connection gives up at its deadline, and nothing was sent") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    f.proxy.add(fault_rule("/b").reply_with(ok("b")));
    f.start("/slow");
    f.run_until_stalled(1);
    f.start("/a", 50ms);
    f.run_until_logged(1);
    CHECK(f.log[0] == "/a timed out: all 1 connections are busy [not sent]");
    f.start("/b");
    f.proxy.release();
    f.run_until_logged(3);
    CHECK(f.log[1] == "/slow slow");
    CHECK(f.log[2] == "/b b");
    CHECK(f.proxy.requests("/a") == 0);
}

TEST_CASE("pool: does not use a connection that the server has closed meanwhile") {
    fixture f(1);
    f.proxy.add(always_ok());
    std::uint64_t cut = 0;
    for (const auto how : {close_how::fin, close_how::rst}) {
        ++cut;
        f.log.clear();
        f.start("/a");
        f.run_until_logged(1);
        f.proxy.cut_all(how);
        f.run_until([&] { return f.proxy.totals().cuts >= cut; });
        f.start("/b");
        f.run_until_logged(2);
        CHECK(f.log == std::vector<std::string>{"/a ok", "/b ok"});
    }
}

TEST_CASE("pool: does not use a connection on which a late reply, or anything else, has come") {
    fixture f(1);
    f.proxy.add(fault_rule("/late").reply_with(ok("late")).stall_response());
    f.proxy.add(fault_rule("/next").reply_with(ok("next")));
    f.start("/late", 50ms);
    f.run_until_logged(1);
    f.proxy.release();
    f.start("/next");
    f.run_until_logged(2);
    CHECK(f.log[1] == "/next next");
    CHECK(f.proxy.totals().connections == 2);
}

TEST_CASE("pool: an exchange that is cancelled while it reads ends with errc::cancelled and frees its place") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    f.proxy.add(fault_rule("/next").reply_with(ok("next")));
    asio::cancellation_signal stop;
    f.start("/slow", stop);
    f.run_until_stalled(1);
    f.start("/next");
    f.io.poll();
    stop.emit(asio::cancellation_type::terminal);
    f.run_until_logged(2);
    CHECK(f.log == std::vector<std::string>{"/slow cancelled", "/next next"});
}

TEST_CASE("pool: an exchange that is cancelled while it waits its turn ends with errc::cancelled and leaves the line") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    f.proxy.add(fault_rule("/next").reply_with(ok("next")));
    asio::cancellation_signal stop;
    f.start("/slow");
    f.run_until_stalled(1);
    f.start("/gone", stop);
    f.start("/next");
    f.io.poll();
    stop.emit(asio::cancellation_type::terminal);
    f.run_until_logged(1);
    CHECK(f.log[0] == "/gone cancelled");
    f.proxy.release();
    f.run_until_logged(3);
    CHECK(f.log[2] == "/next next");
    CHECK(f.proxy.requests("/gone") == 0);
}

TEST_CASE("pool: a place that is handed to one who is cancelled at the same moment goes on to the next") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    for (const auto* path : {"/gone", "/next", "/last"}) f.proxy.add(fault_rule(path).reply_with(ok("ok")));
    f.start("/slow");
    f.run_until_stalled(1);
    asio::cancellation_signal stop;
    f.start("/gone", stop);
    f.start("/next");
    f.io.poll();
    f.proxy.release();
    // The handler that logs "/slow" hands the place over; the waiter has not run yet.
    f.run_until_logged(1);
    stop.emit(asio::cancellation_type::terminal);
    f.run_until_logged(3);
    CHECK(f.log[0] == "/slow slow");
    f.start("/last");
    f.run_until_logged(4);
    CHECK(f.log[3] == "/last ok");
}

TEST_CASE("pool: an exchange that is cancelled while it connects ends with errc::cancelled and frees its place") {
    script follow;
    follow.connects = false;
    fixture f(1, std::make_shared<scripted_environment>(follow));
    asio::cancellation_signal stop;
    f.start("/gone", stop);
    f.io.poll();
    stop.emit(asio::cancellation_type::terminal);
    f.run_until_logged(1);
    CHECK(f.log[0] == "/gone cancelled");
    follow.connects = true;
    follow.replies = {ok("next")};
    f.start("/next");
    f.run_until_logged(2);
    CHECK(f.log[1] == "/next next");
}

TEST_CASE("pool: a connection whose exchange was cancelled between its request and its reply serves nobody else") {
    script follow;
    fixture f(1, std::make_shared<scripted_environment>(follow));
    asio::cancellation_signal stop;
    follow.on_write = [&stop] { stop.emit(asio::cancellation_type::terminal); };
    f.start("/gone", stop);
    f.run_until_logged(1);
    follow.on_write = nullptr;
    follow.replies = {ok("next")};
    f.start("/next");
    f.run_until_logged(2);
    CHECK(f.log[1] == "/next next");
    CHECK(follow.streams == 2);
}

TEST_CASE("pool: connecting is limited apart from the exchange") {
    script follow;
    follow.connects = false;
    fixture f(1, std::make_shared<scripted_environment>(follow));
    const auto begin = in(0s);
    f.start("/x");
    f.run_until_logged(1);
    CHECK(f.log[0] == "/x timed out: connecting took too long [not sent]");
    CHECK(in(0s) - begin < 5s);
}

TEST_CASE("pool: close() ends what is under way and what waits, and refuses what comes later") {
    fixture f(1);
    f.proxy.add(fault_rule("/slow").reply_with(ok("slow")).stall_response());
    f.start("/slow");
    f.run_until_stalled(1);
    f.start("/waits");
    f.io.poll();
    f.pool->close();
    f.start("/late");
    f.run_until_logged(3);
    for (const auto& line : f.log) {
        if (line.starts_with("/slow")) CHECK_THAT(line, StartsWith("/slow connection failed: connection closed while "));
        if (line.starts_with("/waits")) CHECK_THAT(line, StartsWith("/waits closed: "));
        if (line.starts_with("/late")) CHECK_THAT(line, StartsWith("/late closed: "));
    }
}

TEST_CASE("pool: an io_context that ends in the middle of exchanges leaks nothing") {
    for (int handlers = 0; handlers < 40; ++handlers) {
        fault_proxy proxy;
        proxy.add(fault_rule("/slow").times(fault_rule::always).reply_with(ok("slow")).stall_response(10));
        std::vector<std::string> log;
        std::unique_ptr<http::pool> pool;
        asio::io_context io(1);
        pool = std::make_unique<http::pool>(io.get_executor(), environment::system(), std::vector<http::endpoint>{at_port(proxy.port())}, 2,
                                            http::limits());
        for (int i = 0; i < 4; ++i) asio::co_spawn(io, ask(pool.get(), "/slow", 10s, &log), asio::detached);
        for (int i = 0; i < handlers; ++i) io.run_one_for(2ms);
        CHECK(log.empty());
    }
}
