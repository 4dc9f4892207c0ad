#include "generator.hpp"

#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>

#include <utility>

namespace etcdcoll::test {

namespace {

using namespace std::string_literals;

const std::vector<std::string> odd_keys{"a"s, "b"s, "c"s, "ab"s, "a\0"s, "\0"s, "\xff"s, "\xff\xff"s, "b\0x"s, "aa"s, "z"s, "\x01"s};

bool is_refused(const etcd::txn_request& request, std::size_t operations) {
    etcd::model::limits most;
    most.max_txn_ops = operations;
    try {
        etcd::model::check_request(request, most);
        return false;
    } catch (const etcd::model::refusal&) {
        return true;
    }
}

} // namespace

void generator::choose_keys() {
    keys_.clear();
    // etcd's sort keeps equal ones in the order of their keys for up to twelve, and promises no order for more: "base" is one of them.
    sorts_ = !percent(10);
    const std::size_t count = sorts_ ? 1 + below(11) : 40;
    for (std::size_t i = 0; i < count; ++i) keys_.push_back(sorts_ ? odd_keys[(i * 5 + count) % odd_keys.size()] : std::to_string(i));
}

std::string generator::value() {
    if (percent(15)) return {};
    if (percent(1)) return std::string(request_bytes_ - 60 + below(70), 'x');
    std::string result(percent(90) ? 1 : below(30), '\0');
    for (auto& c : result) c = percent(70) ? static_cast<char>('0' + below(4)) : static_cast<char>(below(256));
    return result;
}

etcd::key_range generator::range() {
    const auto kind = below(100);
    if (kind < 45) return key();
    if (kind < 55) return etcd::from(key());
    if (kind < 70) return etcd::prefix(key().substr(0, 1));
    if (kind < 80) return etcd::prefix("");
    return {key(), key()}; // may end before it begins
}

etcd::lease_id generator::lease() {
    static const std::vector<std::int64_t> ids{1, 2, 3, 4, -1, 9};
    return etcd::lease_id{one_of(ids)};
}

etcd::revision generator::revision(std::size_t back) {
    if (percent(8)) return {newest_revision + 1 + static_cast<std::int64_t>(below(3))};
    return {newest_revision - static_cast<std::int64_t>(below(back))};
}

etcd::put_request generator::put() {
    etcd::put_request request(key(), value());
    if (percent(20)) request.lease = lease();
    request.prev_kv = percent(30);
    if (swept_) return request; // etcd does not survive one that relies on a key which the same transaction has deleted
    request.ignore_value = percent(8);
    request.ignore_lease = percent(8);
    if (request.ignore_value && !percent(5)) request.value.clear();
    if (request.ignore_lease && !percent(5)) request.lease = {};
    return request;
}

etcd::range_request generator::read() {
    etcd::range_request request(range());
    if (percent(25)) request.limit = static_cast<std::int64_t>(below(6));
    if (percent(30)) request.revision = revision(30);
    if (percent(30)) request.sort_order = percent(50) ? etcd::sort_order::ascend : etcd::sort_order::descend;
    if (sorts_ && percent(30)) request.sort_target = static_cast<etcd::sort_target>(below(5));
    request.serializable = percent(10);
    request.keys_only = percent(10);
    request.count_only = percent(10);
    if (percent(8)) request.min_mod_revision = revision(30);
    if (percent(8)) request.max_mod_revision = revision(30);
    if (percent(8)) request.min_create_revision = revision(30);
    if (percent(8)) request.max_create_revision = revision(30);
    return request;
}

etcd::delete_range_request generator::erase() {
    etcd::delete_range_request request(range());
    request.prev_kv = percent(40);
    return request;
}

etcd::compare generator::compare() {
    using target = etcd::compare::target;
    const auto what = static_cast<target>(below(5));
    const auto is = static_cast<etcd::compare::relation>(below(4));
    const auto keys = percent(70) ? etcd::key_range(percent(1) ? "" : key()) : range();
    switch (what) {
    case target::value: return {keys, is, value()};
    case target::version: return {keys, what, is, static_cast<std::int64_t>(below(4))};
    case target::lease: return {keys, what, is, percent(50) ? 0 : lease().value};
    case target::create:
    case target::mod: break;
    }
    return {keys, what, is, percent(25) ? 0 : revision(10).value};
}

void generator::branch(std::vector<etcd::op>& into, int depth) {
    const auto count = percent(3) ? below(txn_operations_ + 3) : below(5);
    for (std::size_t i = 0; i < count; ++i) {
        const auto kind = below(100);
        if (kind < 45) {
            // Where a compaction falls on a revision that deletes a key and puts it again, etcd loses the key, and ends.
            if (swept_ && compacts_) continue;
            into.emplace_back(put());
            if (percent(1)) std::get<etcd::put_request>(into.back().request).key.clear();
        } else if (kind < 70) {
            into.emplace_back(read());
        } else if (kind < 88 || depth == 0) {
            into.emplace_back(erase());
            if (std::get<etcd::delete_range_request>(into.back().request).keys.end == "\0"s) swept_ = true;
        } else {
            into.emplace_back(txn(depth - 1));
        }
    }
}

etcd::txn_request generator::txn(int depth) {
    etcd::txn_request request;
    const auto compares = percent(2) ? below(txn_operations_ + 3) : below(4);
    for (std::size_t i = 0; i < compares; ++i) request.compares.push_back(compare());
    branch(request.success, depth);
    if (percent(70)) branch(request.failure, depth);
    return request;
}

etcd::txn_request generator::whole_txn() {
    swept_ = false;
    auto request = txn(static_cast<int>(below(4)));
    swept_ = false;
    return request;
}

operation generator::watch() {
    etcd::watch_request request(range());
    if (!request.keys.end.empty() && request.keys.end != "\0"s && request.keys.end <= request.keys.key) request.keys.end.clear();
    request.start = percent(40) ? etcd::revision{newest_revision + 1} : revision(40);
    request.prev_kv = percent(50);
    request.no_put = percent(15);
    request.no_erase = !request.no_put && percent(15); // with both it has nothing to tell
    request.fragment = percent(20);
    return request;
}

// None ends by itself, and no two of different length are near their end at once: etcd lists them by that.
lease_grant generator::grant() {
    const auto id = lease();
    if (percent(10)) return {id, 9'000'000'000 + static_cast<std::int64_t>(below(2))};
    return {id, 1000 * static_cast<std::int64_t>(1 + below(4))};
}

operation generator::any() {
    const auto kind = below(1000);
    if (kind < 330) return put();
    if (kind < 560) return read();
    if (kind < 660) return erase();
    if (kind < 890) {
        auto request = whole_txn();
        // Most that put a key twice are drawn again: there are few keys.
        while (is_refused(request, txn_operations_) && percent(80)) request = whole_txn();
        return request;
    }
    if (kind < 920) return grant();
    if (kind < 935) return lease_revoke{lease()};
    if (kind < 950) return lease_keep_alive{lease()};
    if (kind < 975) return lease_time_to_live{lease(), percent(60)};
    if (kind < 980) return lease_list();
    if (kind < 990 && compacts_) return compaction{percent(5) ? etcd::revision{} : revision(20)};
    if (kind < 994) begins_ = 1 + below(5);
    return read();
}

std::vector<operation> generator::sequence(std::size_t most) {
    choose_keys();
    compacts_ = !percent(40);
    begins_ = 0;
    std::vector<operation> result(1 + below(most), lease_list());
    for (auto& one : result) {
        if (begins_ == 0) {
            one = any();
        } else {
            --begins_; // several at once: etcd lets them wait for up to 100 ms before they are told of the past
            one = watch();
        }
    }
    return result;
}

} // namespace etcdcoll::test
