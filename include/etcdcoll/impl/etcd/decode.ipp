#pragma once

#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/json_reader.hpp>

#include <algorithm>
#include <utility>

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
    reply.ttl = read_ttl(from, "TTL");
}

ETCDCOLL_DECL void read(const json::object& from, lease_keep_alive_response& reply) {
    reply.header = read_header(from);
    reply.id.value = integer<std::int64_t>(from, "ID");
    reply.ttl = read_ttl(from, "TTL");
}

ETCDCOLL_DECL void read(const json::object& from, lease_revoke_response& reply) { reply.header = read_header(from); }

ETCDCOLL_DECL void read(const json::object& from, lease_time_to_live_response& reply) {
    reply.header = read_header(from);
    reply.id.value = integer<std::int64_t>(from, "ID");
    reply.ttl = read_ttl(from, "TTL");
    reply.granted_ttl = read_ttl(from, "grantedTTL");
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

// What goes into a sentence for people: one line, and no longer than one reads. UTF-8 is not cut within a character.
ETCDCOLL_DECL std::string words(std::string text) {
    constexpr std::size_t most = 500;
    if (text.size() > most) {
        auto end = most;
        while (end != 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
        text.resize(end);
        text += "...";
    }
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return text;
}

// It becomes a line of every request's header.
ETCDCOLL_DECL std::string decode_token(std::string_view text) {
    const document parsed(text);
    auto token = string(parsed.root(), "token");
    const auto unfit = [](char c) { return c < 0x20 || c == 0x7f; };
    constexpr std::size_t most = 16 * 1024;
    if (token.empty() || token.size() > most || std::any_of(token.begin(), token.end(), unfit)) throw bad_reply("token is missing, or none");
    return token;
}

ETCDCOLL_DECL std::string decode_version(std::string_view text) {
    const document parsed(text);
    return words(string(parsed.root(), "version")).substr(0, 40);
}

// Each address is kept as long as the client lives, so there is an end to them.
ETCDCOLL_DECL std::vector<std::string> decode_client_urls(std::string_view text) {
    constexpr std::size_t most = 100;
    std::vector<std::string> urls;
    const document parsed(text);
    const auto* members = find_array(parsed.root(), "members");
    if (members == nullptr) throw bad_reply("members is missing");
    for (const auto& member : *members) {
        if (boolean(as_object(member), "isLearner")) continue; // answers hardly anything
        const auto* list = find_array(as_object(member), "clientURLs");
        if (list == nullptr) continue;
        for (const auto& url : *list)
            if (url.is_string()) urls.emplace_back(url.get_string().data(), url.get_string().size());
        if (urls.size() > most) throw bad_reply("more members than a cluster has");
    }
    return urls;
}

ETCDCOLL_DECL server_error read_error(const json::object& from) {
    server_error result;
    result.code = integer<int>(from, "code");
    if (result.code == 0) result.code = integer<int>(from, "grpc_code");
    result.message = words(string(from, "message"));
    return result;
}

ETCDCOLL_DECL server_error decode_error(std::string_view text) {
    try {
        const document parsed(text);
        const auto* nested = find(parsed.root(), "error");
        auto result = nested != nullptr && nested->is_object() ? read_error(nested->get_object()) : read_error(parsed.root());
        if (result.message.empty() && nested != nullptr && nested->is_string()) result.message = words(string(parsed.root(), "error"));
        return result;
    } catch (const bad_reply&) { // of a proxy, or etcd's text/plain: its own words are the best there is
        auto line = std::string(text.substr(0, text.find('\n')).substr(0, 200));
        for (auto& c : line)
            if (static_cast<unsigned char>(c) >= 0x80) c = '?'; // in whatever encoding
        return {0, words(std::move(line))};
    }
}

ETCDCOLL_DECL event read_event(const json::object& from) {
    event result;
    const auto* type = find(from, "type");
    if (type != nullptr && (*type == "DELETE" || *type == 1)) {
        result.type = event::kind::erase;
    } else if (type != nullptr && *type != "PUT" && *type != 0) {
        throw bad_reply("an event of an unknown kind");
    }
    const auto* kv = find_object(from, "kv");
    if (kv == nullptr) throw bad_reply("an event without a key");
    result.kv = read_key_value(*kv);
    if (!result.kv.mod_revision) throw bad_reply("an event without a revision");
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
        if (message.error.message.empty()) throw bad_reply("neither a result nor an error");
        return message;
    }
    message.watch_id = integer<std::int64_t>(*result, "watch_id");
    message.created = boolean(*result, "created");
    message.canceled = boolean(*result, "canceled");
    message.fragment = boolean(*result, "fragment");
    message.compact_revision = read_revision(*result, "compact_revision");
    message.cancel_reason = words(string(*result, "cancel_reason"));
    message.response.header = read_header(*result);
    if (const auto* events = find_array(*result, "events")) {
        message.response.events.reserve(events->size());
        for (const auto& item : *events) message.response.events.push_back(read_event(as_object(item)));
    }
    // A watch goes on behind the revision at which it was created: from 0, all of history would come.
    const bool dated = (message.created && !message.canceled) || !message.response.events.empty();
    if (dated && !message.response.header.revision) throw bad_reply("header.revision is missing");
    return message;
}

} // namespace etcdcoll::etcd::codec
