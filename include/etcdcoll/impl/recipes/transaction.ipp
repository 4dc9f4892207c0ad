#pragma once

#include <etcdcoll/impl/recipes/commit.hpp>
#include <etcdcoll/recipes/transaction.hpp>

#include <algorithm>
#include <map>

namespace etcdcoll {

namespace detail {
inline constexpr std::size_t most_keys = 125; // of a transaction: with a receipt, that is what etcd's 128 operations leave for the failure branch
}

/// One run of a body, and what the run before it has learned.
struct transaction::state {
    struct write {
        std::optional<std::string> value; // none: deleted
        etcd::lease_id lease;
    };
    using values = std::map<std::string, std::optional<etcd::key_value>>;

    state(etcd::client client_, time_point deadline_) : client(std::move(client_)), deadline(deadline_) {}

    asio::awaitable<std::optional<std::string>> get(std::string key);
    etcd::txn_request commit() const;
    bool guarded() const;
    void begin_again(const etcd::txn_request& refused, const detail::commit_reply& reply);
    void forget();
    std::string changed_key(const detail::commit_reply& reply) const;

    etcd::client client;
    time_point deadline;
    etcd::revision at; // of the snapshot; none before the first read
    values known;      // of the snapshot, not asked for in this run
    values reads;
    std::map<std::string, write> writes;
    bool outdated = false; // the snapshot was compacted away: run again
};

ETCDCOLL_DECL asio::awaitable<std::optional<std::string>> transaction::state::get(std::string key) {
    if (key.empty()) throw error(errc::invalid_argument, "get: the key is empty");
    if (const auto own = writes.find(key); own != writes.end()) co_return own->second.value;
    auto found = reads.find(key);
    if (found == reads.end()) {
        if (auto before = known.extract(key)) {
            found = reads.insert(std::move(before)).position;
        } else {
            etcd::range_request request(key);
            request.revision = at;
            etcd::range_response reply;
            try {
                reply = co_await client.range(std::move(request), detail::until(*client.core(), deadline));
            } catch (const error& failure) {
                outdated = failure.reason() == errc::compacted;
                throw;
            }
            if (!at) at = reply.header.revision;
            std::optional<etcd::key_value> value;
            if (!reply.kvs.empty()) value = std::move(reply.kvs.front());
            found = reads.insert_or_assign(std::move(key), std::move(value)).first;
        }
    }
    if (!found->second) co_return std::nullopt;
    co_return found->second->value;
}

// What was read is as it was, and what is written without having been read has not changed since the snapshot.
ETCDCOLL_DECL etcd::txn_request transaction::state::commit() const {
    const auto new_key = [this](const auto& item) { return !reads.contains(item.first); };
    const auto keys = reads.size() + static_cast<std::size_t>(std::count_if(writes.begin(), writes.end(), new_key));
    if (keys > detail::most_keys)
        throw error(errc::invalid_argument, "atomically: " + std::to_string(keys) + " keys; " + std::to_string(detail::most_keys) + " at most");
    etcd::txn_request request;
    for (const auto& [key, value] : reads) {
        request.compares.push_back(etcd::mod_revision(key) == (value ? value->mod_revision : etcd::revision()));
        request.failure.emplace_back(etcd::get(key));
    }
    for (const auto& [key, what] : writes) {
        if (at && !reads.contains(key)) request.compares.push_back(etcd::mod_revision(key) < at.value + 1);
        if (what.value) {
            request.success.emplace_back(etcd::put(key, *what.value, what.lease));
        } else {
            request.success.emplace_back(etcd::erase(key));
        }
    }
    return request;
}

// It cannot be executed twice: a key that was there and is written never has the revision again that it had. One that was absent may be absent again.
ETCDCOLL_DECL bool transaction::state::guarded() const {
    return std::any_of(reads.begin(), reads.end(), [this](const auto& item) { return item.second && writes.contains(item.first); });
}

// The refusal has read all that this run has, at one revision.
ETCDCOLL_DECL void transaction::state::begin_again(const etcd::txn_request& refused, const detail::commit_reply& reply) {
    forget();
    at = reply.seen;
    for (std::size_t i = 0; i < reply.current.size() && i < refused.failure.size(); ++i) {
        const auto* now = detail::first_of(reply.current[i]);
        const auto& key = std::get<etcd::range_request>(refused.failure[i].request).keys.key;
        known.insert_or_assign(key, now == nullptr ? std::nullopt : std::optional<etcd::key_value>(*now));
    }
}

ETCDCOLL_DECL void transaction::state::forget() {
    at = {};
    known.clear();
    reads.clear();
    writes.clear();
    outdated = false;
}

ETCDCOLL_DECL std::string transaction::state::changed_key(const detail::commit_reply& reply) const {
    std::size_t i = 0;
    for (const auto& [key, before] : reads) {
        const auto* now = i < reply.current.size() ? detail::first_of(reply.current[i]) : nullptr;
        ++i;
        if ((now == nullptr ? etcd::revision() : now->mod_revision) != (before ? before->mod_revision : etcd::revision())) return key;
    }
    return writes.empty() ? std::string() : writes.begin()->first;
}

ETCDCOLL_DECL asio::awaitable<std::optional<std::string>> transaction::get(std::string key) { return state_.get(std::move(key)); }

ETCDCOLL_DECL void transaction::put(std::string key, std::string value, etcd::lease_id lease) {
    if (key.empty()) throw error(errc::invalid_argument, "put: the key is empty");
    auto& own = state_.writes[std::move(key)];
    own.value = std::move(value);
    own.lease = lease;
}

ETCDCOLL_DECL void transaction::erase(std::string key) {
    if (key.empty()) throw error(errc::invalid_argument, "erase: the key is empty");
    auto& own = state_.writes[std::move(key)];
    own.value.reset();
    own.lease = {};
}

namespace detail {

// False: the snapshot is gone, run it again.
ETCDCOLL_DECL asio::awaitable<bool> run_body(transaction::state* on, const transaction_body* body) {
    transaction t(*on);
    try {
        co_await (*body)(t);
    } catch (...) {
        if (!on->outdated) throw;
    }
    co_return !on->outdated;
}

ETCDCOLL_DECL asio::awaitable<etcd::revision> atomically(committer with, transaction_body body, duration timeout) {
    const auto core = with.client.core();
    transaction::state now(with.client, deadline_after(*core, timeout));
    pause between(core);
    for (int attempts = 1;; ++attempts) {
        const bool ran = co_await run_body(&now, &body);
        if (ran && now.writes.empty()) co_return now.at; // all of it is of one revision: there is nothing to prove
        std::string key;
        if (ran) {
            const auto request = now.commit();
            const bool guarded = now.guarded();
            const auto reply = co_await commit(with, request, guarded, now.deadline);
            if (reply.done) co_return reply.seen;
            key = now.changed_key(reply);
            now.begin_again(request, reply);
        } else {
            now.forget();
        }
        co_await between.wait(now.deadline);
        if (core->now() >= now.deadline)
            fail_late("atomically", "atomically", key,
                      ": timed out after " + seconds_text(timeout) + ": in each of " + std::to_string(attempts) + " attempts another has written meanwhile");
    }
}

ETCDCOLL_DECL void check_body(const transaction_body& body, duration timeout) {
    check_timeout("atomically", timeout);
    if (!body) throw error(errc::invalid_argument, "atomically: the body is empty");
}

} // namespace detail

ETCDCOLL_DECL asio::awaitable<etcd::revision> atomically(etcd::client client, transaction_body body, duration timeout) {
    detail::check_body(body, timeout);
    return detail::with_errors(detail::atomically(detail::committer(std::move(client), nullptr), std::move(body), timeout));
}

ETCDCOLL_DECL asio::awaitable<etcd::revision> atomically(receipt_book book, transaction_body body, duration timeout) {
    detail::check_body(body, timeout);
    return detail::with_errors(detail::atomically(detail::committer(book.state()->client(), book.state()), std::move(body), timeout));
}

} // namespace etcdcoll
