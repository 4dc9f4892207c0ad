#pragma once

#include <etcdcoll/detail/recipes/keys.hpp>
#include <etcdcoll/detail/recipes/leader_view.hpp>
#include <etcdcoll/impl/recipes/place.hpp>
#include <etcdcoll/recipes/election.hpp>

#include <boost/asio/strand.hpp>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL asio::awaitable<void> proclaim(std::shared_ptr<place> held, std::string value) {
    auto& book = held->book();
    if (held->leaving()) throw error(errc::closed, call_and_key("election", book.name()) + ": the leadership was resigned");
    receipt once(held->shared_book());
    const auto deadline = book.core().now() + book.core().values().timeout;
    const auto reply = co_await once.txn(etcd::when(held->stands()).then(etcd::put(held->key(), std::move(value), book.lease())), deadline);
    if (!reply.succeeded) throw error(errc::lease_lost, call_and_key("election", book.name()) + ": the leadership is lost, nothing was proclaimed");
}

// ---- the feed -------------------------------------------------------------------------------------------------------------------

/// All members are used on the client's strand.
class leader_news {
public:
    leader_news(etcd::client client, std::string name) : client_(std::move(client)), name_(std::move(name)), line_(keys_of(name_, "election")) {}

    client_core& core() { return *client_.core(); }

    asio::awaitable<etcd::key_value> next(duration timeout) {
        const auto deadline = deadline_after(core(), timeout);
        for (;;) {
            if (auto told = view_.next()) co_return std::move(*told);
            if (!changes_ && applied_) {
                changes_.emplace(client_.watch(etcd::watch_request(etcd::prefix(line_), etcd::revision(applied_.value + 1))));
            } else if (!changes_) {
                co_await list(deadline);
                continue;
            }
            std::optional<etcd::watch_response> change;
            try {
                change = co_await next_before(&*changes_, client_.core(), deadline);
            } catch (const error& failure) {
                if (failure.reason() == errc::cancelled) throw; // the watch goes on
                changes_.reset();
                if (failure.reason() != errc::compacted) throw; // the next call watches from where this one has come to
                applied_ = {};
                from_ = etcd::revision(failure.context().compact_revision);
                continue;
            }
            if (!change) fail_late("next", "election", name_, ": no news of a leader for " + seconds_text(timeout));
            view_.apply(change->events);
            if (!change->events.empty()) applied_ = change->events.back().kv.mod_revision;
        }
    }

private:
    // After a compaction, as things stood where history begins now: what came later is still told.
    asio::awaitable<void> list(time_point deadline) {
        etcd::range_request request(etcd::prefix(line_));
        request.revision = from_;
        try {
            const auto found = co_await client_.range(request, until(core(), deadline));
            view_.list(found.kvs);
            applied_ = from_ ? from_ : found.header.revision;
        } catch (const error& failure) {
            if (failure.reason() != errc::compacted || !from_) throw;
        }
        from_ = {};
    }

    etcd::client client_;
    std::string name_;
    std::string line_;
    std::optional<etcd::watch> changes_;
    etcd::revision applied_; // what view_ has seen; none: to be listed
    etcd::revision from_;    // at which to list; none: now
    leader_view view_;
};

ETCDCOLL_DECL asio::awaitable<etcd::key_value> next_of(std::shared_ptr<leader_news> news, duration timeout) {
    auto told = co_await news->next(timeout);
    co_return told;
}

// What lead() runs beside the body. A body that resigns has not lost anything.
ETCDCOLL_DECL asio::awaitable<void> wait_deposed(std::shared_ptr<place> held) {
    bool resigned = false;
    try {
        co_await wait_place_lost(held);
    } catch (const error& failure) {
        resigned = failure.reason() == errc::closed && held->leaving();
        if (!resigned) throw;
    }
    auto& core = held->book().core();
    if (resigned) co_await sleep_until(core.strand(), core.system(), time_point::max());
}

} // namespace detail

// ---- a leadership ---------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL leadership::leadership(std::shared_ptr<detail::place> held) : held_(std::move(held)) {}
ETCDCOLL_DECL leadership::leadership(leadership&&) noexcept = default;
ETCDCOLL_DECL leadership& leadership::operator=(leadership&&) noexcept = default;
ETCDCOLL_DECL leadership::~leadership() = default;

ETCDCOLL_DECL etcd::revision leadership::token() const { return detail::standing(held_, "leadership").created(); }
ETCDCOLL_DECL etcd::compare leadership::still_leader() const { return detail::standing(held_, "leadership").stands(); }
ETCDCOLL_DECL const std::string& leadership::key() const { return detail::standing(held_, "leadership").key(); }

ETCDCOLL_DECL asio::awaitable<void> leadership::proclaim(std::string value) {
    return detail::with_session(detail::standing(held_, "leadership").book(), detail::proclaim(held_, std::move(value)));
}

