#pragma once

#include <etcdcoll/etcd/cluster.hpp>
#include <etcdcoll/impl/etcd/service_call.hpp>

namespace etcdcoll::etcd {

namespace detail {

inline constexpr call_spec member_list_call{"member_list", "/v3/cluster/member/list", repeatability::repeatable};
inline constexpr call_spec member_add_call{"member_add", "/v3/cluster/member/add", repeatability::once};
inline constexpr call_spec member_remove_call{"member_remove", "/v3/cluster/member/remove", repeatability::once};
inline constexpr call_spec member_update_call{"member_update", "/v3/cluster/member/update", repeatability::once};
inline constexpr call_spec member_promote_call{"member_promote", "/v3/cluster/member/promote", repeatability::once};

ETCDCOLL_DECL std::string encode_member(member_id id, const std::vector<std::string>& peer_urls, bool is_learner) {
    std::string text;
    {
        codec::object_writer out(text);
        if (id) out.number("ID", id.value);
        if (!peer_urls.empty()) out.texts("peerURLs", peer_urls);
        out.flag("isLearner", is_learner);
    }
    return text;
}

ETCDCOLL_DECL member read_member(const codec::json::object& from) {
    member one;
    one.id.value = codec::integer<std::uint64_t>(from, "ID");
    one.name = codec::string(from, "name");
    one.peer_urls = codec::strings(from, "peerURLs");
    one.client_urls = codec::strings(from, "clientURLs");
    one.is_learner = codec::boolean(from, "isLearner");
    return one;
}

ETCDCOLL_DECL std::vector<member> read_member_list(const codec::json::object& from) {
    std::vector<member> all;
    if (const auto* list = codec::find_array(from, "members"))
        for (const auto& item : *list) all.push_back(read_member(codec::as_object(item)));
    if (all.empty()) throw codec::bad_reply("members is missing");
    return all;
}

ETCDCOLL_DECL member_list_response read_members(const codec::json::object& from) {
    member_list_response reply;
    reply.header = codec::read_bare_header(from);
    reply.members = read_member_list(from);
    return reply;
}

ETCDCOLL_DECL member_add_response read_added(const codec::json::object& from) {
    member_add_response reply;
    reply.header = codec::read_bare_header(from);
    reply.members = read_member_list(from);
    const auto* added = codec::find_object(from, "member");
    if (added == nullptr) throw codec::bad_reply("member is missing");
    reply.member = read_member(*added);
    return reply;
}

ETCDCOLL_DECL std::string member_text(const char* call, member_id id) {
    if (!id) throw error(errc::invalid_argument, std::string(call) + ": no member is named");
    return std::to_string(id.value);
}

ETCDCOLL_DECL std::string peers_text(const char* call, const std::vector<std::string>& peer_urls) {
    if (peer_urls.empty()) throw error(errc::invalid_argument, std::string(call) + ": no peer URL is given");
    for (const auto& url : peer_urls) check_text(call, "peer URL", url);
    return peer_urls.front();
}

} // namespace detail

ETCDCOLL_DECL cluster::cluster(client through) : client_(std::move(through)) {}

ETCDCOLL_DECL asio::awaitable<member_list_response> cluster::member_list(bool linearizable, call_options options) {
    std::string body = linearizable ? "{\"linearizable\":true}" : "{}";
    return detail::request<member_list_response>(client_, detail::member_list_call, std::move(body), {}, options, detail::read_members);
}

ETCDCOLL_DECL asio::awaitable<member_add_response> cluster::member_add(std::vector<std::string> peer_urls, bool is_learner,
                                                                       call_options options) {
    auto key = detail::peers_text("member_add", peer_urls);
    auto body = detail::encode_member({}, peer_urls, is_learner);
    return detail::request<member_add_response>(client_, detail::member_add_call, std::move(body), std::move(key), options, detail::read_added);
}

ETCDCOLL_DECL asio::awaitable<member_list_response> cluster::member_remove(member_id id, call_options options) {
    auto key = detail::member_text("member_remove", id);
    auto body = detail::encode_member(id, {}, false);
    return detail::request<member_list_response>(client_, detail::member_remove_call, std::move(body), std::move(key), options,
                                                 detail::read_members);
}

ETCDCOLL_DECL asio::awaitable<member_list_response> cluster::member_update(member_id id, std::vector<std::string> peer_urls,
                                                                           call_options options) {
    auto key = detail::member_text("member_update", id);
    static_cast<void>(detail::peers_text("member_update", peer_urls));
    auto body = detail::encode_member(id, peer_urls, false);
    return detail::request<member_list_response>(client_, detail::member_update_call, std::move(body), std::move(key), options,
                                                 detail::read_members);
}

ETCDCOLL_DECL asio::awaitable<member_list_response> cluster::member_promote(member_id id, call_options options) {
    auto key = detail::member_text("member_promote", id);
    auto body = detail::encode_member(id, {}, false);
    return detail::request<member_list_response>(client_, detail::member_promote_call, std::move(body), std::move(key), options,
                                                 detail::read_members);
}

} // namespace etcdcoll::etcd
