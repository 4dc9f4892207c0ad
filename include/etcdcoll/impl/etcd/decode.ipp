#pragma once

#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/json_reader.hpp>

namespace etcdcoll::etcd::codec {

ETCDCOLL_DECL std::optional<key_value> read_previous(const json::object& from) {
    const auto* found = find_object(from, "prev_kv");
    if (found == nullptr) return std::nullopt;
    return read_key_value(*found);
}

ETCDCOLL_DECL void read(const json::object& from, range_response& reply) {
    reply.header = read_header(from);
    reply.kvs = read_key_values(from, "kvs");
    reply.more = boolean(from, "more");
    reply.count = integer<std::int64_t>(from, "count");
}

ETCDCOLL_DECL void read(const json::object& from, put_response& reply) {
    reply.header = read_header(from);
    reply.prev_kv = read_previous(from);
}

ETCDCOLL_DECL void read(const json::object& from, delete_range_response& reply) {
    reply.header = read_header(from);
    reply.deleted = integer<std::int64_t>(from, "deleted");
    reply.prev_kvs = read_key_values(from, "prev_kvs");
}

ETCDCOLL_DECL void read(const json::object& from, txn_response& reply);

template <class T> op_response read_op(const json::object& from) {
    T reply;
    read(from, reply);
    return reply;
}

ETCDCOLL_DECL op_response read_op_response(const json::object& from) {
    if (const auto* range = find_object(from, "response_range")) return read_op<range_response>(*range);
    if (const auto* put = find_object(from, "response_put")) return read_op<put_response>(*put);
    if (const auto* erased = find_object(from, "response_delete_range")) return read_op<delete_range_response>(*erased);
    if (const auto* nested = find_object(from, "response_txn")) return read_op<txn_response>(*nested);
    throw bad_reply("an unknown kind of response in a transaction");
}

ETCDCOLL_DECL void read(const json::object& from, txn_response& reply) {
    reply.header = read_header(from);
    reply.succeeded = boolean(from, "succeeded");
    const auto* list = find_array(from, "responses");
    if (list == nullptr) return;
    reply.responses.reserve(list->size());
    for (const auto& item : *list) reply.responses.push_back(read_op_response(as_object(item)));
}

ETCDCOLL_DECL void read(const json::object& from, compact_response& reply) { reply.header = read_header(from); }

ETCDCOLL_DECL void read(const json::object& from, lease_grant_response& reply) {
    reply.header = read_header(from);
    reply.id.value = integer<std::int64_t>(from, "ID");
    reply.ttl = std::chrono::seconds(integer<std::int64_t>(from, "TTL"));
}

ETCDCOLL_DECL void read(const json::object& from, lease_keep_alive_response& reply) {
    reply.header = read_header(from);
    reply.id.value = integer<std::int64_t>(from, "ID");
    reply.ttl = std::chrono::seconds(integer<std::int64_t>(from, "TTL"));
}

ETCDCOLL_DECL void read(const json::object& from, lease_revoke_response& reply) { reply.header = read_header(from); }

ETCDCOLL_DECL void read(const json::object& from, lease_time_to_live_response& reply) {
    reply.header = read_header(from);
    reply.id.value = integer<std::int64_t>(from, "ID");
    reply.ttl = std::chrono::seconds(integer<std::int64_t>(from, "TTL"));
    reply.granted_ttl = std::chrono::seconds(integer<std::int64_t>(from, "grantedTTL"));
    if (const auto* list = find_array(from, "keys"))
        for (const auto& item : *list) reply.keys.push_back(raw_bytes(item, "keys"));
}

ETCDCOLL_DECL void read(const json::object& from, lease_list_response& reply) {
    reply.header = read_header(from);
    const auto* list = find_array(from, "leases");
    if (list == nullptr) return;
    reply.leases.reserve(list->size());
    for (const auto& item : *list) reply.leases.push_back(lease_id{integer<std::int64_t>(as_object(item), "ID")});
}

template <class T> void decode_whole(std::string_view text, T& reply) {
    const document parsed(text);
    read(parsed.root(), reply);
    if (!reply.header.revision) throw bad_reply("header.revision is missing");
}

ETCDCOLL_DECL void decode(std::string_view text, range_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, put_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, delete_range_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, txn_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, compact_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, lease_grant_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, lease_revoke_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, lease_time_to_live_response& reply) { decode_whole(text, reply); }
ETCDCOLL_DECL void decode(std::string_view text, lease_list_response& reply) { decode_whole(text, reply); }

// A stream of one message: {"result":{...}}.
ETCDCOLL_DECL void decode(std::string_view text, lease_keep_alive_response& reply) {
    const document parsed(text);
    const auto* result = find_object(parsed.root(), "result");
    if (result == nullptr) throw bad_reply("result is missing");
    read(*result, reply);
    if (!reply.header.revision) throw bad_reply("header.revision is missing");
}

ETCDCOLL_DECL server_error read_error(const json::object& from) {
    server_error result;
    result.code = integer<int>(from, "code");
    if (result.code == 0) result.code = integer<int>(from, "grpc_code");
    result.message = string(from, "message");
    return result;
}

ETCDCOLL_DECL server_error decode_error(std::string_view text) {
    try {
        const document parsed(text);
        const auto* nested = find(parsed.root(), "error");
        auto result = nested != nullptr && nested->is_object() ? read_error(nested->get_object()) : read_error(parsed.root());
        if (result.message.empty() && nested != nullptr && nested->is_string()) result.message = string(parsed.root(), "error");
        return result;
    } catch (const bad_reply&) { // of a proxy, or etcd's text/plain: its own words are the best there is
        auto line = text.substr(0, text.find('\n'));
        return {0, std::string(line.substr(0, 200))};
    }
}

ETCDCOLL_DECL event read_event(const json::object& from) {
    event result;
    const auto* type = find(from, "type");
    if (type != nullptr && type->is_string() && type->get_string() == "DELETE") result.type = event::kind::erase;
    if (type != nullptr && type->is_int64() && type->get_int64() == 1) result.type = event::kind::erase;
    const auto* kv = find_object(from, "kv");
    if (kv == nullptr) throw bad_reply("an event without a key");
    result.kv = read_key_value(*kv);
    result.prev_kv = read_previous(from);
    return result;
}

ETCDCOLL_DECL watch_message decode_watch(std::string_view line) {
    const document parsed(line);
    watch_message message;
    const auto* result = find_object(parsed.root(), "result");
    if (result == nullptr) {
        message.is_error = true;
        message.error = decode_error(line);
        return message;
    }
    message.watch_id = integer<std::int64_t>(*result, "watch_id");
    message.created = boolean(*result, "created");
    message.canceled = boolean(*result, "canceled");
    message.fragment = boolean(*result, "fragment");
    message.compact_revision.value = integer<std::int64_t>(*result, "compact_revision");
    message.cancel_reason = string(*result, "cancel_reason");
    message.response.header = read_header(*result);
    if (const auto* events = find_array(*result, "events")) {
        message.response.events.reserve(events->size());
        for (const auto& item : *events) message.response.events.push_back(read_event(as_object(item)));
    }
    return message;
}

} // namespace etcdcoll::etcd::codec
