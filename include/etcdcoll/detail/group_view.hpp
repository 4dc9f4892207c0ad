#pragma once
// What one rank knows of its epoch: fed with the first listing and the events of the watched keys, it says who is there, who is gone, what is
// released and how the epoch ended. No I/O.

#include <etcdcoll/detail/group_records.hpp>
#include <etcdcoll/detail/key_layout.hpp>
#include <etcdcoll/etcd/types.hpp>

#include <map>
#include <optional>
#include <vector>

namespace etcdcoll::detail {

class group_view {
public:
    struct member {
        member_record record;
        etcd::revision created;
        etcd::lease_id lease;
    };
    struct loss {
        int rank = 0;
        member_record record; ///< with `left` when it was an orderly end
        etcd::revision at;    ///< of the deletion; 0: known from a listing only
    };
    struct ending {
        end_record record;
        etcd::revision at;
    };
    struct released {
        release_record record;
        etcd::revision at;
    };

    group_view() = default;
    /// `own` is the rank of this process; -1: it is no member.
    group_view(key_layout keys, int size, int own = -1) : keys_(std::move(keys)), size_(size), own_(own) {}

    /// Takes the whole of the watched keys as they are at one revision: at first, and again when the history in between is gone. Members that
    /// were there before and are not now count as lost.
    void list(const std::vector<etcd::key_value>& kvs) {
        const auto before = members_;
        members_.clear();
        for (const auto& kv : kvs) put(kv);
        if (before.contains(own_) && !members_.contains(own_)) {
            evicted_ = true;
            return;
        }
        for (const auto& [rank, known] : before)
            if (!members_.contains(rank)) lose(rank, known.record, {});
    }

    void apply(const etcd::event& event) {
        if (event.type == etcd::event::kind::put) {
            put(event.kv);
            return;
        }
        const auto rank = key_layout::rank_behind(keys_.members(), event.kv.key);
        if (!rank) return; // a release or an end whose writer has left: what it said stays true
        const auto found = members_.find(*rank);
        if (found == members_.end()) return;
        if (*rank == own_) evict(event.kv.mod_revision);
        if (!evicted_) lose(*rank, found->second.record, event.kv.mod_revision);
        members_.erase(found);
    }

    int size() const noexcept { return size_; }
    const std::map<int, member>& members() const noexcept { return members_; }
    /// All ranks were there at one revision. True for ever from then on.
    bool formed() const noexcept { return formed_; }
    /// In the order in which they went.
    const std::vector<loss>& losses() const noexcept { return losses_; }
    const std::optional<ending>& end() const noexcept { return end_; }
    const std::optional<released>& release() const noexcept { return release_; }
    bool is_released(std::uint64_t sequence) const noexcept { return release_ && release_->record.sequence >= sequence; }
    /// Nothing can be completed any more that is not released yet.
    bool broken() const noexcept { return end_ || evicted_ || !losses_.empty(); }
    /// This process is no member any more: its lease is gone, or a new epoch has begun. losses() are those before that.
    bool evicted() const noexcept { return evicted_; }

    std::vector<int> absent() const {
        std::vector<int> ranks;
        for (int rank = 0; rank < size_; ++rank)
            if (!members_.contains(rank)) ranks.push_back(rank);
        return ranks;
    }

    /// Of one's own doing, known from the transaction's reply: the watch says it again.
    void note_release(release_record record, etcd::revision at) {
        if (!is_released(record.sequence)) release_ = released{std::move(record), at};
    }
    void note_end(end_record record, etcd::revision at) {
        if (!end_) end_ = ending{std::move(record), at};
    }

private:
    void put(const etcd::key_value& kv) {
        if (const auto rank = key_layout::rank_behind(keys_.members(), kv.key)) {
            if (*rank >= size_) return;
            members_[*rank] = member{decode_member(kv.key, kv.value), kv.create_revision, kv.lease};
            if (members_.size() == static_cast<std::size_t>(size_) && !broken()) formed_ = true;
        } else if (kv.key == keys_.release()) {
            note_release(decode_release(kv.key, kv.value), kv.mod_revision);
        } else if (kv.key == keys_.end()) {
            note_end(decode_end(kv.key, kv.value), kv.mod_revision);
        }
    }

    // A new epoch deletes all members of the old one at one revision: that says nothing about the others.
    void evict(etcd::revision at) {
        evicted_ = true;
        std::erase_if(losses_, [at](const loss& each) { return each.at == at; });
    }

    void lose(int rank, const member_record& record, etcd::revision at) { losses_.push_back(loss{rank, record, at}); }

    key_layout keys_;
    int size_ = 0;
    int own_ = -1;
    std::map<int, member> members_;
    std::vector<loss> losses_;
    std::optional<ending> end_;
    std::optional<released> release_;
    bool formed_ = false;
    bool evicted_ = false;
};

} // namespace etcdcoll::detail
