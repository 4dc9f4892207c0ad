#include <support/auth_etcd.hpp>

#include <etcdcoll/detail/base64.hpp>

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <utility>

namespace etcdcoll::test {

namespace {

using nlohmann::json;

command::local_etcd_options with_authentication(const auth_etcd_options& options) {
    auto server = options.server;
    server.arguments.push_back("--bcrypt-cost=4");
    if (options.token_ttl.count() > 0) server.arguments.push_back("--auth-token-ttl=" + std::to_string(options.token_ttl.count()));
    return server;
}

std::string base64(const std::string& raw) {
    std::string text;
    detail::append_base64(text, raw);
    return text;
}

// The first key behind all that begin so. A prefix here ends with no byte 0xff.
std::string end_of(std::string prefix) {
    ++prefix.back();
    return prefix;
}

json permission(const std::string& prefix) {
    return {{"permType", "READWRITE"}, {"key", base64(prefix)}, {"range_end", base64(end_of(prefix))}};
}

} // namespace

auth_etcd::auth_etcd(auth_etcd_options options) : options_(std::move(options)), server_(with_authentication(options_)) {
    if (options_.prefix.empty()) throw std::invalid_argument("the user needs a prefix");
    must("/v3/auth/user/add", json{{"name", root}, {"password", root_password}}.dump());
    must("/v3/auth/role/add", json{{"name", "root"}}.dump());
    must("/v3/auth/user/grant", json{{"user", root}, {"role", "root"}}.dump());
    must("/v3/auth/user/add", json{{"name", user}, {"password", password}}.dump());
    must("/v3/auth/role/add", json{{"name", role}}.dump());
    must("/v3/auth/role/grant", json{{"name", role}, {"perm", permission(options_.prefix)}}.dump());
    must("/v3/auth/user/grant", json{{"user", user}, {"role", role}}.dump());
    enable();
}

http_answer auth_etcd::post(const std::string& path, const std::string& body, const std::string& token) const {
    auto access = options_.access;
    access.token = token;
    return http_post(endpoint(), path, body, access);
}

std::string auth_etcd::must(const std::string& path, const std::string& body, const std::string& token) const {
    auto answer = post(path, body, token);
    if (answer.status != 200) throw std::runtime_error(path + ": " + std::to_string(answer.status) + ' ' + answer.body);
    return std::move(answer.body);
}

std::string auth_etcd::login(const std::string& name, const std::string& secret) const {
    return json::parse(must("/v3/auth/authenticate", json{{"name", name}, {"password", secret}}.dump())).at("token").get<std::string>();
}

std::string auth_etcd::as_root(const std::string& path, const std::string& body) const { return must(path, body, login(root, root_password)); }

void auth_etcd::grant(const std::string& prefix) const { as_root("/v3/auth/role/grant", json{{"name", role}, {"perm", permission(prefix)}}.dump()); }

void auth_etcd::revoke(const std::string& prefix) const {
    as_root("/v3/auth/role/revoke", json{{"role", role}, {"key", base64(prefix)}, {"range_end", base64(end_of(prefix))}}.dump());
}

void auth_etcd::change_password(const std::string& name, const std::string& secret) const {
    as_root("/v3/auth/user/changepw", json{{"name", name}, {"password", secret}}.dump());
}

void auth_etcd::disable() const { as_root("/v3/auth/disable", "{}"); }

// Without a token: etcd 3.4 refuses one while authentication is off.
void auth_etcd::enable() const { must("/v3/auth/enable", "{}"); }

} // namespace etcdcoll::test
