#pragma once

#include <etcdcoll/impl/etcd/in_memory/history.hpp>

#include <algorithm>

namespace etcdcoll::etcd::model {

template <class Keys> auto history::bounds(Keys& among, const key_range& range) {
    if (is_one_key(range)) {
        const auto found = among.find(range.key);
        return std::pair(found, found == among.end() ? found : std::next(found));
    }
    const auto first = among.lower_bound(range.key);
    if (is_open(range)) return std::pair(first, among.end());
    return std::pair(first, range.end <= range.key ? first : among.lower_bound(range.end));
}

ETCDCOLL_DECL std::pair<history::iterator, history::iterator> history::living(const key_range& range) { return bounds(living_, range); }

ETCDCOLL_DECL std::pair<history::keys::const_iterator, history::keys::const_iterator> history::living(const key_range& range) const {
    return bounds(living_, range);
}

ETCDCOLL_DECL const history::record* history::find(const key& one, std::int64_t at) noexcept {
    const auto& kept = one.second.kept;
    const auto after = std::upper_bound(kept.begin(), kept.end(), at, [](std::int64_t revision, const record& r) { return revision < r.mod; });
    if (after == kept.begin() || std::prev(after)->deleted()) return nullptr;
    return &*std::prev(after);
}

ETCDCOLL_DECL key_value history::copy(const key& of, const record& one, bool with_value) {
    key_value result;
    result.key = of.first;
    if (with_value) result.value = one.value;
    result.create_revision.value = one.create;
    result.mod_revision.value = one.mod;
    result.version = one.version;
    result.lease.value = one.lease;
    return result;
}

// The place of a key that is not there now: the one that it had before, or a new one.
ETCDCOLL_DECL history::iterator history::revive(const std::string& name, iterator before) {
    const auto dead = dead_.empty() ? dead_.end() : dead_.find(name);
    if (dead == dead_.end()) return living_.emplace_hint(before, name, records());
    return living_.insert(before, dead_.extract(dead));
}

ETCDCOLL_DECL void history::note(key& one) {
    if (!changing_) starts_.push_back(taken_ + changes_.size());
    changing_ = true;
    changes_.push_back({&one, one.second.dropped + one.second.kept.size() - 1});
}

ETCDCOLL_DECL history::key& history::put(const std::string& name, std::string value, std::int64_t lease) {
    auto one = living_.lower_bound(name);
    const bool lives = one != living_.end() && one->first == name;
    if (!lives) one = revive(name, one);
    auto& kept = one->second.kept;
    const auto create = lives ? kept.back().create : current_ + 1;
    const auto version = lives ? kept.back().version + 1 : 1;
    kept.push_back({current_ + 1, create, version, lease, std::move(value)});
    note(*one);
    return *one;
}

ETCDCOLL_DECL history::iterator history::erase(iterator one) {
    const auto next = std::next(one);
    one->second.kept.push_back({current_ + 1, 0, 0, 0, {}});
    note(*one);
    dead_.insert(living_.extract(one));
    return next;
}

ETCDCOLL_DECL bool history::commit() noexcept {
    if (!changing_) return false;
    changing_ = false;
    ++current_;
    return true;
}

// Leaves of a key what is the newest at revision `at`: the record `index`, unless that says that it was deleted before.
ETCDCOLL_DECL void history::take_older(key& one, std::uint64_t index, std::int64_t at) {
    auto& [kept, dropped] = one.second;
    auto last = kept.begin() + static_cast<std::ptrdiff_t>(index - dropped);
    if (last->deleted() && last->mod < at) ++last;
    if (last == kept.end()) {
        dead_.erase(one.first);
        return;
    }
    dropped += static_cast<std::uint64_t>(last - kept.begin());
    kept.erase(kept.begin(), last);
    if (kept.capacity() > 4 * kept.size() + 16) kept.shrink_to_fit();
}

// Of a key that was changed more than once in the revision `at`, a compaction leaves the last change.
ETCDCOLL_DECL void history::leave_last_of(std::int64_t at) {
    if (starts_.empty() || oldest_ != at) return;
    const auto size = starts_.size() > 1 ? static_cast<std::size_t>(starts_[1] - taken_) : changes_.size();
    std::vector<change> last;
    for (std::size_t i = 0; i < size; ++i) {
        const auto c = changes_[i];
        const auto& kept = c.of->second.kept;
        const auto next = static_cast<std::size_t>(c.index - c.of->second.dropped) + 1;
        if (next == kept.size() || kept[next].mod > at) last.push_back(c);
    }
    for (const auto& c : last) take_older(*c.of, c.index, at);
    if (last.size() == size) return;
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(size - last.size()));
    std::copy(last.begin(), last.end(), changes_.begin());
    taken_ += size - last.size();
    starts_.front() = taken_;
}

ETCDCOLL_DECL void history::compact(std::int64_t at) {
    compacted_ = at;
    for (; !starts_.empty() && oldest_ < at; ++oldest_) {
        const auto end = starts_.size() > 1 ? starts_[1] : taken_ + changes_.size();
        for (; taken_ < end; ++taken_, changes_.pop_front()) {
            const auto [one, index] = changes_.front();
            const auto& kept = one->second.kept;
            const auto next = static_cast<std::size_t>(index - one->second.dropped) + 1;
            // Only the last change of a key up to there: a record of an earlier one must stay until its change was passed.
            if (next == kept.size() || kept[next].mod > at) take_older(*one, index, at);
        }
        starts_.pop_front();
    }
    leave_last_of(at);
}

} // namespace etcdcoll::etcd::model
