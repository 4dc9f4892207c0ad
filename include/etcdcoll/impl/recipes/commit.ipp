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
            auto reply = co_await with.client.txn(request, until(*core, deadline));
            result.done = reply.succeeded;
            result.seen = reply.header.revision;
            result.current = std::move(reply.responses);
        } catch (const error& failure) {
            failed.emplace(failure);
        }
        // A refusal after a copy whose reply was lost: it may be that copy, or another's change, that the compares have found.
        if (!failed && doubt && !result.done) throw error(*doubt);
        if (!failed) co_return result;
        const bool again = failed->reason() == errc::outcome_unknown && guarded && core->now() < deadline;
        if (!again) throw error(doubt && failed->reason() != errc::cancelled ? *doubt : *failed);
        doubt = std::move(failed);
        co_await between.wait(deadline);
    }
}

} // namespace etcdcoll::detail
