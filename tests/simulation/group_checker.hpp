#pragma once
// The invariants of a group, as far as its keys show them, by revision (docs/protocol.md).

#include "world.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace etcdcoll::sim {

/// Complains to its world. One a group.
class group_checker : public std::enable_shared_from_this<group_checker> {
public:
    /// Follows the keys of the group of that name.
    static std::shared_ptr<group_checker> follow(world& of, const std::string& group, int size);

    /// What the ranks say: nobody may leave collective `number` of an epoch before all have called it.
    void called(std::int64_t epoch, std::uint64_t number, int rank);
    void left(std::int64_t epoch, std::uint64_t number, int rank);

private:
    group_checker(world& of, std::string base, int size) : world_(of), base_(std::move(base)), size_(size) {}

    struct value {
        std::string text;
        std::int64_t version = 0;
        etcd::lease_id lease;
    };
    struct epoch_log {
        std::map<int, std::uint64_t> arrived;     // the newest number of each rank
        std::map<int, std::int64_t> arrivals;     // puts of it
        std::uint64_t released = 0;
        bool ended = false;  // by w/end, which may be gone
        bool erased = false; // seen without a member
    };
    struct change {
        std::string epoch; // id
        std::string name;  // behind it
        bool erased;
        value now;
    };

    void revision(const std::vector<etcd::event>& events);
    void check(const change& of);
    void membership(const change& of);
    void arrival(const change& of);
    void release(const change& of);
    void complain(const change& of, const std::string& what);
    bool there(const std::string& epoch, const std::string& name) const;

    world& world_;
    std::string base_;
    int size_;
    std::map<std::string, value> keys_; // before the revision that is being checked; behind base_
    std::map<std::string, epoch_log> epochs_;
    std::string current_; // id of the epoch that root names
    std::map<std::pair<std::int64_t, std::uint64_t>, std::set<int>> called_;
    std::int64_t at_ = 0; // the revision that is being checked
};

} // namespace etcdcoll::sim
