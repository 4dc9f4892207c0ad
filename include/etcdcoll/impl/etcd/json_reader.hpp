#pragma once
// What the decoders of etcd's replies share. Each throws bad_reply for what is not of the kind asked for; what is missing is the default.

#include <etcdcoll/detail/base64.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/impl/etcd/bad_reply.hpp>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etcdcoll::etcd::codec {

namespace json = boost::json;

// Memory for the parsing of large texts, kept from one to the next in the same thread: the system takes its time to hand out megabytes anew.
class scratch {
public:
    explicit scratch(std::size_t wanted) : mine_(wanted > least && wanted <= most && !kept().taken) {
        auto& store = kept();
        if (!mine_) return;
        if (store.memory.size() < wanted) store.memory.resize(wanted);
        store.taken = true;
    }
    ~scratch() {
        if (mine_) kept().taken = false;
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    json::monotonic_resource resource(unsigned char* small, std::size_t size) const {
        auto& store = kept();
        return mine_ ? json::monotonic_resource(store.memory.data(), store.memory.size()) : json::monotonic_resource(small, size);
    }

private:
    static constexpr std::size_t least = 64 * 1024;
    static constexpr std::size_t most = std::size_t{4} * 1024 * 1024;
    struct kept_memory {
        std::vector<unsigned char> memory;
        bool taken = false;
    };
    static kept_memory& kept() {
        static thread_local kept_memory instance;
        return instance;
    }

    bool mine_;
};

// A parsed text with the memory it lives in: small replies need none but the stack's.
class document {
public:
    explicit document(std::string_view text)
        : scratch_(text.size() + sizeof first_), memory_(scratch_.resource(first_, sizeof first_)), root_(json::storage_ptr(&memory_)) {
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
    scratch scratch_;
    json::monotonic_resource memory_;
    json::value root_;
};

inline const json::value* find(const json::object& from, std::string_view name) {
    const auto* found = from.if_contains(json::string_view(name.data(), name.size()));
    return found == nullptr || found->is_null() ? nullptr : found;
}

inline const json::object* find_object(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return nullptr;
    if (!found->is_object()) throw bad_reply(std::string(name) + " is not an object");
    return &found->get_object();
}

inline const json::array* find_array(const json::object& from, std::string_view name) {
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

// The largest one is left out: what follows a revision has to be a revision too.
inline revision read_revision(const json::object& from, std::string_view name) {
    const auto value = integer<std::int64_t>(from, name);
    if (value < 0 || value == std::numeric_limits<std::int64_t>::max()) throw bad_reply(std::string(name) + " is not a revision");
    return {value};
}

// No longer than etcd grants: so that it can be counted in nanoseconds.
inline std::chrono::seconds read_ttl(const json::object& from, std::string_view name) {
    const auto value = integer<std::int64_t>(from, name);
    if (value < -1 || value > 9'000'000'000) throw bad_reply(std::string(name) + " is not a time to live");
    return std::chrono::seconds(value);
}

inline bool boolean(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return false;
    if (!found->is_bool()) throw bad_reply(std::string(name) + " is not true or false");
    return found->get_bool();
}

inline std::string string(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    if (found == nullptr) return {};
    if (!found->is_string()) throw bad_reply(std::string(name) + " is not a string");
    const auto& text = found->get_string();
    return {text.data(), text.size()};
}

inline std::vector<std::string> strings(const json::object& from, std::string_view name) {
    std::vector<std::string> result;
    const auto* list = find_array(from, name);
    if (list == nullptr) return result;
    for (const auto& item : *list) {
        if (!item.is_string()) throw bad_reply(std::string(name) + " holds what is not a string");
        result.emplace_back(item.get_string().data(), item.get_string().size());
    }
    return result;
}

inline std::string raw_bytes(const json::value& value, std::string_view name) {
    if (!value.is_string()) throw bad_reply(std::string(name) + " is not a string");
    const auto& text = value.get_string();
    auto raw = etcdcoll::detail::decode_base64({text.data(), text.size()});
    if (!raw) throw bad_reply(std::string(name) + " is not base64");
    return std::move(*raw);
}

inline std::string bytes(const json::object& from, std::string_view name) {
    const auto* found = find(from, name);
    return found == nullptr ? std::string() : raw_bytes(*found, name);
}

inline response_header read_header(const json::object& from) {
    response_header header;
    const auto* found = find_object(from, "header");
    if (found == nullptr) return header;
    header.cluster_id = integer<std::uint64_t>(*found, "cluster_id");
    header.member_id = integer<std::uint64_t>(*found, "member_id");
    header.revision = read_revision(*found, "revision");
    header.raft_term = integer<std::uint64_t>(*found, "raft_term");
    return header;
}

// A reply without it is not the whole one.
inline response_header read_whole_header(const json::object& from) {
    auto header = read_header(from);
    if (!header.revision) throw bad_reply("header.revision is missing");
    return header;
}

// For replies whose header brings no revision.
inline response_header read_bare_header(const json::object& from) {
    auto header = read_header(from);
    if (header.cluster_id == 0) throw bad_reply("header.cluster_id is missing");
    return header;
}

inline key_value read_key_value(const json::object& from) {
    key_value kv;
    kv.key = bytes(from, "key");
    kv.value = bytes(from, "value");
    kv.create_revision = read_revision(from, "create_revision");
    kv.mod_revision = read_revision(from, "mod_revision");
    kv.version = integer<std::int64_t>(from, "version");
    kv.lease.value = integer<std::int64_t>(from, "lease");
    return kv;
}

inline const json::object& as_object(const json::value& value) {
    if (!value.is_object()) throw bad_reply("a list holds what is not an object");
    return value.get_object();
}

inline std::vector<key_value> read_key_values(const json::object& from, std::string_view name) {
    std::vector<key_value> result;
    const auto* list = find_array(from, name);
    if (list == nullptr) return result;
    result.reserve(list->size());
    for (const auto& item : *list) result.push_back(read_key_value(as_object(item)));
    return result;
}

} // namespace etcdcoll::etcd::codec
