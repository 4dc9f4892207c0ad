#pragma once
// The gateway's JSON requests as structs: what the client's encoder writes, read again.

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/watch.hpp>

#include <boost/json/value.hpp>

#include <cstdint>
#include <string_view>
#include <variant>

namespace etcdcoll::etcd::model {

// Those that the client has no struct for.
struct compact_request {
    etcd::revision at;
};
struct lease_grant_request {
    std::int64_t ttl = 0;
    lease_id id;
};
struct lease_revoke_request {
    lease_id id;
};
struct lease_keep_alive_request {
    lease_id id;
};
struct lease_time_to_live_request {
    lease_id id;
    bool keys = false;
};
struct lease_list_request {};
struct status_request {};
struct member_list_request {
    bool linearizable = false;
};

struct watch_create_request {
    watch_request wanted{key_range(std::string())};
    std::int64_t watch_id = 0; ///< 0: the server chooses
};
struct watch_cancel_request {
    std::int64_t watch_id = 0;
};
struct watch_progress_request {};
/// std::monostate: of no kind that etcd knows; it passes over it.
using watch_stream_request = std::variant<std::monostate, watch_create_request, watch_cancel_request, watch_progress_request>;

// Names in snake_case and camelCase, numbers bare and as strings, enumerators by name and number; an unknown field is passed over, and what follows
// the first value of a text is not looked at. Each throws refusal for what etcd 3.5 does not read.
range_request decode_range(std::string_view text);
put_request decode_put(std::string_view text);
delete_range_request decode_delete_range(std::string_view text);
txn_request decode_txn(std::string_view text);
compact_request decode_compact(std::string_view text);
lease_grant_request decode_lease_grant(std::string_view text);
lease_revoke_request decode_lease_revoke(std::string_view text);
lease_time_to_live_request decode_lease_time_to_live(std::string_view text);
lease_list_request decode_lease_list(std::string_view text);
status_request decode_status(std::string_view text);
member_list_request decode_member_list(std::string_view text);

// Of one message of a stream.
lease_keep_alive_request read_keep_alive(const boost::json::value& message);
watch_stream_request read_watch_request(const boost::json::value& message);

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/request_decoder.ipp>
#endif