ETCDCOLL_DECL asio::awaitable<void> leadership::resign() {
    return detail::on_strand(detail::standing(held_, "leadership").book().core().strand(), detail::leave_place(held_));
}

ETCDCOLL_DECL asio::awaitable<void> leadership::lost() {
    return detail::on_strand(detail::standing(held_, "leadership").book().core().strand(), detail::wait_place_lost(held_));
}

// ---- the feed -------------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL leader_feed::leader_feed(etcd::client client, std::string name)
    : news_(std::make_shared<detail::leader_news>(std::move(client), detail::checked_name("election", std::move(name)))) {}
ETCDCOLL_DECL leader_feed::leader_feed(leader_feed&&) noexcept = default;
ETCDCOLL_DECL leader_feed& leader_feed::operator=(leader_feed&&) noexcept = default;
ETCDCOLL_DECL leader_feed::~leader_feed() = default;

ETCDCOLL_DECL asio::awaitable<etcd::key_value> leader_feed::next(duration timeout) {
    detail::check_timeout("next", timeout);
    if (!news_) throw error(errc::closed, "the feed was moved from");
    return detail::on_strand(news_->core().strand(), detail::next_of(news_, timeout));
}

// ---- the election ---------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL election::election(const session& of, std::string name) : book_(detail::make_receipts(of, "election", std::move(name))) {}
ETCDCOLL_DECL election::election(const election&) noexcept = default;
ETCDCOLL_DECL election& election::operator=(const election&) noexcept = default;
ETCDCOLL_DECL election::~election() = default;

ETCDCOLL_DECL asio::awaitable<leadership> election::leadership_of(asio::awaitable<std::shared_ptr<detail::place>> campaigning) {
    auto held = co_await std::move(campaigning);
    co_return leadership(std::move(held));
}

ETCDCOLL_DECL asio::awaitable<leadership> election::campaign(std::string value, duration timeout) {
    detail::check_timeout("campaign", timeout);
    const detail::line_words words{"election", "campaign", "led by"};
    return leadership_of(detail::with_session(*book_, detail::stand_in_line(book_, words, std::move(value), timeout)));
}

ETCDCOLL_DECL asio::awaitable<void> election::lead_here(std::shared_ptr<detail::receipts> book, std::string value,
                                                        std::function<asio::awaitable<void>(leadership&)> body, duration timeout) {
    const detail::line_words words{"election", "lead", "led by"};
    const auto here = co_await asio::this_coro::executor;
    auto held = co_await detail::with_session(*book, detail::stand_in_line(book, words, std::move(value), timeout));
    leadership mine(held);
    auto acting = body(mine);
    auto deposed = detail::on_strand(book->core().strand(), detail::wait_deposed(held));
    auto group = asio::experimental::make_parallel_group(asio::co_spawn(here, std::move(acting), asio::experimental::deferred),
                                                         asio::co_spawn(here, std::move(deposed), asio::experimental::deferred));
    auto waiting = group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    const auto result = co_await std::move(waiting);
    const bool body_first = std::get<0>(result)[0] == 0;
    const auto state = co_await asio::this_coro::cancellation_state;
    const bool cancelled = state.cancelled() != asio::cancellation_type::none;
    if (!body_first && !cancelled) {
        if (std::get<2>(result)) std::rethrow_exception(std::get<2>(result)); // the session was closed
        throw error(errc::lease_lost, detail::call_and_key("election", book->name()) + ": the leadership is lost, and what was run under it was cancelled");
    }
    const auto failure = std::get<1>(result);
    if (!cancelled && !held->leaving()) {
        try {
            co_await mine.resign();
        } catch (const error&) {
            if (!failure) throw;
        }
    }
    if (failure) std::rethrow_exception(failure);
}

// On a strand of its own: what ends the body must not meet it in another thread.
ETCDCOLL_DECL asio::awaitable<void> election::lead_alone(std::shared_ptr<detail::receipts> book, std::string value,
                                                         std::function<asio::awaitable<void>(leadership&)> body, duration timeout) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    auto leading = lead_here(std::move(book), std::move(value), std::move(body), timeout);
    co_await detail::on_strand<void>(asio::make_strand(here), std::move(leading));
}

ETCDCOLL_DECL asio::awaitable<void> election::lead(std::string value, std::function<asio::awaitable<void>(leadership&)> body, duration timeout) {
    detail::check_timeout("lead", timeout);
    if (!body) throw error(errc::invalid_argument, "lead: the body is empty");
    return lead_alone(book_, std::move(value), std::move(body), timeout);
}

ETCDCOLL_DECL asio::awaitable<std::optional<etcd::key_value>> election::leader() {
    return detail::first_in_line(book_->client(), detail::keys_of(book_->name(), "election"), call_options());
}

ETCDCOLL_DECL leader_feed election::observe() const { return leader_feed(book_->client(), book_->name()); }

} // namespace etcdcoll
