#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

namespace etcdcoll::detail {

// Both have ended when the group has. Where both came at once, what the operation says counts: it may hold something.
template <class T> asio::awaitable<T> while_alive(std::shared_ptr<session_state> session, asio::awaitable<T> operation) {
    check_session(*session);
    const auto strand = session->core().strand();
    auto ended = session->wait_lost();
    auto group = asio::experimental::make_parallel_group(asio::co_spawn(strand, std::move(operation), asio::experimental::deferred),
                                                         asio::co_spawn(strand, std::move(ended), asio::experimental::deferred));
    auto waiting = group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    auto result = co_await std::move(waiting);
    const auto& order = std::get<0>(result);
    const auto& failure = std::get<1>(result);
    if (failure) {
        if (order[0] == 1) check_session(*session);
        std::rethrow_exception(failure);
    }
    if constexpr (!std::is_void_v<T>) co_return std::move(std::get<2>(result));
}

} // namespace etcdcoll::detail
