#pragma once

#include <etcdcoll/etcd/list_watch.hpp>
#include <etcdcoll/etcd/pages.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>

#include <boost/asio/post.hpp>

#include <iterator>

namespace etcdcoll::etcd {

// Used on the client's strand only.
struct list_watch::state {
    state(client through_, key_range keys_, list_watch_options options_)
        : through(std::move(through_)), keys(std::move(keys_)), options(options_) {
        begin(); // refuses what cannot work
    }

    void begin() {
        changes.reset();
        found.clear();
        listing.emplace(through, range_request(keys), options.page_size, options.each);
    }

    void follow(revision at) {
        listing.reset();
        watch_request request(keys, revision{at.value + 1});
        request.prev_kv = options.prev_kv;
        changes.emplace(through.watch(std::move(request)));
    }

    client through;
    key_range keys;
    list_watch_options options;
    std::optional<pages> listing; // this, or `changes`
    std::vector<key_value> found; // of the listing, so far
    std::optional<watch> changes;
    bool cancelled = false;
};

ETCDCOLL_DECL list_watch::list_watch(client through, key_range keys, list_watch_options options)
    : state_(std::make_shared<state>(std::move(through), std::move(keys), options)) {}
ETCDCOLL_DECL list_watch::list_watch(list_watch&&) noexcept = default;

ETCDCOLL_DECL list_watch& list_watch::operator=(list_watch&& other) noexcept {
    if (this == &other) return *this;
    cancel();
    state_ = std::move(other.state_);
    return *this;
}

ETCDCOLL_DECL list_watch::~list_watch() { cancel(); }

ETCDCOLL_DECL void list_watch::cancel() noexcept {
    if (!state_) return;
    const auto strand = state_->through.core()->strand();
    asio::post(strand, [ended = std::move(state_)] {
        ended->cancelled = true;
        if (ended->changes) ended->changes->cancel();
    });
    state_.reset();
}

ETCDCOLL_DECL asio::awaitable<list_watch_response> list_watch::next_of(std::shared_ptr<state> kept) {
    constexpr int listings_at_most = 5; // where each takes longer than history lasts, there is no end to them
    auto& s = *kept;
    list_watch_response result;
    int in_vain = 0;
    for (;;) {
        if (s.cancelled) throw error(errc::closed, "list_watch: cancelled");
        try {
            if (s.changes) {
                auto response = co_await s.changes->next();
                result.events = std::move(response.events);
                // Not the header's: that is the store's, which may be ahead of what a watch that catches up is being told.
                result.revision = result.events.back().kv.mod_revision;
                co_return result;
            }
            auto page = co_await s.listing->next();
            std::move(page.begin(), page.end(), std::back_inserter(s.found));
            if (s.listing->done() && !s.cancelled) {
                result.complete = true;
                result.kvs = std::move(s.found);
                result.revision = s.listing->revision();
                s.follow(result.revision);
                co_return result;
            }
        } catch (const error& failure) {
            const bool lost = failure.reason() == errc::compacted;
            const bool was_listing = !s.changes;
            if (lost || (!was_listing && failure.reason() != errc::cancelled)) s.begin();
            if (!lost || (was_listing && ++in_vain == listings_at_most)) throw;
            const auto& log = s.through.core()->log();
            if (log.enabled(log_level::warning))
                log.write(log_level::warning, std::string("list_watch: ") + failure.what() + "; listing everything again");
        }
    }
}

ETCDCOLL_DECL asio::awaitable<list_watch_response> list_watch::next() {
    if (!state_) throw error(errc::closed, "list_watch: cancelled");
    return etcdcoll::detail::on_strand(state_->through.core()->strand(), next_of(state_));
}

} // namespace etcdcoll::etcd
