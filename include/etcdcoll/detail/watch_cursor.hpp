#pragma once
// Where a watch stands: what was delivered, what a server repeats, and where a new stream has to go on. No I/O.

#include <etcdcoll/etcd/watch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace etcdcoll::detail {

class watch_cursor {
public:
    /// `start` 0: from the moment the watch is created.
    explicit watch_cursor(etcd::revision start) : next_(start.value) {}

    /// The start revision of the next create request.
    etcd::revision resume() const noexcept { return {next_ == 0 ? 0 : std::max(next_, settled_)}; }

    /// The server has made the watch at this revision of the store: what comes later must not be lost by a reconnect.
    void created(etcd::revision at) noexcept {
        if (next_ == 0) next_ = at.value + 1;
    }

    /// The server says on the stream that it has sent everything up to `at`, so that a later stream may begin behind it: a watch of keys that
    /// do not change must not fall behind the history that is kept. Servers before 3.4.25 and 3.5.8 may say so too early; so it counts when it
    /// was said again, a while later, and nothing older has come in between.
    void progress(etcd::revision at, std::chrono::steady_clock::time_point now) noexcept {
        if (told_ != 0 && now - told_at_ < std::chrono::seconds(1)) return;
        if (told_ != 0) settled_ = std::max(settled_, told_ + 1);
        told_ = at.value;
        told_at_ = now;
    }

    /// What was said on the stream before does not count for the next one.
    void stream_ended() noexcept { told_ = 0; }

    /// Takes the complete events of whole revisions; drops those that were delivered before, or stand behind later ones, and returns how
    /// many. Servers before 3.4.24 and 3.5.8 repeat events after a reconnect.
    std::size_t accept(std::vector<etcd::event>& events) {
        auto newest = next_;
        const auto old = [&newest](const etcd::event& e) {
            if (e.kv.mod_revision.value < newest) return true;
            newest = e.kv.mod_revision.value;
            return false;
        };
        const auto kept = std::remove_if(events.begin(), events.end(), old);
        const auto dropped = static_cast<std::size_t>(events.end() - kept);
        events.erase(kept, events.end());
        if (!events.empty() && events.front().kv.mod_revision.value <= told_) told_ = 0;
        if (!events.empty()) next_ = newest + 1;
        return dropped;
    }

private:
    std::int64_t next_;
    std::int64_t settled_ = 0;
    std::int64_t told_ = 0; // by progress(), not settled
    std::chrono::steady_clock::time_point told_at_;
};

} // namespace etcdcoll::detail
