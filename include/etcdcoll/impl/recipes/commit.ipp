#pragma once

#include <etcdcoll/impl/recipes/commit.hpp>

namespace etcdcoll::detail {

ETCDCOLL_DECL asio::awaitable<commit_reply> commit_with_receipt(std::shared_ptr<receipts> book, etcd::txn_request request, time_point deadline) {
    auto left = std::max<duration>(deadline - book->core().now(), std::chrono::milliseconds(1));
    auto reply = co_await with_session(*book, receipted(book, std::move(request), left));
    commit_reply result;
    result.done = reply.succeeded;
    result.seen = reply.succeeded ? reply.at : reply.seen;
    result.current = std::move(reply.responses);
    co_return result;
}

// For one copy, where another may follow it: as long as an attempt of a repeatable call may take.
ETCDCOLL_DECL call_options for_a_copy(client_core& core, const etcd::txn_request& request, time_point deadline) {
    std::size_t bytes = 0;
    for (const auto& item : request.success)
        if (const auto* put = std::get_if<etcd::put_request>(&item.request)) bytes += put->key.size() + put->value.size();
    auto options = until(core, deadline);
    options.timeout = std::min<duration>(options.timeout, core.values().attempt_timeout + std::chrono::microseconds(3 * bytes));
    return options;
}

// Nothing was executed, and a repetition may work.
ETCDCOLL_DECL bool may_work_later(errc reason) {
    return reason == errc::timed_out || reason == errc::connection_failed || reason == errc::unavailable;
}

ETCDCOLL_DECL asio::awaitable<commit_reply> commit(committer with, etcd::txn_request request, bool guarded, time_point deadline) {
    if (with.book) {
        auto known = co_await commit_with_receipt(with.book, std::move(request), deadline);
        co_return known;
    }
    const auto core = with.client.core();
    pause between(core);
    std::optional<error> doubt;
    for (;;) {
        std::optional<error> failed;
        commit_reply result;
        try {
            const auto options = guarded ? for_a_copy(*core, request, deadline) : until(*core, deadline);
            auto reply = co_await with.client.txn(request, options);
            result.done = reply.succeeded;
            result.seen = reply.header.revision;
            result.current = std::move(reply.responses);
        } catch (const error& failure) {
            failed.emplace(failure);
        }
        // A refusal after a copy whose reply was lost: it may be that copy, or another's change, that the compares have found.
        if (!failed && doubt && !result.done) throw error(*doubt);
        if (!failed) co_return result;
        const bool unknown = failed->reason() == errc::outcome_unknown;
        const bool again = guarded && core->now() < deadline && (unknown || may_work_later(failed->reason()));
        if (!again) throw error(doubt && failed->reason() != errc::cancelled ? *doubt : *failed);
        if (unknown) doubt = std::move(failed);
        co_await between.wait(deadline);
    }
}

} // namespace etcdcoll::detail
