#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <type_traits>
#include <utility>

namespace etcdcoll::detail {

// What cancelled an operation reaches its caller as Asio's own exception, from whichever await came next: one name for all of them.
[[noreturn]] inline void rethrow_as_error(const boost::system::system_error& failure) {
    if (failure.code() == asio::error::operation_aborted) throw error(errc::cancelled, "cancelled");
    throw failure;
}

template <class T> asio::awaitable<T> on_strand(asio::any_io_executor strand, asio::awaitable<T> operation) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    try {
        if constexpr (std::is_void_v<T>) {
            if (here == strand) {
                co_await std::move(operation);
            } else {
                co_await asio::co_spawn(strand, std::move(operation), asio::use_awaitable);
            }
        } else {
            if (here == strand) {
                T result = co_await std::move(operation);
                co_return result;
            }
            T result = co_await asio::co_spawn(strand, std::move(operation), asio::use_awaitable);
            co_return result;
        }
    } catch (const error&) {
        throw;
    } catch (const boost::system::system_error& failure) {
        rethrow_as_error(failure);
    }
}

} // namespace etcdcoll::detail
