#include <support/run.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/interfaces/catch_interfaces_capture.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <unistd.h>

namespace etcdcoll::test {

namespace {

using clock = std::chrono::steady_clock;

std::string test_name() { return "\"" + Catch::getResultCapture().getCurrentTestName() + "\""; }

std::string text(std::chrono::milliseconds length) { return std::to_string(length.count()) + " ms"; }

// Runs the handlers until `done` (may be empty), until none is left, or until the deadline.
template <class Done> void run_until(asio::io_context& io, clock::time_point deadline, Done done) {
    while (!done() && io.run_one_until(deadline) != 0) {
    }
}

} // namespace

void run(asio::awaitable<void> body, std::chrono::milliseconds deadline) {
    run_ranks(1, [&body](int) { return std::move(body); }, deadline);
}

void run_ranks(int n, rank_function function, std::chrono::milliseconds deadline) {
    asio::io_context io(1);
    std::exception_ptr first;
    std::vector<bool> ended(static_cast<std::size_t>(n), false);
    int left = n;
    for (int rank = 0; rank < n; ++rank) {
        asio::co_spawn(io, function(rank), [&, rank](std::exception_ptr failure) {
            ended[static_cast<std::size_t>(rank)] = true;
            --left;
            if (failure && !first) first = failure;
        });
    }
    const auto end = clock::now() + deadline;
    run_until(io, end, [&left] { return left == 0; });
    if (left != 0) {
        std::string hanging;
        for (int rank = 0; rank < n; ++rank)
            if (!ended[static_cast<std::size_t>(rank)]) hanging += " " + std::to_string(rank);
        std::string cause;
        try {
            if (first) std::rethrow_exception(first);
        } catch (const std::exception& failure) {
            cause = std::string("; before that: ") + failure.what();
        }
        const auto how = clock::now() < end ? " wait for nothing that could come" : " have not ended after " + text(deadline);
        FAIL(test_name() << ": of " << n << " coroutines," << hanging << how << cause);
    }
    run_until(io, std::max(end, clock::now() + std::chrono::seconds(5)), [] { return false; });
    if (first) std::rethrow_exception(first);
    if (!io.stopped()) FAIL(test_name() << ": its coroutines have ended, but what they left behind still runs after " << text(deadline));
}

command::local_etcd& test_etcd() {
    static std::optional<command::local_etcd> server;
    try {
        if (!server) server.emplace();
    } catch (const std::exception& failure) {
        FAIL(failure.what());
    }
    return *server;
}

std::string unique_prefix() {
    static int made = 0;
    return "test/" + std::to_string(::getpid()) + "/" + std::to_string(++made) + "/";
}

} // namespace etcdcoll::test
