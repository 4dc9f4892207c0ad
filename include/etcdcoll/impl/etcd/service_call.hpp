#pragma once
// What the services beside the client share: a call whose codec stands beside its caller.

#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/json_reader.hpp>
#include <etcdcoll/impl/etcd/json_writer.hpp>

namespace etcdcoll::etcd::detail {

using etcdcoll::detail::any_endpoint;
using etcdcoll::detail::call_spec;
using etcdcoll::detail::client_core;
using etcdcoll::detail::repeatability;

template <class Reply> using reader = Reply (*)(const codec::json::object&);

inline response_header read_header_only(const codec::json::object& from) { return codec::read_whole_header(from); }

// Keeps the core alive while it works: the handle may go meanwhile.
template <class Reply>
asio::awaitable<Reply> serve(std::shared_ptr<client_core> core, call_spec spec, std::string body, std::string key, call_options options,
                             reader<Reply> read, std::string endpoint) {
    Reply reply;
    const client_core::decoder decode = [&reply, read](std::string_view text) {
        const codec::document parsed(text);
        reply = read(parsed.root());
    };
    std::size_t at = any_endpoint;
    if (!endpoint.empty()) at = core->endpoint_index(endpoint);
    co_await core->call(spec, std::move(body), std::move(key), options, decode, at);
    co_return reply;
}

/// `key` names what the call is about, for error texts. An empty `endpoint`: any.
template <class Reply>
asio::awaitable<Reply> request(const client& through, const call_spec& spec, std::string body, std::string key, call_options options,
                               reader<Reply> read, std::string endpoint = {}) {
    const auto& core = through.core();
    return etcdcoll::detail::on_strand(
        core->strand(), serve<Reply>(core, spec, std::move(body), std::move(key), options, read, std::move(endpoint)));
}

inline void check_not_empty(const char* call, const char* what, const std::string& value) {
    if (value.empty()) throw error(errc::invalid_argument, std::string(call) + ": the " + what + " is empty");
}

// The shortest forms only, no surrogates: what Go's decoder takes, and protobuf.
inline bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [text](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(text[at])); };
        const unsigned first = byte(i++);
        if (first < 0x80) continue;
        const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || text.size() - i < more) return false;
        unsigned code = first & (0x3fu >> more);
        for (std::size_t end = i + more; i < end; ++i) {
            if ((byte(i) & 0xc0) != 0x80) return false;
            code = code << 6 | (byte(i) & 0x3f);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    }
    return true;
}

inline void check_text(const char* call, const char* what, const std::string& value) {
    check_not_empty(call, what, value);
    if (!is_utf8(value)) throw error(errc::invalid_argument, std::string(call) + ": the " + what + " is not UTF-8");
}

} // namespace etcdcoll::etcd::detail
