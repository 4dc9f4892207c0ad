#pragma once

#include <etcdcoll/etcd/auth.hpp>
#include <etcdcoll/impl/etcd/service_call.hpp>

namespace etcdcoll::etcd {

namespace detail {

inline constexpr call_spec auth_enable_call{"auth_enable", "/v3/auth/enable", repeatability::once};
inline constexpr call_spec auth_disable_call{"auth_disable", "/v3/auth/disable", repeatability::once};
inline constexpr call_spec auth_status_call{"auth_status", "/v3/auth/status", repeatability::repeatable};
inline constexpr call_spec user_add_call{"user_add", "/v3/auth/user/add", repeatability::once};
inline constexpr call_spec user_get_call{"user_get", "/v3/auth/user/get", repeatability::repeatable};
inline constexpr call_spec user_list_call{"user_list", "/v3/auth/user/list", repeatability::repeatable};
inline constexpr call_spec user_delete_call{"user_delete", "/v3/auth/user/delete", repeatability::once};
inline constexpr call_spec user_change_password_call{"user_change_password", "/v3/auth/user/changepw", repeatability::once};
inline constexpr call_spec user_grant_role_call{"user_grant_role", "/v3/auth/user/grant", repeatability::once};
inline constexpr call_spec user_revoke_role_call{"user_revoke_role", "/v3/auth/user/revoke", repeatability::once};
inline constexpr call_spec role_add_call{"role_add", "/v3/auth/role/add", repeatability::once};
inline constexpr call_spec role_get_call{"role_get", "/v3/auth/role/get", repeatability::repeatable};
inline constexpr call_spec role_list_call{"role_list", "/v3/auth/role/list", repeatability::repeatable};
inline constexpr call_spec role_delete_call{"role_delete", "/v3/auth/role/delete", repeatability::once};
inline constexpr call_spec role_grant_permission_call{"role_grant_permission", "/v3/auth/role/grant", repeatability::once};
inline constexpr call_spec role_revoke_permission_call{"role_revoke_permission", "/v3/auth/role/revoke", repeatability::once};
inline constexpr call_spec authenticate_call{"authenticate", "/v3/auth/authenticate", repeatability::repeatable, false, true};

// {"<field>":"<value>", ...}; fields without a value are left out.
struct text_field {
    std::string_view name;
    std::string_view value;
};

ETCDCOLL_DECL std::string encode_texts(std::initializer_list<text_field> fields) {
    std::string text;
    {
        codec::object_writer out(text);
        for (const auto& field : fields)
            if (!field.value.empty()) out.text(field.name, field.value);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_user_without_password(std::string_view name) {
    std::string text;
    {
        codec::object_writer out(text);
        out.text("name", name);
        out.open("options").append("{\"no_password\":true}");
    }
    return text;
}

ETCDCOLL_DECL std::string encode_grant(std::string_view role, const permission& granted) {
    std::string text;
    {
        codec::object_writer out(text);
        out.text("name", role);
        codec::object_writer perm(out.open("perm"));
        if (granted.kind != permission_kind::read) perm.word("permType", granted.kind == permission_kind::write ? "WRITE" : "READWRITE");
        codec::append_keys(perm, granted.keys);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_revoke(std::string_view role, const key_range& keys) {
    std::string text;
    {
        codec::object_writer out(text);
        out.text("role", role);
        codec::append_keys(out, keys);
    }
    return text;
}

ETCDCOLL_DECL auth_status_response read_auth_status(const codec::json::object& from) {
    auth_status_response reply;
    reply.header = codec::read_whole_header(from);
    reply.enabled = codec::boolean(from, "enabled");
    reply.auth_revision = codec::integer<std::uint64_t>(from, "authRevision");
    return reply;
}

ETCDCOLL_DECL user_get_response read_user(const codec::json::object& from) {
    user_get_response reply;
    reply.header = codec::read_whole_header(from);
    reply.roles = codec::strings(from, "roles");
    return reply;
}

ETCDCOLL_DECL user_list_response read_users(const codec::json::object& from) {
    user_list_response reply;
    reply.header = codec::read_whole_header(from);
    reply.users = codec::strings(from, "users");
    return reply;
}

ETCDCOLL_DECL permission_kind read_permission_kind(const codec::json::object& from) {
    const auto* kind = codec::find(from, "permType");
    if (kind == nullptr) return permission_kind::read;
    if (kind->is_string()) {
        const auto& name = kind->get_string();
        if (name == "READ") return permission_kind::read;
        if (name == "WRITE") return permission_kind::write;
        if (name == "READWRITE") return permission_kind::read_write;
    }
    throw codec::bad_reply("permType is none that is known");
}

ETCDCOLL_DECL role_get_response read_role(const codec::json::object& from) {
    role_get_response reply;
    reply.header = codec::read_whole_header(from);
    if (const auto* list = codec::find_array(from, "perm")) {
        for (const auto& item : *list) {
            const auto& one = codec::as_object(item);
            reply.permissions.emplace_back(read_permission_kind(one), key_range(codec::bytes(one, "key"), codec::bytes(one, "range_end")));
        }
    }
    return reply;
}

ETCDCOLL_DECL role_list_response read_roles(const codec::json::object& from) {
    role_list_response reply;
    reply.header = codec::read_whole_header(from);
    reply.roles = codec::strings(from, "roles");
    return reply;
}

ETCDCOLL_DECL authenticate_response read_token(const codec::json::object& from) {
    authenticate_response reply;
    reply.header = codec::read_whole_header(from);
    reply.token = codec::string(from, "token");
    if (reply.token.empty()) throw codec::bad_reply("token is missing");
    return reply;
}

} // namespace detail

ETCDCOLL_DECL auth::auth(client through) : client_(std::move(through)) {}

ETCDCOLL_DECL asio::awaitable<response_header> auth::enable(call_options options) {
    return detail::request<response_header>(client_, detail::auth_enable_call, "{}", {}, options, detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::disable(call_options options) {
    return detail::request<response_header>(client_, detail::auth_disable_call, "{}", {}, options, detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<auth_status_response> auth::status(call_options options) {
    return detail::request<auth_status_response>(client_, detail::auth_status_call, "{}", {}, options, detail::read_auth_status);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_add(std::string name, std::string password, call_options options) {
    detail::check_text("user_add", "name", name);
    detail::check_text("user_add", "password", password);
    auto body = detail::encode_texts({{"name", name}, {"password", password}});
    return detail::request<response_header>(client_, detail::user_add_call, std::move(body), std::move(name), options, detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_add(std::string name, no_password_t, call_options options) {
    detail::check_text("user_add", "name", name);
    auto body = detail::encode_user_without_password(name);
    return detail::request<response_header>(client_, detail::user_add_call, std::move(body), std::move(name), options, detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<user_get_response> auth::user_get(std::string name, call_options options) {
    detail::check_text("user_get", "name", name);
    auto body = detail::encode_texts({{"name", name}});
    return detail::request<user_get_response>(client_, detail::user_get_call, std::move(body), std::move(name), options, detail::read_user);
}

ETCDCOLL_DECL asio::awaitable<user_list_response> auth::user_list(call_options options) {
    return detail::request<user_list_response>(client_, detail::user_list_call, "{}", {}, options, detail::read_users);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_delete(std::string name, call_options options) {
    detail::check_text("user_delete", "name", name);
    auto body = detail::encode_texts({{"name", name}});
    return detail::request<response_header>(client_, detail::user_delete_call, std::move(body), std::move(name), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_change_password(std::string name, std::string password, call_options options) {
    detail::check_text("user_change_password", "name", name);
    detail::check_text("user_change_password", "password", password);
    auto body = detail::encode_texts({{"name", name}, {"password", password}});
    return detail::request<response_header>(client_, detail::user_change_password_call, std::move(body), std::move(name), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_grant_role(std::string user, std::string role, call_options options) {
    detail::check_text("user_grant_role", "name", user);
    detail::check_text("user_grant_role", "role", role);
    auto body = detail::encode_texts({{"user", user}, {"role", role}});
    return detail::request<response_header>(client_, detail::user_grant_role_call, std::move(body), std::move(user), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::user_revoke_role(std::string user, std::string role, call_options options) {
    detail::check_text("user_revoke_role", "name", user);
    detail::check_text("user_revoke_role", "role", role);
    auto body = detail::encode_texts({{"name", user}, {"role", role}});
    return detail::request<response_header>(client_, detail::user_revoke_role_call, std::move(body), std::move(user), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::role_add(std::string name, call_options options) {
    detail::check_text("role_add", "name", name);
    auto body = detail::encode_texts({{"name", name}});
    return detail::request<response_header>(client_, detail::role_add_call, std::move(body), std::move(name), options, detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<role_get_response> auth::role_get(std::string name, call_options options) {
    detail::check_text("role_get", "name", name);
    auto body = detail::encode_texts({{"role", name}});
    return detail::request<role_get_response>(client_, detail::role_get_call, std::move(body), std::move(name), options, detail::read_role);
}

ETCDCOLL_DECL asio::awaitable<role_list_response> auth::role_list(call_options options) {
    return detail::request<role_list_response>(client_, detail::role_list_call, "{}", {}, options, detail::read_roles);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::role_delete(std::string name, call_options options) {
    detail::check_text("role_delete", "name", name);
    auto body = detail::encode_texts({{"role", name}});
    return detail::request<response_header>(client_, detail::role_delete_call, std::move(body), std::move(name), options,
                                            detail::read_header_only);
}

// etcd 3.4 takes empty keys and backward ranges, of which no permission ever comes; and it dies of a grant without a permission.
ETCDCOLL_DECL asio::awaitable<response_header> auth::role_grant_permission(std::string role, permission granted, call_options options) {
    detail::check_text("role_grant_permission", "role", role);
    detail::check_not_empty("role_grant_permission", "key", granted.keys.key);
    const auto& keys = granted.keys;
    if (!keys.end.empty() && keys.end != std::string_view("\0", 1) && keys.end <= keys.key)
        throw error(errc::invalid_argument, "role_grant_permission: the range ends before it begins");
    auto body = detail::encode_grant(role, granted);
    return detail::request<response_header>(client_, detail::role_grant_permission_call, std::move(body), std::move(role), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<response_header> auth::role_revoke_permission(std::string role, key_range keys, call_options options) {
    detail::check_text("role_revoke_permission", "role", role);
    auto body = detail::encode_revoke(role, keys);
    return detail::request<response_header>(client_, detail::role_revoke_permission_call, std::move(body), std::move(role), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<authenticate_response> auth::authenticate(std::string name, std::string password, call_options options) {
    detail::check_text("authenticate", "name", name);
    detail::check_text("authenticate", "password", password);
    auto body = detail::encode_texts({{"name", name}, {"password", password}});
    return detail::request<authenticate_response>(client_, detail::authenticate_call, std::move(body), std::move(name), options,
                                                  detail::read_token);
}

} // namespace etcdcoll::etcd
