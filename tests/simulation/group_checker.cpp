#include "group_checker.hpp"

#include <etcdcoll/detail/key_layout.hpp>

#include <charconv>
#include <utility>

namespace etcdcoll::sim {

namespace {

std::uint64_t number_in(std::string_view text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// Of {"seq":17,...} or {...,"id":"9f86"}; what stands behind the name.
std::string_view behind(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    return at == std::string_view::npos ? std::string_view() : text.substr(at + name.size());
}

std::optional<int> rank_of(std::string_view prefix, std::string_view name) { return detail::key_layout::rank_behind(prefix, name); }

} // namespace

std::shared_ptr<group_checker> group_checker::follow(world& of, const std::string& group, int size) {
    const auto checker = std::shared_ptr<group_checker>(new group_checker(of, detail::key_layout("etcdcoll/groups", group).base(), size));
    of.on_revision.push_back([checker](const std::vector<etcd::event>& events) { checker->revision(events); });
    return checker;
}

void group_checker::called(std::int64_t epoch, std::uint64_t number, int rank) { called_[{epoch, number}].insert(rank); }

void group_checker::left(std::int64_t epoch, std::uint64_t number, int rank) {
    const auto come = called_[{epoch, number}].size();
    if (come == static_cast<std::size_t>(size_)) return;
    world_.complain("I2: rank " + std::to_string(rank) + " left collective " + std::to_string(number) + " of epoch " + std::to_string(epoch) + " when " +
                    std::to_string(come) + " of " + std::to_string(size_) + " ranks had called it");
}

bool group_checker::there(const std::string& epoch, const std::string& name) const { return keys_.contains(epoch + "/" + name); }

void group_checker::complain(const change& of, const std::string& what) {
    world_.complain(what + ": revision " + std::to_string(at_) + (of.erased ? " erases " : " puts ") + of.epoch + "/" + of.name + " = " + of.now.text);
}

void group_checker::revision(const std::vector<etcd::event>& events) {
    std::vector<change> changes;
    for (const auto& each : events) {
        if (!each.kv.key.starts_with(base_)) continue;
        at_ = each.kv.mod_revision.value;
        const auto name = each.kv.key.substr(base_.size());
        const auto slash = name.find('/');
        const auto split = slash == std::string::npos ? std::string::npos : slash;
        change found{split == std::string::npos ? "" : name.substr(0, split), split == std::string::npos ? name : name.substr(split + 1),
                     each.type == etcd::event::kind::erase, {each.kv.value, each.kv.version, each.kv.lease}};
        changes.push_back(std::move(found));
    }
    if (changes.empty()) return;
    for (const auto& each : changes) {
        if (each.name != "root" || each.erased) continue;
        current_ = std::string(behind(each.now.text, "\"id\":\"").substr(0, 16));
    }
    for (const auto& each : changes) check(each);
    for (const auto& each : changes) {
        const auto key = each.epoch.empty() ? each.name : each.epoch + "/" + each.name;
        if (each.erased) {
            keys_.erase(key);
        } else {
            keys_[key] = each.now;
        }
    }
    for (auto& [id, log] : epochs_) {
        const auto first = keys_.lower_bound(id + "/w/member/");
        if (id != current_ && (first == keys_.end() || !first->first.starts_with(id + "/w/member/"))) log.erased = true;
    }
    std::size_t living = 0;
    for (const auto& [id, log] : epochs_) living += log.erased ? 0 : 1;
    const auto most = static_cast<std::size_t>(4 + 6 * size_) * std::max<std::size_t>(living, 1);
    if (keys_.size() > most) world_.complain("I5: " + std::to_string(keys_.size()) + " keys at revision " + std::to_string(at_));
}

// An epoch may go on a little while the next one has begun, where its root key went with the process that had put it. It is over for good once it has been
// seen without a member.
void group_checker::check(const change& of) {
    if (of.erased) return;
    if (!of.now.lease) complain(of, "I5: without a lease");
    if (of.epoch.empty()) return;
    if (epochs_[of.epoch].erased) complain(of, "I6: written in an epoch that is over");
    if (of.name.starts_with("w/member/")) membership(of);
    if (of.name.starts_with("arrive/")) arrival(of);
    if (of.name == "w/release") release(of);
    if (of.name == "w/end") epochs_[of.epoch].ended = true;
    if (of.name == "w/end" && of.now.version != 1) complain(of, "an epoch ends a second time");
}

// A rank is one process's as long as its key is there.
void group_checker::membership(const change& of) {
    const auto before = keys_.find(of.epoch + "/" + of.name);
    if (before != keys_.end() && before->second.lease != of.now.lease) complain(of, "a rank is taken from a process that holds it");
}

// I1 and I6: each rank arrives once at each number, in order, and only as the member that it is, while the epoch has not ended.
void group_checker::arrival(const change& of) {
    const auto rank = rank_of("arrive/", of.name);
    if (!rank) {
        complain(of, "no rank");
        return;
    }
    const auto member = keys_.find(of.epoch + "/w/member/" + std::to_string(*rank));
    if (member == keys_.end()) {
        complain(of, "I6: an arrival of no member");
    } else if (member->second.lease != of.now.lease) {
        complain(of, "I6: an arrival of a former member");
    }
    if (there(of.epoch, "w/end")) complain(of, "I6: an arrival after the end of the epoch");
    auto& log = epochs_[of.epoch];
    const auto number = number_in(behind(of.now.text, "\"seq\":"));
    if (number != log.arrived[*rank] + 1) complain(of, "I1: arrival " + std::to_string(number) + " after " + std::to_string(log.arrived[*rank]));
    log.arrived[*rank] = number;
}

// I2: a release comes when all have arrived, once for each number.
void group_checker::release(const change& of) {
    auto& log = epochs_[of.epoch];
    const auto number = number_in(of.now.text);
    if (log.ended) complain(of, "released after the end of its epoch");
    if (number <= log.released) complain(of, "I1: released twice");
    log.released = number;
    if (log.arrived.size() != static_cast<std::size_t>(size_)) complain(of, "I2: released before all have arrived");
    for (const auto& [rank, newest] : log.arrived) {
        if (newest < number) complain(of, "I2: released before rank " + std::to_string(rank) + " has arrived");
    }
}

} // namespace etcdcoll::sim
