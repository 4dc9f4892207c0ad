#pragma once

#include <etcdcoll/run.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <exception>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL asio::awaitable<void> run_program(asio::any_io_executor executor, std::function<asio::awaitable<void>(group&)> program) {
    etcd::client client(std::move(executor));
    auto joined = co_await group::join(client);
    std::exception_ptr failed;
    std::string text;
    try {
        co_await program(joined);
    } catch (const error&) {
        failed = std::current_exception(); // of the library: the group knows, or is told by the leave
    } catch (const std::exception& failure) {
        failed = std::current_exception();
        text = failure.what();
    }
    if (!text.empty()) {
        try { // the others are told why, not only that this rank has gone
            co_await joined.abort(std::move(text));
        } catch (const error&) { // what the program threw matters more
        }
    }
    try {
        co_await joined.leave();
    } catch (const error&) {
        if (!failed) throw;
    }
    if (failed) std::rethrow_exception(failed);
}

} // namespace detail

ETCDCOLL_DECL int run(std::function<asio::awaitable<void>(group&)> program) {
    try {
        asio::io_context io(1);
        std::exception_ptr failed;
        asio::co_spawn(io, detail::run_program(io.get_executor(), std::move(program)), [&failed](std::exception_ptr why) { failed = why; });
        io.run();
        if (failed) std::rethrow_exception(failed);
        return 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}

} // namespace etcdcoll
