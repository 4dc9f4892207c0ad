#pragma once

#include <etcdcoll/impl/etcd/in_memory/reply_encoder.hpp>
#include <etcdcoll/impl/etcd/json_writer.hpp>

#include <charconv>

namespace etcdcoll::etcd::model {

using codec::object_writer;

// The gateway's way with 64 bits: as a string.
template <class Integer> void append_integer(object_writer& out, std::string_view name, Integer value) {
    if (value == 0) return;
    char digits[24];
    const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, value);
    static_cast<void>(failure);
    out.word(name, {digits, static_cast<std::size_t>(end - digits)});
}

inline void append_header(object_writer& out, const response_header& header) {
    object_writer inner(out.open("header"));
    append_integer(inner, "cluster_id", header.cluster_id);
    append_integer(inner, "member_id", header.member_id);
    append_integer(inner, "revision", header.revision.value);
    append_integer(inner, "raft_term", header.raft_term);
}

// `whole` with the revision of `own`.
inline void append_header(object_writer& out, const response_header& whole, const response_header& own) {
    auto header = whole;
    header.revision = own.revision;
    append_header(out, header);
}

ETCDCOLL_DECL void append(std::string& text, const key_value& kv) {
    object_writer out(text);
    out.bytes("key", kv.key);
    append_integer(out, "create_revision", kv.create_revision.value);
    append_integer(out, "mod_revision", kv.mod_revision.value);
    append_integer(out, "version", kv.version);
    out.bytes("value", kv.value);
    append_integer(out, "lease", kv.lease.value);
}

template <class Items, class Append> void append_items(object_writer& out, std::string_view name, const Items& items, Append append_one) {
    if (items.empty()) return;
    auto& text = out.open(name);
    text += '[';
    bool first = true;
    for (const auto& item : items) {
        if (!first) text += ',';
        first = false;
        append_one(text, item);
    }
    text += ']';
}

inline void append_kvs(object_writer& out, std::string_view name, const std::vector<key_value>& kvs) {
    append_items(out, name, kvs, [](std::string& text, const key_value& kv) { append(text, kv); });
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const range_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_kvs(out, "kvs", reply.kvs);
    out.flag("more", reply.more);
    append_integer(out, "count", reply.count);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const put_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    if (reply.prev_kv) append(out.open("prev_kv"), *reply.prev_kv);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const delete_range_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_integer(out, "deleted", reply.deleted);
    append_kvs(out, "prev_kvs", reply.prev_kvs);
}

inline void append_branch(object_writer& out, const txn_response& reply);

// Within a transaction: its header brings the revision at most, and that of a nested one nothing.
ETCDCOLL_DECL void append_op_reply(std::string& text, const op_response& reply) {
    object_writer out(text);
    const auto append_as = [&out](std::string_view name, const auto& r) { append_reply(out.open(name), response_header(), r); };
    if (const auto* range = std::get_if<range_response>(&reply)) append_as("response_range", *range);
    if (const auto* put = std::get_if<put_response>(&reply)) append_as("response_put", *put);
    if (const auto* erased = std::get_if<delete_range_response>(&reply)) append_as("response_delete_range", *erased);
    if (const auto* nested = std::get_if<txn_response>(&reply)) {
        object_writer inner(out.open("response_txn"));
        append_header(inner, response_header());
        append_branch(inner, *nested);
    }
}

