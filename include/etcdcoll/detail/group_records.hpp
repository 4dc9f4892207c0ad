#pragma once
// The values under a group's keys, as structs and as texts (docs/protocol.md). No I/O.

#include <etcdcoll/config.hpp>
#include <etcdcoll/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::detail {

struct root_record {
    int protocol = 0;
    std::int64_t epoch = 0;
    std::string id;
    int size = 0;
};

struct member_record {
    std::string host;
    std::int64_t pid = 0;
    std::int64_t since = 0; ///< seconds since 1970 UTC
    bool left = false;      ///< an orderly end is under way
};

struct arrival_record {
    std::uint64_t sequence = 0;
    std::string op;
    std::string at;         ///< "app.cpp:41"
    std::size_t length = 0; ///< of the block that came with it
};

struct end_record {
    enum class kind { abort, mismatch, timeout };
    kind why = kind::abort;
    int rank = 0; ///< of who ended the epoch
    arrival_record what; ///< what that rank was in; sequence 0: in nothing
    std::string text;
    std::vector<int> ranks; ///< of a time-out: those that were missing
};

struct release_record {
    std::uint64_t sequence = 0;
    bool listed = false; ///< the blocks are too large for one value: read their keys
    std::vector<std::size_t> lengths;
    std::string blocks; ///< behind each other, unless listed
};

ETCDCOLL_API std::string encode(const root_record& record);
ETCDCOLL_API std::string encode(const member_record& record);
ETCDCOLL_API std::string encode(const arrival_record& record);
ETCDCOLL_API std::string encode(const end_record& record);
/// The first line of a release; the blocks follow it.
ETCDCOLL_API std::string encode_release_head(std::uint64_t sequence, bool listed, const std::vector<std::size_t>& lengths);

// Each throws errc::corrupt, naming the key, for what no member writes.
ETCDCOLL_API root_record decode_root(std::string_view key, std::string_view value);
ETCDCOLL_API member_record decode_member(std::string_view key, std::string_view value);
ETCDCOLL_API arrival_record decode_arrival(std::string_view key, std::string_view value);
ETCDCOLL_API end_record decode_end(std::string_view key, std::string_view value);
ETCDCOLL_API release_record decode_release(std::string_view key, std::string_view value);

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/group/records.ipp>
#endif
