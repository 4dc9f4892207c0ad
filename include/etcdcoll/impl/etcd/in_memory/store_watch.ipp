#pragma once

#include <etcdcoll/impl/etcd/in_memory/store.hpp>

namespace etcdcoll::etcd::model {

ETCDCOLL_DECL bool store::is_wanted(const watcher& of, const history::change& c) const {
    if (c.what().deleted() ? of.no_erase : of.no_put) return false;
    return contains(of.keys, c.of->first);
}

ETCDCOLL_DECL event store::event_of(const watcher& of, const history::change& c) const {
    const auto& now = c.what();
    event result;
    result.kv.key = c.of->first;
    result.kv.mod_revision.value = now.mod;
    if (now.deleted()) {
        result.type = event::kind::erase;
    } else {
        result.kv = history::copy(*c.of, now);
    }
    // What was before a compaction is not told, even where it is kept for readers of the present.
    if (!of.prev_kv || now.create == now.mod || now.mod - 1 < keys_.compacted()) return result;
    if (const auto* before = history::find(*c.of, now.mod - 1)) result.prev_kv = history::copy(*c.of, *before);
    return result;
}

ETCDCOLL_DECL watch_batch store::read(watcher& from, std::size_t most_revisions) const {
    watch_batch batch;
    if (from.next.value < keys_.compacted()) {
        batch.compact_revision.value = keys_.compacted();
        return batch;
    }
    if (from.next.value < 0) from.next.value = keys_.current() + 1; // etcd looks for it behind all others, and goes on with the present
    std::size_t revisions = 0;
    const auto newest = keys_.current();
    keys_.each_revision(from.next.value, [&](std::int64_t revision, std::size_t first, std::size_t end) {
        const auto before = batch.events.size();
        for (auto i = first; i < end; ++i)
            if (is_wanted(from, keys_.at(i))) batch.events.push_back(event_of(from, keys_.at(i)));
        from.next.value = revision + 1;
        if (batch.events.size() != before) ++revisions;
        return revisions < most_revisions;
    });
    if (from.next.value <= newest && revisions < most_revisions) from.next.value = newest + 1;
    return batch;
}

} // namespace etcdcoll::etcd::model
