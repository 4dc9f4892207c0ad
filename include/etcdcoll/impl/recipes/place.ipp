#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/host.hpp>
#include <etcdcoll/impl/recipes/place.hpp>
#include <etcdcoll/impl/recipes/waiting.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace etcdcoll::detail {

ETCDCOLL_DECL std::string process_label(const environment& system) { return system.host() + ", pid " + std::to_string(system.process_id()); }

ETCDCOLL_DECL place::place(std::shared_ptr<receipts> book, std::string line, std::string key, etcd::revision created)
    : book_(std::move(book)), line_(std::move(line)), key_(std::move(key)), created_(created) {}

ETCDCOLL_DECL place::~place() {
    if (!leaving_) give_up();
}

ETCDCOLL_DECL void place::give_up() noexcept {
    leaving_ = true;
    try {
        auto request = etcd::when(stands()).then(etcd::erase(key_));
        asio::co_spawn(book_->core().strand(), insist(book_, std::move(request)), asio::detached);
    } catch (...) { // no memory: it stays until the lease runs out
    }
}

ETCDCOLL_DECL etcd::range_request oldest_of(std::string line) {
    etcd::range_request request(etcd::prefix(std::move(line)));
    request.limit = 1;
    request.sort_target = etcd::sort_target::create;
    request.sort_order = etcd::sort_order::ascend;
    return request;
}

ETCDCOLL_DECL asio::awaitable<std::optional<etcd::key_value>> first_in_line(etcd::client client, std::string line, call_options options) {
    auto found = co_await client.range(oldest_of(std::move(line)), options);
    if (found.kvs.empty()) co_return std::nullopt;
    co_return std::move(found.kvs.front());
}

struct taken_place {
    std::shared_ptr<place> mine;
    bool first = false; // known to be; otherwise wait_first() tells
};

// Puts a key of this call's own at the end of the line. Whatever happens, no key is left behind that nobody knows of.
ETCDCOLL_DECL asio::awaitable<taken_place> take_place(std::shared_ptr<receipts> book, std::string line, std::string value, time_point deadline) {
    receipt once(book);
    const auto key = line + book->unique_id();
    std::vector<etcd::op> undo;
    undo.emplace_back(etcd::erase(key));
    once.undo(std::move(undo));
    auto request = etcd::when().then(etcd::put(key, std::move(value), book->lease()), oldest_of(line));
    const auto reply = co_await once.txn(std::move(request), deadline);
    taken_place taken;
    taken.mine = std::make_shared<place>(book, std::move(line), key, reply.at);
    if (!reply.recalled) {
        const auto* oldest = first_of(reply.responses.at(1));
        taken.first = oldest != nullptr && oldest->key == key;
    }
    co_return taken;
}

// Each waits for the one before it alone: one that leaves wakes one.
ETCDCOLL_DECL asio::awaitable<bool> place::wait_first(time_point deadline) {
    etcd::range_request before(etcd::prefix(line_));
    before.limit = 1;
    before.sort_target = etcd::sort_target::create;
    before.sort_order = etcd::sort_order::descend;
    before.max_create_revision.value = created_.value - 1;
    const auto core = book_->client().core();
    for (;;) {
        auto reading = book_->client().txn(etcd::when().then(etcd::get(key_), before), until(*core, deadline));
        const auto seen = co_await std::move(reading);
        const auto* own = first_of(seen.responses.at(0));
        const auto* ahead = first_of(seen.responses.at(1));
        if (own == nullptr || own->create_revision != created_) {
            check_session(*book_->session());
            throw error(errc::lease_lost, "the lease of this process is lost: key \"" + key_ + "\" is gone");
        }
        if (ahead == nullptr) co_return true;
        etcd::watch_request watching(ahead->key, etcd::revision(seen.header.revision.value + 1));
        watching.no_put = true;
        auto changes = book_->client().watch(std::move(watching));
        try {
            const auto gone = co_await next_before(&changes, core, deadline);
            if (!gone) co_return false;
        } catch (const error& failure) {
            if (failure.reason() != errc::compacted) throw; // it may be gone already: read again
        }
    }
}

