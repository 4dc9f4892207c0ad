#pragma once
// etcd's users and roles: who may read and write which keys.

#include <etcdcoll/etcd/client.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace etcdcoll::etcd {

enum class permission_kind { read, write, read_write };

/// What a role may do, and with which keys. `prefix("")` is every key.
struct permission {
    permission(permission_kind kind_, key_range keys_) : kind(kind_), keys(std::move(keys_)) {}

    permission_kind kind;
    key_range keys;
};

struct auth_status_response {
    response_header header;
    bool enabled = false;
    std::uint64_t auth_revision = 0; ///< grows with each change of users and roles
};

struct user_get_response {
    response_header header;
    std::vector<std::string> roles;
};

struct user_list_response {
    response_header header;
    std::vector<std::string> users;
};

struct role_get_response {
    response_header header;
    std::vector<permission> permissions;
};

struct role_list_response {
    response_header header;
    std::vector<std::string> roles;
};

struct authenticate_response {
    response_header header;
    std::string token; ///< as it is sent: in the header `Authorization`, with nothing before it
};

/// In the place of a password: of a user who never logs in with one.
struct no_password_t {
    explicit no_password_t() = default;
};
inline constexpr no_password_t no_password{};

/// The calls of etcd's Auth service, through the connections of a client. Copies are as good as the original. Names and passwords are UTF-8,
/// and not empty; a password is sent as it is, so over https only, and appears in no error and no log. The field
/// `hashedPassword` is left out: etcd fills it in itself.
///
/// Reads are repeated until the deadline. A write is sent once: a repetition could be executed late, behind what was decided since.
/// Errors:  those of client; not_found and already_exists for users and roles, refused for what is not granted, permission_denied for all
///          but root once auth is on (every user may read about himself).
/// Cancel:  terminal; a write that was sent may have been executed.
/// Cost:    one request.
class ETCDCOLL_API auth {
public:
    explicit auth(client through);

    /// From here on every call needs a user. Errors: refused unless there is a user "root" with the role "root".
    asio::awaitable<response_header> enable(call_options options = {});
    /// From here on no call needs a user; users and roles remain.
    asio::awaitable<response_header> disable(call_options options = {});
    /// Errors: unsupported by etcd 3.4.
    asio::awaitable<auth_status_response> status(call_options options = {});

    asio::awaitable<response_header> user_add(std::string name, std::string password, call_options options = {});
    asio::awaitable<response_header> user_add(std::string name, no_password_t, call_options options = {});
    asio::awaitable<user_get_response> user_get(std::string name, call_options options = {});
    asio::awaitable<user_list_response> user_list(call_options options = {});
    /// Ends the user's tokens as well. Errors: refused for "root" while auth is on.
    asio::awaitable<response_header> user_delete(std::string name, call_options options = {});
    /// Ends the user's tokens as well: who logged in with the old password has to do so again.
    asio::awaitable<response_header> user_change_password(std::string name, std::string password, call_options options = {});
    /// A role that the user has already is no error.
    asio::awaitable<response_header> user_grant_role(std::string user, std::string role, call_options options = {});
    asio::awaitable<response_header> user_revoke_role(std::string user, std::string role, call_options options = {});

    asio::awaitable<response_header> role_add(std::string name, call_options options = {});
    asio::awaitable<role_get_response> role_get(std::string name, call_options options = {});
    asio::awaitable<role_list_response> role_list(call_options options = {});
    /// Takes it from every user, too.
    asio::awaitable<response_header> role_delete(std::string name, call_options options = {});
    /// Replaces what the role had for exactly these keys.
    asio::awaitable<response_header> role_grant_permission(std::string role, permission granted, call_options options = {});
    /// `keys` exactly as they were granted.
    asio::awaitable<response_header> role_revoke_permission(std::string role, key_range keys, call_options options = {});

    /// A token for this user. A client with credentials of its own logs in by itself; this is for those who hand the token on. Repeated
    /// until the deadline. Errors: unauthenticated; refused while auth is off.
    asio::awaitable<authenticate_response> authenticate(std::string name, std::string password, call_options options = {});

private:
    client client_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/auth.ipp>
#endif
