#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace etcdcoll::detail {

// In a handler of exceptions: what Asio throws from whichever await comes behind a cancellation. Anything else is thrown on.
inline std::exception_ptr aborted_by(const boost::system::system_error& failure) {
    if (failure.code() != asio::error::operation_aborted) throw;
    return std::current_exception();
}

// One name for all of them. Without a cancellation it is somebody else's: a callback's own, say.
[[noreturn]] inline void rethrow_by_name(const std::exception_ptr& aborted, asio::cancellation_type cancelled) {
    if (cancelled == asio::cancellation_type::none) std::rethrow_exception(aborted);
    throw error(errc::cancelled, "cancelled");
}

/// For what awaits more than once on the executor of its caller: a cancellation between two of its awaits is errc::cancelled, too.
template <class T> asio::awaitable<T> with_errors(asio::awaitable<T> operation) {
    std::exception_ptr aborted;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(operation);
            co_return;
        } else {
            T result = co_await std::move(operation);
            co_return result;
        }
    } catch (const boost::system::system_error& failure) {
        aborted = aborted_by(failure);
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    rethrow_by_name(aborted, state.cancelled());
}

// How a cancellation gets to the strand. What co_spawn() itself does in Boost 1.81 is to send a bare pointer there, which is not valid any more when the
// operation ends in the same moment.
struct cancellation_crossing {
    asio::cancellation_signal signal;
    bool ended = false;
};

/// Begins an operation on a strand for a coroutine of another executor, which must keep both until it has ended.
template <class T> struct crossing_to {
    const asio::any_io_executor* strand;
    asio::awaitable<T>* operation;

    template <class Handler> void operator()(Handler&& handler) const {
        const auto crossing = std::make_shared<cancellation_crossing>();
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            slot.assign([crossing, there = *strand](asio::cancellation_type type) {
                asio::dispatch(there, [crossing, type] {
                    if (!crossing->ended) crossing->signal.emit(type);
                });
            });
        }
        auto back = asio::make_work_guard(asio::get_associated_executor(handler));
        auto done = [crossing, back, handler = std::decay_t<Handler>(std::forward<Handler>(handler))](std::exception_ptr why, auto... result) mutable {
            crossing->ended = true;
            auto resume = [handler = std::move(handler), why, ... result = std::move(result)]() mutable { std::move(handler)(why, std::move(result)...); };
            asio::dispatch(back.get_executor(), std::move(resume));
        };
        asio::co_spawn(*strand, std::move(*operation), asio::bind_cancellation_slot(crossing->signal.slot(), std::move(done)));
    }
};

template <class T> asio::awaitable<T> on_strand(asio::any_io_executor strand, asio::awaitable<T> operation) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    const crossing_to<T> crossing{&strand, &operation};
    std::exception_ptr aborted;
    try {
        if constexpr (std::is_void_v<T>) {
            if (here == strand) {
                co_await std::move(operation);
            } else {
                auto ended = asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(crossing, asio::use_awaitable);
                co_await std::move(ended);
            }
            co_return;
        } else {
            if (here == strand) {
                T result = co_await std::move(operation);
                co_return result;
            }
            auto ended = asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, T)>(crossing, asio::use_awaitable);
            T result = co_await std::move(ended);
            co_return result;
        }
    } catch (const boost::system::system_error& failure) {
        aborted = aborted_by(failure);
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    rethrow_by_name(aborted, state.cancelled());
}

} // namespace etcdcoll::detail
