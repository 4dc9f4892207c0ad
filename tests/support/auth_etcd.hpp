#pragma once
// An etcd server with authentication on: root, and a user who may touch one prefix only.

#include <support/blocking_http.hpp>

#include <local_etcd.hpp>

#include <chrono>
#include <string>

namespace etcdcoll::test {

struct auth_etcd_options {
    auth_etcd_options() {}

    command::local_etcd_options server; ///< http, or tls_etcd(authority)
    http_access access;                 ///< what the server asks for of https clients; its token is not used
    std::string prefix = "allowed/";    ///< what the plain user may read and write
    std::chrono::seconds token_ttl{0};  ///< how long a token lives that is not used; 0: etcd's 5 minutes
};

/// Serves, with authentication on, when the constructor returns. All calls block and throw std::runtime_error with the server's answer where it refuses. Logins
/// are quick: passwords are hashed at the lowest cost.
class auth_etcd {
public:
    explicit auth_etcd(auth_etcd_options options = {});

    static constexpr const char* root = "root";
    static constexpr const char* root_password = "root's \"password\"";
    static constexpr const char* user = "user";
    static constexpr const char* password = "p\xc3\xa4ssword: 1";
    static constexpr const char* role = "role"; ///< of the user: the prefix

    command::local_etcd& server() noexcept { return server_; }
    std::string endpoint() const { return server_.endpoint(); }
    const std::string& prefix() const noexcept { return options_.prefix; }

    /// A new token.
    std::string login(const std::string& name, const std::string& secret) const;

    /// POSTs as root, and returns the answer's body: "/v3/auth/user/delete", R"({"name":"user"})".
    std::string as_root(const std::string& path, const std::string& body) const;

    /// POSTs with this token, or with none, and returns the answer whatever it is.
    http_answer post(const std::string& path, const std::string& body, const std::string& token = "") const;

    /// Lets the user read and write another prefix too; or no longer.
    void grant(const std::string& prefix) const;
    void revoke(const std::string& prefix) const;

    void change_password(const std::string& name, const std::string& secret) const;

    /// Authentication off and on again for everyone.
    void disable() const;
    void enable() const;

private:
    std::string must(const std::string& path, const std::string& body, const std::string& token = "") const;

    auth_etcd_options options_;
    command::local_etcd server_;
};

} // namespace etcdcoll::test
