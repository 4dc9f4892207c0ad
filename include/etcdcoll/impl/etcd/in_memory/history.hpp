#pragma once
// Keys with every revision of them that no compaction has taken, and the changes in the order in which they were made.

#include <etcdcoll/etcd/types.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::etcd::model {

inline bool is_one_key(const key_range& keys) noexcept { return keys.end.empty(); }
/// Every key from the first one on.
inline bool is_open(const key_range& keys) noexcept { return keys.end.size() == 1 && keys.end[0] == '\0'; }

inline bool contains(const key_range& keys, std::string_view key) noexcept {
    if (is_one_key(keys)) return key == keys.key;
    return key >= keys.key && (is_open(keys) || key < keys.end);
}

/// Changes are made under revision current() + 1, and seen at once; commit() ends that revision.
class history {
public:
    /// What one change left of a key.
    struct record {
        std::int64_t mod;
        std::int64_t create;
        std::int64_t version; ///< 0: deleted
        std::int64_t lease;
        std::string value;
        bool deleted() const noexcept { return version == 0; }
    };
    struct records {
        std::vector<record> kept;  ///< oldest first, never empty
        std::uint64_t dropped = 0; ///< older ones that compactions have taken
    };
    using keys = std::map<std::string, records, std::less<>>;
    using key = keys::value_type; ///< its address stays as long as the history knows of it
    using iterator = keys::iterator;

    /// A change, oldest first; `index` counts the dropped records of its key too.
    struct change {
        key* of;
        std::uint64_t index;
        const record& what() const noexcept { return of->second.kept[static_cast<std::size_t>(index - of->second.dropped)]; }
    };

    history() = default;
    history(const history&) = delete;
    history& operator=(const history&) = delete;

    std::int64_t current() const noexcept { return current_; }
    /// As current(), but the next one after a change that is not committed.
    std::int64_t newest() const noexcept { return current_ + (changing_ ? 1 : 0); }
    /// -1 until the first compaction: etcd takes one at 0.
    std::int64_t compacted() const noexcept { return compacted_; }

    const record* find(std::string_view name) const {
        const auto found = living_.find(name);
        return found == living_.end() ? nullptr : &found->second.kept.back();
    }
    /// What `one` was at a revision; null where it was not there.
    static const record* find(const key& one, std::int64_t at) noexcept;
    /// `one` as replies and events bring it.
    static key_value copy(const key& of, const record& one, bool with_value = true);
    /// Calls `see(key, record)` for what is there at a revision, by key; `see` returns false to end it.
    template <class See> void each(const key_range& range, std::int64_t at, See see) const;
    /// The keys of a range that are there now.
    std::pair<iterator, iterator> living(const key_range& range);
    std::pair<keys::const_iterator, keys::const_iterator> living(const key_range& range) const;

    key& put(const std::string& name, std::string value, std::int64_t lease);
    /// Returns the next one.
    iterator erase(iterator one);
    /// False where nothing was changed.
    bool commit() noexcept;

    /// Forgets what was replaced or deleted before `at`, which is above compacted() and not above current().
    void compact(std::int64_t at);

    /// Calls `see(revision, first, end)` for each revision from `from` on, with the indices of its changes for at(); `see` returns false to
    /// end it.
    template <class See> void each_revision(std::int64_t from, See see) const;
    const change& at(std::size_t index) const noexcept { return changes_[index]; }

private:
    template <class Keys> static auto bounds(Keys& among, const key_range& range);
    iterator revive(const std::string& name, iterator before);
    void note(key& one);
    void take_older(key& one, std::uint64_t index, std::int64_t at);
    void leave_last_of(std::int64_t at);

    keys living_;
    keys dead_; // those with a history only: what is read at the newest revision never meets them
    std::deque<change> changes_;
    std::deque<std::uint64_t> starts_; // where each revision begins in changes_, those that were taken counted too
    std::uint64_t taken_ = 0;          // changes in front of changes_
    std::int64_t oldest_ = 2;          // the revision of starts_.front(): etcd begins at 1, with nothing
    std::int64_t current_ = 1;
    std::int64_t compacted_ = -1;
    bool changing_ = false;
};

template <class See> void history::each(const key_range& range, std::int64_t at, See see) const {
    const auto [first, last] = living(range);
    if (at >= newest()) {
        for (auto one = first; one != last; ++one)
            if (!see(*one, one->second.kept.back())) return;
        return;
    }
    auto living = first;
    auto dead = dead_.lower_bound(range.key);
    const auto dead_is_in = [&] { return dead != dead_.end() && contains(range, dead->first); };
    while (living != last || dead_is_in()) {
        const bool take_dead = living == last || (dead_is_in() && dead->first < living->first);
        const key& one = take_dead ? *dead++ : *living++;
        if (const auto* then = find(one, at))
            if (!see(one, *then)) return;
    }
}

template <class See> void history::each_revision(std::int64_t from, See see) const {
    for (auto revision = from < oldest_ ? oldest_ : from; revision <= current_; ++revision) {
        const auto nth = static_cast<std::size_t>(revision - oldest_);
        const auto end = nth + 1 < starts_.size() ? starts_[nth + 1] - taken_ : changes_.size();
        if (!see(revision, static_cast<std::size_t>(starts_[nth] - taken_), static_cast<std::size_t>(end))) return;
    }
}

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/history.ipp>
#endif
