#pragma once

#include <etcdcoll/detail/base64.hpp>
#include <etcdcoll/impl/etcd/codec.hpp>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace etcdcoll::etcd::codec {

namespace json = boost::json;

// A parsed text with the memory it lives in: small replies need none but the stack's.
class document {
public:
    explicit document(std::string_view text) : memory_(first_, sizeof first_), root_(json::storage_ptr(&memory_)) {
        json::parse_options options;
        options.max_depth = 64;
        json::error_code failure;
        root_ = json::parse(json::string_view(text.data(), text.size()), failure, root_.storage(), options);
        if (failure) throw bad_reply("not JSON: " + failure.message());
        if (!root_.is_object()) throw bad_reply("not a JSON object");
    }
    const json::object& root() const { return root_.get_object(); }

private:
    unsigned char first_[4096];
    json::monotonic_resource memory_;
    json::value root_;
};

ETCDCOLL_DECL const json::value* find(const json::object& from, std::string_view name) {
    const auto* found = from.if_contains(json::string_view(name.data(), name.size()));
    return found == nullptr || found->is_null() ? nullptr : found;
}

ETCDCOLL_DECL const json::object* find_object(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return nullptr;
    if (!found->is_object()) throw bad_reply(std::string(name) + " is not an object");
    return &found->get_object();
}

ETCDCOLL_DECL const json::array* find_array(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return nullptr;
    if (!found->is_array()) throw bad_reply(std::string(name) + " is not a list");
    return &found->get_array();
}

// Numbers of 64 bits come as strings, those of 32 bits bare; a missing one is 0.
template <class Integer> Integer integer(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return 0;
    if (const auto* text = found->if_string()) {
        Integer value = 0;
        const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (failure == std::errc() && end == text->data() + text->size() && !text->empty()) return value;
    } else if (const auto* number = found->if_int64()) {
        if (std::in_range<Integer>(*number)) return static_cast<Integer>(*number);
    } else if (const auto* big = found->if_uint64()) {
        if (std::in_range<Integer>(*big)) return static_cast<Integer>(*big);
    }
    throw bad_reply(std::string(name) + " is not a number of its kind");
}

ETCDCOLL_DECL bool boolean(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return false;
    if (!found->is_bool()) throw bad_reply(std::string(name) + " is not true or false");
    return found->get_bool();
}

ETCDCOLL_DECL std::string string(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return {};
    if (!found->is_string()) throw bad_reply(std::string(name) + " is not a string");
    const auto& text = found->get_string();
    return {text.data(), text.size()};
}

ETCDCOLL_DECL std::string raw_bytes(const json::value& value, std::string_view name) {
    if (!value.is_string()) throw bad_reply(std::string(name) + " is not a string");
    const auto& text = value.get_string();
    auto raw = etcdcoll::detail::decode_base64({text.data(), text.size()});
    if (!raw) throw bad_reply(std::string(name) + " is not base64");
    return std::move(*raw);
}

ETCDCOLL_DECL std::string bytes(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    return found == nullptr ? std::string() : raw_bytes(*found, name);
}

ETCDCOLL_DECL response_header read_header(const json::object& from) {
    response_header header;
    const auto* found = find_object(from, "header");
    if (found == nullptr) return header;
    header.cluster_id = integer<std::uint64_t>(*found, "cluster_id");
    header.member_id = integer<std::uint64_t>(*found, "member_id");
    header.revision.value = integer<std::int64_t>(*found, "revision");
    header.raft_term = integer<std::uint64_t>(*found, "raft_term");
    return header;
}

ETCDCOLL_DECL key_value read_key_value(const json::object& from) {
    key_value kv;
    kv.key = bytes(from, "key");
    kv.value = bytes(from, "value");
    kv.create_revision.value = integer<std::int64_t>(from, "create_revision");
    kv.mod_revision.value = integer<std::int64_t>(from, "mod_revision");
    kv.version = integer<std::int64_t>(from, "version");
    kv.lease.value = integer<std::int64_t>(from, "lease");
    return kv;
}

ETCDCOLL_DECL const json::object& as_object(const json::value& value) {
    if (!value.is_object()) throw bad_reply("a list holds what is not an object");
    return value.get_object();
}

ETCDCOLL_DECL std::vector<key_value> read_key_values(const json::object& from, std::string_view name) {
    std::vector<key_value> result;
    const auto* list = find_array(from, name);
    if (list == nullptr) return result;
    result.reserve(list->size());
    for (const auto& item : *list) result.push_back(read_key_value(as_object(item)));
    return result;
}

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

// A stream of one message: {"result":{...}}.
ETCDCOLL_DECL void decode(std::string_view text, lease_keep_alive_response& reply) {
    const document parsed(text);
    const auto* result = find_object(parsed.root(), "result");
    if (result == nullptr) throw bad_reply("result is missing");
    read(*result, reply);
    if (!reply.header.revision) throw bad_reply("header.revision is missing");
}

ETCDCOLL_DECL std::string decode_token(std::string_view text) {
    const document parsed(text);
    auto token = string(parsed.root(), "token");
    const auto unfit = [](char c) { return c < 0x20 || c == 0x7f; };
    if (token.empty() || std::any_of(token.begin(), token.end(), unfit)) throw bad_reply("token is missing, or none");
    return token;
}

ETCDCOLL_DECL std::string decode_version(std::string_view text) {
    const document parsed(text);
    return string(parsed.root(), "version").substr(0, 40);
}

ETCDCOLL_DECL std::vector<std::string> decode_client_urls(std::string_view text) {
    std::vector<std::string> urls;
    const document parsed(text);
    const auto* members = find_array(parsed.root(), "members");
    if (members == nullptr) throw bad_reply("members is missing");
    for (const auto& member : *members) {
        const auto* list = find_array(as_object(member), "clientURLs");
        if (list == nullptr) continue;
        for (const auto& url : *list)
            if (url.is_string()) urls.emplace_back(url.get_string().data(), url.get_string().size());
    }
    return urls;
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
