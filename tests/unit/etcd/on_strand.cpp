#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <optional>
#include <string>

using namespace etcdcoll;
using namespace std::chrono_literals;

namespace {

asio::awaitable<int> after_handlers(int count) {
    for (int i = 0; i < count; ++i) {
        co_await asio::post(asio::use_awaitable);
    }
    co_return count;
}

asio::awaitable<void> throw_aborted() {
    co_await asio::post(asio::use_awaitable);
    throw boost::system::system_error(asio::error::operation_aborted);
}

// How it ends when it is cancelled after so many handlers; nothing: it was not cancelled, or too late.
template <class T> std::optional<std::string> end_of(asio::awaitable<T> operation, std::optional<int> stop_after = std::nullopt) {
    asio::io_context io{1};
    asio::cancellation_signal stop;
    std::optional<std::string> text;
    std::exception_ptr why;
    asio::co_spawn(io, std::move(operation), asio::bind_cancellation_slot(stop.slot(), [&why](std::exception_ptr failed, auto...) { why = failed; }));
    for (int i = 0; stop_after && i < *stop_after; ++i) io.run_one_for(10s);
    if (stop_after) stop.emit(asio::cancellation_type::terminal);
    io.run_for(10s);
    REQUIRE(io.stopped());
    try {
        if (why) std::rethrow_exception(why);
    } catch (const error& failure) {
        text = failure.code().message();
    } catch (const std::exception& failure) {
        text = std::string("no error of the library: ") + failure.what();
    }
    return text;
}

const auto cancelled = make_error_code(errc::cancelled).message();

} // namespace

TEST_CASE("with_errors: a cancellation between two awaits is errc::cancelled") {
    for (int i = 1; i <= 4; ++i) {
        INFO(i);
        CHECK(end_of(detail::with_errors(after_handlers(9)), i).value_or("nothing") == cancelled);
    }
    CHECK(!end_of(detail::with_errors(after_handlers(5))));
}

TEST_CASE("with_errors: what an operation throws by itself is not taken for a cancellation") {
    const auto text = end_of(detail::with_errors(throw_aborted()));
    CHECK(text.value_or("").starts_with("no error of the library"));
}

TEST_CASE("on_strand: a cancellation from another executor is errc::cancelled, whenever it comes") {
    int times = 0;
    for (int i = 1; i < 40; ++i) {
        asio::io_context io{1};
        asio::cancellation_signal stop;
        std::exception_ptr why;
        bool ended = false;
        auto operation = detail::on_strand<int>(asio::make_strand(io), after_handlers(5));
        asio::co_spawn(io, std::move(operation), asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr failed, int) {
                           why = failed;
                           ended = true;
                       }));
        for (int n = 0; n < i; ++n) io.run_one_for(10s);
        stop.emit(asio::cancellation_type::terminal);
        io.run_for(10s);
        stop.emit(asio::cancellation_type::terminal); // heard by nobody
        io.restart();
        io.run_for(10s);
        CHECK(ended);
        if (!why) continue;
        ++times;
        CHECK_THROWS_AS(std::rethrow_exception(why), error);
    }
    CHECK(times > 1);
}

TEST_CASE("on_strand: what an operation throws by itself is not taken for a cancellation") {
    asio::io_context io{1};
    std::exception_ptr why;
    auto operation = detail::on_strand<void>(asio::make_strand(io), throw_aborted());
    asio::co_spawn(io, std::move(operation), [&why](std::exception_ptr failed) { why = failed; });
    io.run_for(10s);
    REQUIRE(why);
    CHECK_THROWS_AS(std::rethrow_exception(why), boost::system::system_error);
    try {
        std::rethrow_exception(why);
    } catch (const boost::system::system_error& failure) {
        CHECK(failure.code() == asio::error::operation_aborted);
    }
}