inline void append_branch(object_writer& out, const txn_response& reply) {
    out.flag("succeeded", reply.succeeded);
    append_items(out, "responses", reply.responses, [](std::string& to, const op_response& one) { append_op_reply(to, one); });
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const txn_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_branch(out, reply);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const compact_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const lease_grant_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_integer(out, "ID", reply.id.value);
    append_integer(out, "TTL", reply.ttl.count());
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const lease_keep_alive_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_integer(out, "ID", reply.id.value);
    append_integer(out, "TTL", reply.ttl.count());
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const lease_revoke_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const lease_time_to_live_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_integer(out, "ID", reply.id.value);
    append_integer(out, "TTL", reply.ttl.count());
    append_integer(out, "grantedTTL", reply.granted_ttl.count());
    append_items(out, "keys", reply.keys, [](std::string& to, const std::string& key) {
        to += '"';
        etcdcoll::detail::append_base64(to, key);
        to += '"';
    });
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const lease_list_response& reply) {
    object_writer out(text);
    append_header(out, header, reply.header);
    append_items(out, "leases", reply.leases, [](std::string& to, lease_id id) {
        object_writer one(to);
        append_integer(one, "ID", id.value);
    });
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const status_reply& reply) {
    constexpr int pages = 4096; // of a database that is new
    auto whole = header;
    whole.revision = reply.at;
    object_writer out(text);
    append_header(out, whole);
    out.text("version", reply.version);
    append_integer(out, "dbSize", 5 * pages);
    append_integer(out, "leader", reply.leader);
    append_integer(out, "raftIndex", reply.at.value);
    append_integer(out, "raftTerm", header.raft_term);
    append_integer(out, "raftAppliedIndex", reply.at.value);
    if (reply.leader == 0) out.texts("errors", {"etcdserver: no leader"});
    append_integer(out, "dbSizeInUse", 4 * pages);
}

ETCDCOLL_DECL void append_reply(std::string& text, const response_header& header, const member_list_reply& reply) {
    auto whole = header;
    whole.revision = {}; // etcd says none here
    object_writer out(text);
    append_header(out, whole);
    append_items(out, "members", reply.members, [](std::string& to, const member_entry& member) {
        object_writer one(to);
        append_integer(one, "ID", member.id);
        one.text("name", member.name);
        one.texts("clientURLs", {member.url});
    });
}

ETCDCOLL_DECL void append_event(std::string& text, const event& e) {
    object_writer out(text);
    if (e.type == event::kind::erase) out.word("type", "DELETE");
    append(out.open("kv"), e.kv);
    if (e.prev_kv) append(out.open("prev_kv"), *e.prev_kv);
}

ETCDCOLL_DECL std::string watch_text(const watch_reply& reply, const event* first, const event* last) {
    std::string text = "{\"result\":";
    {
        object_writer out(text);
        append_header(out, reply.header);
        append_integer(out, "watch_id", reply.watch_id);
        out.flag("created", reply.created);
        out.flag("canceled", reply.canceled);
        append_integer(out, "compact_revision", reply.compact_revision.value);
        if (!reply.cancel_reason.empty()) out.text("cancel_reason", reply.cancel_reason);
        out.flag("fragment", reply.fragment);
        if (first != last) {
            out.open("events") += '[';
            for (const auto* e = first; e != last; ++e) {
                if (e != first) text += ',';
                append_event(text, *e);
            }
            text += ']';
        }
    }
    return text += '}';
}

ETCDCOLL_DECL std::string error_text(int code, std::string_view message) {
    std::string text;
    {
        object_writer out(text);
        out.text("error", message);
        out.number("code", std::int64_t{code});
        out.text("message", message);
    }
    return text;
}

ETCDCOLL_DECL std::string stream_error_text(int code, std::string_view message) {
    std::string text = "{\"error\":";
    {
        object_writer out(text);
        out.number("grpc_code", std::int64_t{code});
        out.number("http_code", std::int64_t{http_status_of(code)});
        out.text("message", message);
        out.text("http_status", reason_of(http_status_of(code)));
    }
    return text += '}';
}

ETCDCOLL_DECL int http_status_of(int code) noexcept {
    switch (code) {
    case 0: return 200;
    case 1: return 408;
    case 3:
    case 9: // of etcd 3.4: 412
    case 11: return 400;
    case 4: return 504;
    case 5: return 404;
    case 6:
    case 10: return 409;
    case 7: return 403;
    case 8: return 429;
    case 12: return 501;
    case 14: return 503;
    case 16: return 401;
    default: return 500;
    }
}

ETCDCOLL_DECL std::string_view reason_of(int http_status) noexcept {
    switch (http_status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Internal Server Error";
    }
}

} // namespace etcdcoll::etcd::model
