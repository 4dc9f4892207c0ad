#pragma once

#include <etcdcoll/impl/group/group_state.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace etcdcoll::detail {

// The watch of the epoch feeds the view.

class group_state::sink final : public watch_sink {
public:
    explicit sink(std::weak_ptr<group_state> group) : group_(std::move(group)) {}
    void on_response(etcd::watch_response response) override {
        if (const auto group = group_.lock()) group->on_events(response);
    }
    void on_failure(const error& failure) override {
        if (const auto group = group_.lock()) group->on_watch_failure(failure);
    }

private:
    std::weak_ptr<group_state> group_;
};

ETCDCOLL_DECL void group_state::start_watch(etcd::revision from) {
    stop_watch();
    if (left_) return;
    etcd::watch_request request(etcd::prefix(keys_.watched()), from);
    watch_id_ = core().watches()->add(std::move(request), std::make_shared<sink>(weak_from_this()));
}

ETCDCOLL_DECL void group_state::stop_watch() noexcept {
    if (watch_id_ != 0) core().watches()->remove(std::exchange(watch_id_, 0));
}

ETCDCOLL_DECL void group_state::on_events(const etcd::watch_response& response) {
    try {
        for (const auto& event : response.events) view_.apply(event);
    } catch (const error& failure) { // a key of ours holds what no member writes
        fail_with(failure);
    }
    changed_.notify_all();
}

ETCDCOLL_DECL void group_state::on_watch_failure(const error& failure) {
    watch_id_ = 0;
    if (left_) return;
    if (failure.reason() != errc::compacted) {
        fail_with(failure);
        return;
    }
    asio::co_spawn(core().strand(), relist(shared_from_this(), etcd::revision(failure.context().compact_revision)), asio::detached);
}

// The history in between is gone, but the keys themselves tell the state: releases and members stand until they are replaced. Read where history
// begins now, and watched from there, they also tell what came after it, in order: a release whose writer has left since would be missing today.
ETCDCOLL_DECL asio::awaitable<void> group_state::relist([[maybe_unused]] std::shared_ptr<group_state> self, etcd::revision at) {
    etcd::range_request watched(etcd::prefix(keys_.watched()));
    while (!left_ && !failure_) {
        std::optional<error> failed;
        watched.revision = at;
        try {
            const auto reply = co_await client_.range(watched);
            if (left_ || watch_id_ != 0 || keys_.watched() != watched.keys.key) co_return; // what was asked for is not wanted any more
            view_.list(reply.kvs);
            start_watch({(at ? at : reply.header.revision).value + 1});
            changed_.notify_all();
            co_return;
        } catch (const error& failure) {
            failed.emplace(failure);
        } catch (const std::exception& failure) {
            failed.emplace(errc::closed, failure.what());
        }
        if (failed->reason() == errc::compacted && at) {
            at = {}; // once more meanwhile: as things are today, then
            continue;
        }
        if (!worth_repeating(failed->reason())) fail_with(*failed);
        last_trouble_ = failed->what();
    }
}

} // namespace etcdcoll::detail
