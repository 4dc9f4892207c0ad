#pragma once

#include <etcdcoll/impl/etcd/codec.hpp>
#include <etcdcoll/impl/etcd/json_writer.hpp>

namespace etcdcoll::etcd::codec {

ETCDCOLL_DECL void append(std::string& text, const range_request& r) {
    object_writer out(text);
    append_keys(out, r.keys);
    out.number_unless_zero("limit", r.limit);
    out.number_unless_zero("revision", r.revision.value);
    if (r.sort_order != sort_order::none) out.word("sort_order", r.sort_order == sort_order::ascend ? "ASCEND" : "DESCEND");
    switch (r.sort_target) {
    case sort_target::key: break;
    case sort_target::version: out.word("sort_target", "VERSION"); break;
    case sort_target::create: out.word("sort_target", "CREATE"); break;
    case sort_target::mod: out.word("sort_target", "MOD"); break;
    case sort_target::value: out.word("sort_target", "VALUE"); break;
    }
    out.flag("serializable", r.serializable);
    out.flag("keys_only", r.keys_only);
    out.flag("count_only", r.count_only);
    out.number_unless_zero("min_mod_revision", r.min_mod_revision.value);
    out.number_unless_zero("max_mod_revision", r.max_mod_revision.value);
    out.number_unless_zero("min_create_revision", r.min_create_revision.value);
    out.number_unless_zero("max_create_revision", r.max_create_revision.value);
}

ETCDCOLL_DECL void append(std::string& text, const put_request& r) {
    object_writer out(text);
    out.bytes("key", r.key);
    out.bytes("value", r.value);
    out.number_unless_zero("lease", r.lease.value);
    out.flag("prev_kv", r.prev_kv);
    out.flag("ignore_value", r.ignore_value);
    out.flag("ignore_lease", r.ignore_lease);
}

ETCDCOLL_DECL void append(std::string& text, const delete_range_request& r) {
    object_writer out(text);
    append_keys(out, r.keys);
    out.flag("prev_kv", r.prev_kv);
}

ETCDCOLL_DECL void append(std::string& text, const compare& c) {
    object_writer out(text);
    append_keys(out, c.keys);
    switch (c.is) {
    case compare::relation::equal: break; // EQUAL is the default
    case compare::relation::greater: out.word("result", "GREATER"); break;
    case compare::relation::less: out.word("result", "LESS"); break;
    case compare::relation::not_equal: out.word("result", "NOT_EQUAL"); break;
    }
    switch (c.what) {
    case compare::target::version: out.number("version", c.number); break; // VERSION is the default
    case compare::target::create:
        out.word("target", "CREATE");
        out.number("create_revision", c.number);
        break;
    case compare::target::mod:
        out.word("target", "MOD");
        out.number("mod_revision", c.number);
        break;
    case compare::target::lease:
        out.word("target", "LEASE");
        out.number("lease", c.number);
        break;
    case compare::target::value:
        out.word("target", "VALUE");
        out.bytes("value", c.value);
        break;
    }
}

ETCDCOLL_DECL void append(std::string& text, const txn_request& r);

ETCDCOLL_DECL void append(std::string& text, const op& operation) {
    struct visitor {
        std::string& text;
        void operator()(const range_request& r) const { append(object("request_range"), r); }
        void operator()(const put_request& r) const { append(object("request_put"), r); }
        void operator()(const delete_range_request& r) const { append(object("request_delete_range"), r); }
        void operator()(const txn_request& r) const { append(object("request_txn"), r); }
        std::string& object(std::string_view name) const { return text.append("{\"").append(name).append("\":"); }
    };
    std::visit(visitor{text}, operation.request);
    text += '}';
}

template <class T> void append_list(object_writer& out, std::string_view name, const std::vector<T>& items) {
    if (items.empty()) return;
    auto& text = out.open(name);
    text += '[';
    bool first = true;
    for (const auto& item : items) {
        if (!first) text += ',';
        first = false;
        append(text, item);
    }
    text += ']';
}

ETCDCOLL_DECL void append(std::string& text, const txn_request& r) {
    object_writer out(text);
    append_list(out, "compare", r.compares);
    append_list(out, "success", r.success);
    append_list(out, "failure", r.failure);
}

template <class T> std::string encoded(const T& request, std::size_t payload) {
    std::string text;
    text.reserve(128 + payload * 4 / 3);
    append(text, request);
    return text;
}

ETCDCOLL_DECL std::string encode(const range_request& request) { return encoded(request, request.keys.key.size() + request.keys.end.size()); }
ETCDCOLL_DECL std::string encode(const put_request& request) { return encoded(request, request.key.size() + request.value.size()); }
ETCDCOLL_DECL std::string encode(const delete_range_request& request) { return encoded(request, request.keys.key.size() + request.keys.end.size()); }
ETCDCOLL_DECL std::string encode(const txn_request& request) { return encoded(request, 1024); }

// The writer closes the object at the end of its scope, so it must be gone before the text is returned.
ETCDCOLL_DECL std::string encode_compact(revision at, bool physical) {
    std::string text;
    {
        object_writer out(text);
        out.number("revision", at.value);
        out.flag("physical", physical);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_lease_grant(std::chrono::seconds ttl, lease_id id) {
    std::string text;
    {
        object_writer out(text);
        out.number("TTL", ttl.count());
        out.number("ID", id.value);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_time_to_live(lease_id id, bool keys) {
    std::string text;
    {
        object_writer out(text);
        out.number("ID", id.value);
        out.flag("keys", keys);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_lease(lease_id id) { return encode_time_to_live(id, false); }

ETCDCOLL_DECL std::string encode_lease_list() { return "{}"; }

ETCDCOLL_DECL void append_create(std::string& text, const watch_request& request, std::int64_t watch_id, revision start) {
    object_writer out(text);
    append_keys(out, request.keys);
    out.number("watch_id", watch_id);
    out.number_unless_zero("start_revision", start.value);
    out.flag("prev_kv", request.prev_kv);
    out.flag("fragment", request.fragment);
    if (request.no_put || request.no_erase)
        out.open("filters").append(!request.no_put ? "[\"NODELETE\"]" : !request.no_erase ? "[\"NOPUT\"]" : "[\"NOPUT\",\"NODELETE\"]");
}

ETCDCOLL_DECL std::string encode_create(const watch_request& request, std::int64_t watch_id, revision start) {
    std::string text = "{\"create_request\":";
    append_create(text, request, watch_id, start);
    return text += '}';
}

ETCDCOLL_DECL std::string encode_cancel(std::int64_t watch_id) {
    return "{\"cancel_request\":{\"watch_id\":" + std::to_string(watch_id) + "}}";
}

ETCDCOLL_DECL std::string encode_progress() { return "{\"progress_request\":{}}"; }

ETCDCOLL_DECL std::string encode_login(const std::string& user, const std::string& password) {
    std::string text;
    {
        object_writer out(text);
        out.text("name", user);
        out.text("password", password);
    }
    return text;
}

} // namespace etcdcoll::etcd::codec
