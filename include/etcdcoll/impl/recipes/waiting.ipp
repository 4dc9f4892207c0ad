#pragma once

#include <etcdcoll/impl/recipes/waiting.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include <algorithm>
#include <tuple>

namespace etcdcoll::detail {

ETCDCOLL_DECL void check_timeout(const char* call, duration timeout) {
    if (timeout <= duration::zero()) throw error(errc::invalid_argument, std::string(call) + ": the timeout must be longer than zero");
}

ETCDCOLL_DECL time_point deadline_after(client_core& core, duration timeout) { return core.now() + std::min(timeout, longest_timeout); }

ETCDCOLL_DECL call_options until(client_core& core, time_point deadline) {
    return {.timeout = std::max<duration>(deadline - core.now(), std::chrono::milliseconds(1)), .guarded = false};
}

ETCDCOLL_DECL call_options guarded_until(client_core& core, time_point deadline) {
    auto options = until(core, deadline);
    options.guarded = true;
    return options;
}

ETCDCOLL_DECL void fail_late(const char* call, const char* kind, const std::string& name, const std::string& text) {
    error_context context;
    context.call = call;
    context.key = name;
    throw error(errc::timed_out, call_and_key(kind, name) + text, std::move(context));
}

ETCDCOLL_DECL void check_session(const session_state& session) {
    if (session.lost()) throw error(*session.lost());
    if (!session.alive()) throw error(errc::closed, "the session was closed");
}

ETCDCOLL_DECL void rethrow_lease(const error& failure) {
    if (failure.reason() != errc::not_found) throw error(failure);
    throw error(errc::lease_lost, std::string("the lease of this process is lost: ") + failure.what(), failure.context());
}

// The group ends when both of its members have: a change that came in the same moment as the deadline is seen.
ETCDCOLL_DECL asio::awaitable<std::optional<etcd::watch_response>> next_before(etcd::watch* changes, std::shared_ptr<client_core> core,
                                                                               time_point deadline) {
    const auto strand = core->strand();
    auto change = changes->next();
    auto late = sleep_until(strand, core->system(), deadline);
    auto group = asio::experimental::make_parallel_group(asio::co_spawn(strand, std::move(change), asio::experimental::deferred),
                                                         asio::co_spawn(strand, std::move(late), asio::experimental::deferred));
    auto waiting = group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    auto result = co_await std::move(waiting);
    const auto& order = std::get<0>(result);
    const auto& failure = std::get<1>(result);
    if (!failure) co_return std::move(std::get<2>(result));
    if (order[0] == 0) std::rethrow_exception(failure);
    if (std::get<3>(result)) std::rethrow_exception(std::get<3>(result));
    co_return std::nullopt;
}

ETCDCOLL_DECL asio::awaitable<void> pause::wait(time_point deadline) {
    const auto half = static_cast<std::uint64_t>(full_.count() / 2);
    const auto length = duration(static_cast<std::int64_t>(half + core_->system()->random() % (half + 1)));
    full_ = std::min<duration>(full_ * 2, std::chrono::milliseconds(250));
    auto sleeping = sleep_until(core_->strand(), core_->system(), std::min(deadline, core_->now() + length));
    co_await on_strand(core_->strand(), std::move(sleeping));
}

} // namespace etcdcoll::detail
