#pragma once
// How many bytes an event takes as protobuf: what etcd counts where it splits a watch's message.

#include <etcdcoll/etcd/types.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace etcdcoll::etcd::model {

inline std::size_t event_size(const event& e) noexcept {
    struct field { // a number that is 0 and an empty text take nothing
        static std::size_t varint(std::uint64_t n) noexcept { return (static_cast<std::size_t>(std::bit_width(n | 1)) + 6) / 7; }
        static std::size_t number(std::int64_t n) noexcept { return n == 0 ? 0 : 1 + varint(static_cast<std::uint64_t>(n)); }
        static std::size_t block(std::size_t size) noexcept { return 1 + varint(size) + size; }
        static std::size_t text(const std::string& value) noexcept { return value.empty() ? 0 : block(value.size()); }
        static std::size_t kv(const key_value& of) noexcept {
            return text(of.key) + text(of.value) + number(of.create_revision.value) + number(of.mod_revision.value) + number(of.version) +
                   number(of.lease.value);
        }
    };
    const auto type = e.type == event::kind::erase ? std::size_t{2} : 0;
    return field::block(type + field::block(field::kv(e.kv)) + (e.prev_kv ? field::block(field::kv(*e.prev_kv)) : 0));
}

} // namespace etcdcoll::etcd::model
