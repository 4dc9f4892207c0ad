#pragma once
// etcd's requests as JSON text, and its JSON replies as structs.

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/etcd/watch.hpp>
#include <etcdcoll/impl/etcd/bad_reply.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::etcd::codec {

std::string encode(const range_request& request);
std::string encode(const put_request& request);
std::string encode(const delete_range_request& request);
std::string encode(const txn_request& request);
std::string encode_compact(revision at, bool physical);
std::string encode_lease_grant(std::chrono::seconds ttl, lease_id id);
std::string encode_lease(lease_id id);
std::string encode_lease_list();
std::string encode_time_to_live(lease_id id, bool keys);
std::string encode_create(const watch_request& request, std::int64_t watch_id, revision start);
std::string encode_cancel(std::int64_t watch_id);
std::string encode_progress();
std::string encode_login(const std::string& user, const std::string& password);

// Each throws bad_reply, also where header.revision is missing: then it is not the whole reply.
void decode(std::string_view text, range_response& reply);
void decode(std::string_view text, put_response& reply);
void decode(std::string_view text, delete_range_response& reply);
void decode(std::string_view text, txn_response& reply);
void decode(std::string_view text, compact_response& reply);
void decode(std::string_view text, lease_grant_response& reply);
void decode(std::string_view text, lease_keep_alive_response& reply);
void decode(std::string_view text, lease_revoke_response& reply);
void decode(std::string_view text, lease_time_to_live_response& reply);
void decode(std::string_view text, lease_list_response& reply);

/// Of the reply to authenticate; throws bad_reply where it could not stand in a header line.
std::string decode_token(std::string_view text);
/// Of the reply to status.
std::string decode_version(std::string_view text);
/// Of the reply to member/list: those of started members.
std::vector<std::string> decode_client_urls(std::string_view text);

struct server_error {
    int code = 0; ///< gRPC's numbering; 0 where the body was not etcd's JSON
    std::string message;
};

/// Of any body, also one of a proxy in between; never throws for what is in it.
server_error decode_error(std::string_view text);

/// One line of a watch stream.
struct watch_message {
    bool is_error = false;
    server_error error;
    std::int64_t watch_id = 0;
    bool created = false;
    bool canceled = false;
    bool fragment = false;
    revision compact_revision;
    std::string cancel_reason;
    watch_response response;
};

watch_message decode_watch(std::string_view line);

} // namespace etcdcoll::etcd::codec

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/decode.ipp>
#include <etcdcoll/impl/etcd/encode.ipp>
#endif
