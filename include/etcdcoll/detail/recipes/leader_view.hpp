#pragma once
// Decides from the candidates' keys who leads, and what of it is news. No I/O.

#include <etcdcoll/etcd/types.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace etcdcoll::detail {

/// The candidate whose key was created first leads, and what it puts then is proclaimed.
class leader_view {
public:
    /// How things stand at one revision. What went before it and was not told is not told any more.
    void list(const std::vector<etcd::key_value>& candidates) {
        candidates_.clear();
        for (const auto& one : candidates) candidates_.insert_or_assign(one.key, one);
        look();
    }

    /// What one or more whole revisions have changed. A revision counts as one: a lease that ends may take several candidates at once, and none of them
    /// has led in between.
    void apply(const std::vector<etcd::event>& events) {
        for (std::size_t i = 0; i < events.size(); ++i) {
            const auto& kv = events[i].kv;
            if (events[i].type == etcd::event::kind::put) {
                candidates_.insert_or_assign(kv.key, kv);
            } else {
                candidates_.erase(kv.key);
            }
            if (i + 1 == events.size() || events[i + 1].kv.mod_revision != kv.mod_revision) look();
        }
    }

    /// What has not been told yet, in order.
    std::optional<etcd::key_value> next() {
        if (news_.empty()) return std::nullopt;
        auto first = std::move(news_.front());
        news_.pop_front();
        return first;
    }

private:
    void look() {
        const auto older = [](const auto& a, const auto& b) { return a.second.create_revision < b.second.create_revision; };
        const auto leader = std::min_element(candidates_.begin(), candidates_.end(), older);
        if (leader == candidates_.end()) return;
        const auto& kv = leader->second;
        if (kv.create_revision == told_created_ && kv.mod_revision == told_changed_) return;
        told_created_ = kv.create_revision;
        told_changed_ = kv.mod_revision;
        news_.push_back(kv);
    }

    std::map<std::string, etcd::key_value> candidates_;
    std::deque<etcd::key_value> news_;
    etcd::revision told_created_;
    etcd::revision told_changed_;
};

} // namespace etcdcoll::detail
