#pragma once
// Where a watch stands: what was delivered, what a server repeats, and where a new stream has to go on. No I/O.

#include <etcdcoll/etcd/watch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace etcdcoll::detail {

class watch_cursor {
public:
    /// `start` 0: from the moment the watch is created.
    explicit watch_cursor(etcd::revision start) : next_(start.value) {}

    /// The start revision of the next create request.
    etcd::revision resume() const noexcept { return {next_}; }

    /// The server has made the watch at this revision of the store: what comes later must not be lost by a reconnect.
    void created(etcd::revision at) noexcept {
        if (next_ == 0) next_ = at.value + 1;
    }

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
        if (!events.empty()) next_ = newest + 1;
        return dropped;
    }

private:
    std::int64_t next_;
};

} // namespace etcdcoll::detail
