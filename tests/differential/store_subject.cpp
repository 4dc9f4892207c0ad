#include "subject.hpp"

#include <cstdio>
#include <stdexcept>

namespace etcdcoll::test {

namespace {

etcd::model::limits less_by(etcd::model::limits most, std::size_t request_number) {
    most.max_request_bytes += 10 - request_number; // the store counts with the longest
    return most;
}

} // namespace

differences differences_of(const std::string& version) {
    int major = 0, minor = 0, patch = 0;
    if (std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch) != 3) throw std::runtime_error("no version of etcd: " + version);
    differences result;
    result.compaction_takes_deletions = major == 3 && ((minor == 4 && patch < 34) || (minor == 5 && patch < 16));
    result.txn_is_checked_in_order = major > 3 || minor >= 6;
    return result;
}

store_subject::store_subject(std::int64_t revision, etcd::model::limits most, differences of, std::function<time_point()> now)
    : store_(less_by(most, of.request_number)), of_(of), now_(std::move(now)) {
    if (revision == 1) return;
    while (store_.current().value + 2 < revision) store_.put({"before", ""});
    store_.erase("before");
    store_.put({"base", ""});
    store_.compact({revision});
}

outcome store_subject::answer(const operation& what) {
    if (const auto* r = std::get_if<etcd::put_request>(&what)) return outcome_of(store_.put(*r));
    if (const auto* r = std::get_if<etcd::range_request>(&what)) return outcome_of(store_.range(*r));
    if (const auto* r = std::get_if<etcd::delete_range_request>(&what)) return outcome_of(store_.erase(*r));
    if (const auto* r = std::get_if<etcd::txn_request>(&what)) return outcome_of(store_.txn(*r));
    if (const auto* r = std::get_if<compaction>(&what)) return outcome_of(store_.compact(r->at));
    if (const auto* r = std::get_if<lease_grant>(&what)) return outcome_of(store_.grant(r->ttl, r->id, now_()));
    if (const auto* r = std::get_if<lease_revoke>(&what)) return outcome_of(store_.revoke(r->id));
    if (const auto* r = std::get_if<lease_keep_alive>(&what)) return outcome_of(store_.keep_alive(r->id, now_()));
    if (const auto* r = std::get_if<lease_time_to_live>(&what)) return outcome_of(store_.time_to_live(r->id, r->keys, now_()));
    if (std::holds_alternative<lease_list>(what)) return outcome_of(store_.leases());
    const auto& request = std::get<etcd::watch_request>(what);
    watches_.push_back({{request.keys, request.prev_kv, request.no_put, request.no_erase, request.start}, {}});
    return {"watches"};
}

outcome store_subject::execute(const operation& what) {
    outcome result;
    try {
        result = answer(what);
    } catch (const etcd::model::refusal& why) {
        result = outcome_of_refusal(why.code(), why.what());
    }
    if (distort) distort(what, result);
    return result;
}

bool store_subject::allows(const operation& what, const outcome& its, const outcome& mine) const {
    if (alike(its, mine)) return true;
    const auto found_in_a_branch = [](const outcome& one) {
        return one.text == "error 3 etcdserver: key not found" || one.text == "error 5 etcdserver: requested lease not found" ||
               one.text.starts_with("error 11 ");
    };
    return of_.txn_is_checked_in_order && std::holds_alternative<etcd::txn_request>(what) && found_in_a_branch(its) && found_in_a_branch(mine);
}

std::vector<std::string> store_subject::watched(std::size_t number) {
    auto& one = watches_.at(number);
    if (one.over) return one.lines;
    const auto batch = store_.read(one.from, SIZE_MAX);
    for (const auto& event : batch.events) {
        const bool taken = of_.compaction_takes_deletions && event.type == etcd::event::kind::erase && event.kv.mod_revision == store_.compacted();
        if (!taken) one.lines.push_back(text(event));
    }
    if (batch.compact_revision) {
        one.over = true;
        one.lines.push_back("compacted at " + std::to_string(batch.compact_revision.value));
    }
    return one.lines;
}

} // namespace etcdcoll::test
