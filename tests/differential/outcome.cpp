#include "outcome.hpp"

#include <algorithm>
#include <cstdlib>

namespace etcdcoll::test {

namespace {

std::string head(const etcd::response_header& header) { return "@" + std::to_string(header.revision.value); }

std::string one_key(const etcd::key_value& kv) {
    return quoted(kv.key) + "=" + quoted(kv.value) + "(" + std::to_string(kv.create_revision.value) + "/" + std::to_string(kv.mod_revision.value) +
           "/" + std::to_string(kv.version) + (kv.lease ? " lease " + std::to_string(kv.lease.value) : "") + ")";
}

std::string keys(const std::vector<etcd::key_value>& kvs) {
    std::string result = "[";
    for (const auto& kv : kvs) result += (result.size() > 1 ? ", " : "") + one_key(kv);
    return result + "]";
}

std::string line(const etcd::range_response& r) {
    return head(r.header) + " " + keys(r.kvs) + " count=" + std::to_string(r.count) + (r.more ? " more" : "");
}

std::string line(const etcd::put_response& r) { return head(r.header) + (r.prev_kv ? " prev " + one_key(*r.prev_kv) : ""); }

std::string line(const etcd::delete_range_response& r) {
    return head(r.header) + " deleted=" + std::to_string(r.deleted) + (r.prev_kvs.empty() ? "" : " prev " + keys(r.prev_kvs));
}

std::string line(const etcd::txn_response& r) {
    std::string result;
    for (const auto& one : r.responses) result += (result.empty() ? "" : "; ") + std::visit([](const auto& inner) { return line(inner); }, one);
    return head(r.header) + (r.succeeded ? " then {" : " else {") + result + "}";
}

} // namespace

bool alike(const outcome& a, const outcome& b) { return a.text == b.text && std::abs(a.seconds_left - b.seconds_left) <= 1; }

outcome outcome_of(const etcd::range_response& reply) { return {line(reply)}; }
outcome outcome_of(const etcd::put_response& reply) { return {line(reply)}; }
outcome outcome_of(const etcd::delete_range_response& reply) { return {line(reply)}; }
outcome outcome_of(const etcd::txn_response& reply) { return {line(reply)}; }
outcome outcome_of(const etcd::compact_response& reply) { return {head(reply.header)}; }

outcome outcome_of(const etcd::lease_grant_response& reply) {
    return {head(reply.header) + " lease " + std::to_string(reply.id.value) + " ttl=" + std::to_string(reply.ttl.count())};
}

outcome outcome_of(const etcd::lease_revoke_response& reply) { return {head(reply.header)}; }

outcome outcome_of(const etcd::lease_keep_alive_response& reply) {
    return {head(reply.header) + " lease " + std::to_string(reply.id.value) + " ttl=" + std::to_string(reply.ttl.count())};
}

// etcd lists the keys of a lease in any order.
outcome outcome_of(const etcd::lease_time_to_live_response& reply) {
    auto sorted = reply.keys;
    std::sort(sorted.begin(), sorted.end());
    std::string held;
    for (const auto& key : sorted) held += " " + quoted(key);
    const auto granted = " granted=" + std::to_string(reply.granted_ttl.count());
    return {head(reply.header) + " lease " + std::to_string(reply.id.value) + granted + held, reply.ttl.count()};
}

outcome outcome_of(const etcd::lease_list_response& reply) {
    std::string result = head(reply.header);
    for (const auto& id : reply.leases) result += " " + std::to_string(id.value);
    return {result};
}

outcome outcome_of_refusal(int code, const std::string& message) { return {"error " + std::to_string(code) + " " + message}; }

std::string text(const etcd::event& one) {
    return (one.type == etcd::event::kind::put ? "put " : "delete ") + one_key(one.kv) + (one.prev_kv ? " prev " + one_key(*one.prev_kv) : "");
}

} // namespace etcdcoll::test
