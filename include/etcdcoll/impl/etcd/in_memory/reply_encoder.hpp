#pragma once
// Replies as the gateway's JSON: what the client's decoder reads, written. Fields that hold their default are left out, as protobuf does.

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/watch.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::etcd::model {

// Each appends one object. `header` is the whole one, for where the reply's own holds the revision only.
void append_reply(std::string& text, const response_header& header, const range_response& reply);
void append_reply(std::string& text, const response_header& header, const put_response& reply);
void append_reply(std::string& text, const response_header& header, const delete_range_response& reply);
void append_reply(std::string& text, const response_header& header, const txn_response& reply);
void append_reply(std::string& text, const response_header& header, const compact_response& reply);
void append_reply(std::string& text, const response_header& header, const lease_grant_response& reply);
void append_reply(std::string& text, const response_header& header, const lease_keep_alive_response& reply);
void append_reply(std::string& text, const response_header& header, const lease_revoke_response& reply);
void append_reply(std::string& text, const response_header& header, const lease_time_to_live_response& reply);
void append_reply(std::string& text, const response_header& header, const lease_list_response& reply);

struct status_reply {
    std::string version;
    std::uint64_t leader = 0; ///< 0: none
    revision at;
};
void append_reply(std::string& text, const response_header& header, const status_reply& reply);

struct member_entry {
    std::uint64_t id = 0;
    std::string name;
    std::string url;
};
struct member_list_reply {
    std::vector<member_entry> members;
};
void append_reply(std::string& text, const response_header& header, const member_list_reply& reply);

/// One message of a watch stream; its header is whole.
struct watch_reply {
    response_header header;
    std::int64_t watch_id = 0;
    bool created = false;
    bool canceled = false;
    bool fragment = false;
    revision compact_revision;
    std::string_view cancel_reason;
};
/// `{"result":{...}}` with the events in [first, last).
std::string watch_text(const watch_reply& reply, const event* first = nullptr, const event* last = nullptr);

/// The body of a refused call.
std::string error_text(int code, std::string_view message);
/// The last words of a stream.
std::string stream_error_text(int code, std::string_view message);
/// HTTP's status for a code in gRPC's numbering, as of etcd 3.5.
int http_status_of(int code) noexcept;
std::string_view reason_of(int http_status) noexcept;

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/reply_encoder.ipp>
#endif
