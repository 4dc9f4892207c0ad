#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/impl/recipes/receipts.hpp>
#include <etcdcoll/impl/recipes/waiting.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL receipts::receipts(std::shared_ptr<session_state> session, std::string name) : session_(std::move(session)), name_(std::move(name)) {}

ETCDCOLL_DECL std::string receipts::unique_id() { return hex(static_cast<std::uint64_t>(lease().value)) + "-" + hex(core().system()->random()); }

ETCDCOLL_DECL receipt_key receipts::take() {
    if (free_.empty()) return {keys_of(name_, "receipts") + unique_id(), etcd::revision(), 0};
    auto taken = std::move(free_.back());
    free_.pop_back();
    return taken;
}

ETCDCOLL_DECL const etcd::key_value* first_of(const etcd::op_response& response) {
    const auto* range = std::get_if<etcd::range_response>(&response);
    return range == nullptr || range->kvs.empty() ? nullptr : &range->kvs.front();
}

// What the receipt holds: the number of the transaction, and how it ended.
ETCDCOLL_DECL std::string receipt_text(std::uint64_t number, bool succeeded) { return std::to_string(number) + (succeeded ? " done" : " refused"); }

ETCDCOLL_DECL receipt::~receipt() {
    if (!doubt_) {
        book_->give_back(std::move(mine_));
        return;
    }
    if (!book_->session()->alive()) return; // and with the lease goes the receipt: no copy can be executed any more
    try {
        const auto text = receipt_text(mine_.used, true);
        auto request = etcd::when(etcd::value(mine_.key) == text);
        request.success = std::move(undo_);
        request.success.emplace_back(etcd::put(mine_.key, "void", book_->lease()));
        request.failure.emplace_back(etcd::put(mine_.key, "void", book_->lease()));
        asio::co_spawn(book_->core().strand(), insist(book_, std::move(request)), asio::detached);
    } catch (...) { // no memory
    }
}

// The failure branch, too, rewrites the receipt: a copy that came later, when the compares hold again, would be executed though its caller was told
// that they did not.
ETCDCOLL_DECL asio::awaitable<receipt_reply> receipt::txn(etcd::txn_request request, time_point deadline) {
    check_session(*book_->session());
    ++mine_.used;
    const auto unmoved = etcd::mod_revision(mine_.key) == mine_.moved;
    const auto done = receipt_text(mine_.used, true);
    const auto refused = receipt_text(mine_.used, false);
    request.compares.push_back(unmoved);
    request.success.emplace_back(etcd::put(mine_.key, done, book_->lease()));
    request.failure.emplace_back(etcd::get(mine_.key));
    request.failure.emplace_back(etcd::when(unmoved).then(etcd::put(mine_.key, refused, book_->lease())));

    auto call = book_->client().txn(std::move(request), guarded_until(book_->core(), deadline));
    doubt_ = true;
    etcd::txn_response reply;
    try {
        reply = co_await std::move(call);
    } catch (const error& failure) {
        doubt_ = failure.reason() == errc::outcome_unknown || failure.reason() == errc::cancelled; // anything else says that nothing was executed
        rethrow_lease(failure);
    }
    receipt_reply result;
    result.at = result.seen = reply.header.revision;
    result.responses = std::move(reply.responses);
    if (reply.succeeded) {
        result.succeeded = true;
        result.responses.pop_back();
    } else {
        const auto moved_now = std::get<etcd::txn_response>(result.responses.back()).succeeded;
        result.responses.pop_back();
        const auto* found = first_of(result.responses.back());
        if (!moved_now) {
            if (found == nullptr) throw error(errc::lease_lost, "the lease of this process is lost: key \"" + mine_.key + "\" is gone");
            if (found->value != done && found->value != refused) throw error(errc::corrupt, "key \"" + mine_.key + "\" was written by another");
            result.recalled = true;
            result.succeeded = found->value == done;
            result.at = found->mod_revision;
        }
        result.responses.pop_back();
        if (result.succeeded) result.responses.clear();
    }
    mine_.moved = result.at;
    doubt_ = false;
    co_return result;
}

// What another repetition would be told again.
ETCDCOLL_DECL bool is_final(errc reason) {
    switch (reason) {
    case errc::not_found: // the lease, and all that it held
    case errc::closed:
    case errc::invalid_argument:
    case errc::too_large:
    case errc::tls_failed:
    case errc::permission_denied:
    case errc::unauthenticated:
    case errc::unsupported:
    case errc::refused: return true;
    default: return false;
    }
}

ETCDCOLL_DECL asio::awaitable<void> insist(std::shared_ptr<receipts> book, etcd::txn_request request) {
    pause between(book->session()->client().core());
    const call_options options{.guarded = true};
    bool told = false; // once
    while (book->session()->alive()) {
        try {
            const auto done = co_await book->client().txn(request, options);
            static_cast<void>(done);
            co_return;
        } catch (const error& failure) {
            const bool gone = failure.reason() == errc::not_found || failure.reason() == errc::closed;
            if (!gone && !std::exchange(told, true) && book->core().log().enabled(log_level::warning))
                book->core().log().write(log_level::warning, failure.what());
            if (is_final(failure.reason())) co_return;
        }
        co_await between.wait(time_point::max());
    }
}

ETCDCOLL_DECL bool writes(const etcd::op& item) {
    if (const auto* nested = std::get_if<etcd::txn_request>(&item.request)) {
        const auto one = [](const etcd::op& inner) { return writes(inner); };
        return std::any_of(nested->success.begin(), nested->success.end(), one) || std::any_of(nested->failure.begin(), nested->failure.end(), one);
    }
    return !std::holds_alternative<etcd::range_request>(item.request);
}

ETCDCOLL_DECL asio::awaitable<receipt_reply> receipted(std::shared_ptr<receipts> book, etcd::txn_request request, duration timeout) {
    const auto deadline = deadline_after(book->core(), timeout);
    receipt with(book);
    auto reply = co_await with.txn(std::move(request), deadline);
    co_return reply;
}

ETCDCOLL_DECL std::shared_ptr<receipts> make_receipts(const session& of, const char* kind, std::string name) {
    if (!of.state()) throw error(errc::closed, "the session is not open");
    return std::make_shared<receipts>(of.state(), checked_name(kind, std::move(name)));
}

} // namespace detail

ETCDCOLL_DECL receipt_book::receipt_book(const session& of, std::string name) : state_(detail::make_receipts(of, "receipt_book", std::move(name))) {}
ETCDCOLL_DECL receipt_book::receipt_book(const receipt_book&) noexcept = default;
ETCDCOLL_DECL receipt_book& receipt_book::operator=(const receipt_book&) noexcept = default;
ETCDCOLL_DECL receipt_book::~receipt_book() = default;

ETCDCOLL_DECL asio::awaitable<receipt_reply> receipt_book::txn(etcd::txn_request request, duration timeout) {
    detail::check_timeout("txn", timeout);
    for (const auto& item : request.failure)
        if (detail::writes(item)) throw error(errc::invalid_argument, "txn: the failure branch of a transaction with a receipt must only read");
    return detail::with_session(*state_, detail::receipted(state_, std::move(request), timeout));
}

} // namespace etcdcoll
