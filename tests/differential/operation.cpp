#include "operation.hpp"

#include <cstdio>

namespace etcdcoll::test {

namespace {

void resolve(std::int64_t& number, std::int64_t newest) {
    if (number > newest_revision / 2) number += newest - newest_revision;
    if (number < 0) number = 0;
}
void resolve(etcd::revision& revision, std::int64_t newest) { resolve(revision.value, newest); }

void resolve(etcd::put_request&, std::int64_t) {}
void resolve(etcd::delete_range_request&, std::int64_t) {}
void resolve(etcd::range_request& request, std::int64_t newest) {
    resolve(request.revision, newest);
    resolve(request.min_mod_revision, newest);
    resolve(request.max_mod_revision, newest);
    resolve(request.min_create_revision, newest);
    resolve(request.max_create_revision, newest);
}
void resolve(etcd::txn_request& request, std::int64_t newest) {
    for (auto& one : request.compares) resolve(one.number, newest);
    for (auto* branch : {&request.success, &request.failure})
        for (auto& one : *branch) std::visit([newest](auto& inner) { resolve(inner, newest); }, one.request);
}
void resolve(compaction& what, std::int64_t newest) { resolve(what.at, newest); }
// 0 would be the moment at which etcd creates the watch, which is any.
void resolve(etcd::watch_request& request, std::int64_t newest) {
    resolve(request.start, newest);
    if (!request.start) request.start.value = 1;
}
template <class Other> void resolve(Other&, std::int64_t) {}

std::string text_of(std::int64_t revision) {
    if (revision <= newest_revision / 2) return std::to_string(revision);
    const auto offset = revision - newest_revision;
    return "newest" + (offset == 0 ? std::string() : (offset > 0 ? "+" : "") + std::to_string(offset));
}

std::string field(const char* name, etcd::revision revision) {
    return revision ? std::string(" ") + name + "=" + text_of(revision.value) : std::string();
}
std::string flag(const char* name, bool set) { return set ? std::string(" ") + name : std::string(); }
std::string lease(etcd::lease_id id) { return id ? " lease=" + std::to_string(id.value) : std::string(); }

std::string line(const etcd::put_request& r) {
    return "put " + quoted(r.key) + " " + quoted(r.value) + lease(r.lease) + flag("prev_kv", r.prev_kv) + flag("ignore_value", r.ignore_value) +
           flag("ignore_lease", r.ignore_lease);
}

std::string line(const etcd::range_request& r) {
    static const char* const orders[] = {"", " ascend", " descend"};
    static const char* const targets[] = {"", " by_version", " by_create", " by_mod", " by_value"};
    return "range " + text(r.keys) + (r.limit != 0 ? " limit=" + std::to_string(r.limit) : "") + field("revision", r.revision) +
           orders[static_cast<int>(r.sort_order)] + targets[static_cast<int>(r.sort_target)] + flag("serializable", r.serializable) +
           flag("keys_only", r.keys_only) + flag("count_only", r.count_only) + field("min_mod", r.min_mod_revision) +
           field("max_mod", r.max_mod_revision) + field("min_create", r.min_create_revision) + field("max_create", r.max_create_revision);
}

std::string line(const etcd::delete_range_request& r) { return "delete " + text(r.keys) + flag("prev_kv", r.prev_kv); }

std::string line(const etcd::compare& c) {
    static const char* const targets[] = {"version", "create", "mod", "value", "lease"};
    static const char* const relations[] = {"==", ">", "<", "!="};
    return std::string(targets[static_cast<int>(c.what)]) + "(" + text(c.keys) + ") " + relations[static_cast<int>(c.is)] + " " +
           (c.what == etcd::compare::target::value ? quoted(c.value) : text_of(c.number));
}

std::string line(const etcd::txn_request& r);

std::string line(const std::vector<etcd::op>& branch) {
    std::string result;
    for (const auto& one : branch) result += (result.empty() ? "" : "; ") + std::visit([](const auto& inner) { return line(inner); }, one.request);
    return "{" + result + "}";
}

std::string line(const etcd::txn_request& r) {
    std::string compares;
    for (const auto& one : r.compares) compares += (compares.empty() ? "" : ", ") + line(one);
    return "txn [" + compares + "] then " + line(r.success) + (r.failure.empty() ? "" : " else " + line(r.failure));
}

std::string line(const compaction& what) { return "compact " + text_of(what.at.value); }
std::string line(const lease_grant& what) { return "grant" + lease(what.id) + " ttl=" + std::to_string(what.ttl); }
std::string line(const lease_revoke& what) { return "revoke" + lease(what.id); }
std::string line(const lease_keep_alive& what) { return "keep_alive" + lease(what.id); }
std::string line(const lease_time_to_live& what) { return "time_to_live" + lease(what.id) + flag("keys", what.keys); }
std::string line(const lease_list&) { return "leases"; }
std::string line(const etcd::watch_request& r) {
    return "watch " + text(r.keys) + field("start", r.start) + flag("prev_kv", r.prev_kv) + flag("no_put", r.no_put) + flag("no_erase", r.no_erase) +
           flag("fragment", r.fragment);
}

template <class T> std::vector<std::vector<T>> with_one_less(const std::vector<T>& list) {
    std::vector<std::vector<T>> result;
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto& less = result.emplace_back(list);
        less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return result;
}

std::vector<etcd::txn_request> simpler_txns(const etcd::txn_request& r) {
    std::vector<etcd::txn_request> result;
    for (auto& less : with_one_less(r.compares)) result.emplace_back(r).compares = std::move(less);
    for (auto branch : {&etcd::txn_request::success, &etcd::txn_request::failure}) {
        for (auto& less : with_one_less(r.*branch)) result.emplace_back(r).*branch = std::move(less);
        for (std::size_t i = 0; i < (r.*branch).size(); ++i) {
            const auto* nested = std::get_if<etcd::txn_request>(&(r.*branch)[i].request);
            if (!nested) continue;
            for (auto& less : simpler_txns(*nested)) (result.emplace_back(r).*branch)[i] = etcd::op(std::move(less));
        }
    }
    return result;
}

} // namespace

operation resolved(operation what, std::int64_t newest) {
    std::visit([newest](auto& one) { resolve(one, newest); }, what);
    return what;
}

std::string text(const operation& what) {
    return std::visit([](const auto& one) { return line(one); }, what);
}

std::vector<operation> simpler(const operation& what) {
    const auto* transaction = std::get_if<etcd::txn_request>(&what);
    if (!transaction) return {};
    std::vector<operation> result;
    for (const auto* branch : {&transaction->success, &transaction->failure})
        for (const auto& one : *branch) std::visit([&](const auto& inner) { result.emplace_back(inner); }, one.request);
    for (auto& one : simpler_txns(*transaction)) result.emplace_back(std::move(one));
    return result;
}

std::string quoted(const std::string& bytes) {
    constexpr std::size_t most = 40;
    std::string result = "\"";
    for (std::size_t i = 0; i < bytes.size() && i < most; ++i) {
        const auto c = static_cast<unsigned char>(bytes[i]);
        char escaped[5] = {bytes[i], '\0'};
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
        result += escaped;
    }
    return result + "\"" + (bytes.size() > most ? "(" + std::to_string(bytes.size()) + " bytes)" : "");
}

std::string text(const etcd::key_range& keys) { return quoted(keys.key) + (keys.end.empty() ? "" : ".." + quoted(keys.end)); }

} // namespace etcdcoll::test
