#pragma once

#include <etcdcoll/impl/etcd/in_memory/request_rules.hpp>

#include <bit>
#include <cstdint>

namespace etcdcoll::etcd::model {

// The sizes of protobuf fields with numbers up to 15, whose tag is one byte; what is empty, zero or false is left out.
struct wire {
    static std::size_t varint(std::uint64_t n) noexcept { return (static_cast<std::size_t>(std::bit_width(n | 1)) + 6) / 7; }
    static std::size_t block(std::size_t length) noexcept { return 1 + varint(length) + length; }
    static std::size_t text(const std::string& value) noexcept { return value.empty() ? 0 : block(value.size()); }
    static std::size_t number(std::int64_t n) noexcept { return n == 0 ? 0 : 1 + varint(static_cast<std::uint64_t>(n)); }
    static std::size_t flag(bool set) noexcept { return set ? 2 : 0; }
    static std::size_t one(const compare& c) noexcept;
    static std::size_t one(const op& o);
};

ETCDCOLL_DECL std::size_t wire_size(const range_request& r) {
    return wire::text(r.keys.key) + wire::text(r.keys.end) + wire::number(r.limit) + wire::number(r.revision.value) +
           wire::flag(r.sort_order != sort_order::none) + wire::flag(r.sort_target != sort_target::key) + wire::flag(r.serializable) +
           wire::flag(r.keys_only) + wire::flag(r.count_only) + wire::number(r.min_mod_revision.value) +
           wire::number(r.max_mod_revision.value) + wire::number(r.min_create_revision.value) + wire::number(r.max_create_revision.value);
}

ETCDCOLL_DECL std::size_t wire_size(const put_request& r) {
    return wire::text(r.key) + wire::text(r.value) + wire::number(r.lease.value) + wire::flag(r.prev_kv) + wire::flag(r.ignore_value) +
           wire::flag(r.ignore_lease);
}

ETCDCOLL_DECL std::size_t wire_size(const delete_range_request& r) {
    return wire::text(r.keys.key) + wire::text(r.keys.end) + wire::flag(r.prev_kv);
}

ETCDCOLL_DECL std::size_t wire::one(const compare& c) noexcept {
    const auto operand = c.what == compare::target::value ? block(c.value.size()) : 1 + varint(static_cast<std::uint64_t>(c.number));
    const auto end = c.keys.end.empty() ? 0 : 1 + block(c.keys.end.size()); // field 64: a tag of two bytes
    return flag(c.is != compare::relation::equal) + flag(c.what != compare::target::version) + text(c.keys.key) + operand + end;
}

ETCDCOLL_DECL std::size_t wire::one(const op& o) {
    return block(std::visit([](const auto& request) { return wire_size(request); }, o.request));
}

ETCDCOLL_DECL std::size_t wire_size(const txn_request& r) {
    std::size_t size = 0;
    for (const auto& c : r.compares) size += wire::block(wire::one(c));
    for (const auto& o : r.success) size += wire::block(wire::one(o));
    for (const auto& o : r.failure) size += wire::block(wire::one(o));
    return size;
}

} // namespace etcdcoll::etcd::model
