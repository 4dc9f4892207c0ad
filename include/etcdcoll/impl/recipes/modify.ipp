#pragma once

#include <etcdcoll/impl/recipes/commit.hpp>
#include <etcdcoll/recipes/modify.hpp>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL asio::awaitable<etcd::revision> modify(committer with, std::string key, modification change, duration timeout) {
    const auto core = with.client.core();
    const auto deadline = deadline_after(*core, timeout);
    auto before = co_await with.client.get(key, until(*core, deadline));
    pause between(core);
    for (int attempts = 1;; ++attempts) {
        auto wanted = change(before);
        if (!wanted) co_return etcd::revision();
        auto write = etcd::put(key, std::move(*wanted));
        write.ignore_lease = before.has_value();
        const auto unchanged = etcd::mod_revision(key) == (before ? before->mod_revision : etcd::revision());
        auto request = etcd::when(unchanged).then(std::move(write)).otherwise(etcd::get(key));
        const bool guarded = before.has_value(); // an absent key is absent again when it was deleted
        const auto reply = co_await commit(with, std::move(request), guarded, deadline);
        if (reply.done) co_return reply.seen;
        const auto* now = first_of(reply.current.at(0));
        before = now == nullptr ? std::nullopt : std::optional<etcd::key_value>(*now);
        co_await between.wait(deadline);
        if (core->now() >= deadline)
            fail_late("modify", "modify", key,
                      ": timed out after " + seconds_text(timeout) + ": in each of " + std::to_string(attempts) + " attempts another has written it meanwhile");
    }
}

ETCDCOLL_DECL void check_modification(const std::string& key, const modification& change, duration timeout) {
    check_timeout("modify", timeout);
    if (key.empty()) throw error(errc::invalid_argument, "modify: the key is empty");
    if (!change) throw error(errc::invalid_argument, "modify: the function is empty");
}

} // namespace detail

ETCDCOLL_DECL asio::awaitable<etcd::revision> modify(etcd::client client, std::string key, modification change, duration timeout) {
    detail::check_modification(key, change, timeout);
    return detail::with_errors(detail::modify(detail::committer(std::move(client), nullptr), std::move(key), std::move(change), timeout));
}

ETCDCOLL_DECL asio::awaitable<etcd::revision> modify(receipt_book book, std::string key, modification change, duration timeout) {
    detail::check_modification(key, change, timeout);
    return detail::with_errors(detail::modify(detail::committer(book.state()->client(), book.state()), std::move(key), std::move(change), timeout));
}

} // namespace etcdcoll