ETCDCOLL_DECL asio::awaitable<void> place::leave() {
    if (leaving_) throw error(errc::closed, "key \"" + key_ + "\" was given up before");
    leaving_ = true;
    receipt once(book_);
    const auto deadline = book_->core().now() + book_->core().values().timeout;
    receipt_reply reply;
    try {
        reply = co_await once.txn(etcd::when(stands()).then(etcd::erase(key_)), deadline);
    } catch (...) {
        give_up();
        throw;
    }
    if (!reply.succeeded) throw error(errc::lease_lost, "the lease of this process is lost: key \"" + key_ + "\" was gone before it was given up");
}

ETCDCOLL_DECL asio::awaitable<void> place::wait_gone() {
    const auto core = book_->client().core();
    auto from = created_;
    while (!leaving_) {
        etcd::watch_request watching(key_, etcd::revision(from.value + 1));
        watching.no_put = true;
        auto changes = book_->client().watch(std::move(watching));
        bool compacted = false;
        try {
            const auto gone = co_await next_before(&changes, core, time_point::max());
            if (gone) break;
        } catch (const error& failure) {
            if (failure.reason() != errc::compacted) throw;
            compacted = true;
        }
        if (!compacted) continue;
        const auto seen = co_await book_->client().range(etcd::range_request(key_));
        if (seen.kvs.empty() || seen.kvs.front().create_revision != created_) break;
        from = seen.header.revision;
    }
    if (leaving_) throw error(errc::closed, "key \"" + key_ + "\" was given up");
}

// "election \"jobs\": timed out after 2.0 s", and whom etcd names as the first of the line. Nothing when that is `mine`, in this very moment.
ETCDCOLL_DECL asio::awaitable<std::optional<error>> late_in_line(std::shared_ptr<receipts> book, line_words words, std::string mine,
                                                                 duration timeout) {
    auto text = call_and_key(words.kind, book->name()) + ": timed out after " + seconds_text(timeout);
    try {
        const call_options options{.timeout = blame_limit};
        const auto first = co_await first_in_line(book->client(), keys_of(book->name(), words.kind), options);
        if (first && first->key == mine) co_return std::nullopt;
        if (first) text += std::string("; ") + words.first + " " + first->value + " since revision " + std::to_string(first->create_revision.value);
    } catch (const error& failure) {
        if (failure.reason() == errc::cancelled) throw;
        text += std::string("; who is first is not known: ") + failure.what();
    }
    error_context context;
    context.call = words.call;
    context.key = book->name();
    co_return error(errc::timed_out, std::move(text), std::move(context));
}

ETCDCOLL_DECL asio::awaitable<std::shared_ptr<place>> stand_in_line(std::shared_ptr<receipts> book, line_words words, std::string value,
                                                                    duration timeout) {
    const auto deadline = deadline_after(book->core(), timeout);
    const auto taken = co_await take_place(book, keys_of(book->name(), words.kind), std::move(value), deadline);
    if (taken.first) co_return taken.mine;
    const bool first = co_await taken.mine->wait_first(deadline);
    if (first) co_return taken.mine;
    const auto late = co_await late_in_line(book, words, taken.mine->key(), timeout);
    if (late) throw error(*late);
    co_return taken.mine;
}

ETCDCOLL_DECL asio::awaitable<void> leave_place(std::shared_ptr<place> held) { co_await held->leave(); }
ETCDCOLL_DECL asio::awaitable<void> wait_place_lost(std::shared_ptr<place> held) {
    try {
        auto waiting = held->wait_gone();
        co_await while_alive(held->book().session(), std::move(waiting));
    } catch (const error& failure) {
        if (failure.reason() != errc::lease_lost) throw;
    }
}

ETCDCOLL_DECL place& standing(const std::shared_ptr<place>& held, const char* what) {
    if (!held) throw error(errc::closed, std::string("the ") + what + " was moved from, or given up");
    return *held;
}

} // namespace etcdcoll::detail
