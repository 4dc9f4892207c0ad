#pragma once

#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>

#include <algorithm>
#include <cstdlib>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL duration positive(duration limit, const char* name) {
    if (limit <= duration::zero()) throw error(errc::invalid_argument, std::string(name) + " must be longer than zero");
    return std::min(limit, longest_timeout);
}

} // namespace detail

ETCDCOLL_DECL client_options::client_options() : values_(std::make_shared<values>()) {
    const char* list = std::getenv("ETCD_ENDPOINTS");
    values_->endpoints = list != nullptr && *list != '\0' ? list : "http://127.0.0.1:2379";
}

ETCDCOLL_DECL client_options::~client_options() = default;
ETCDCOLL_DECL client_options::client_options(const client_options&) = default;
ETCDCOLL_DECL client_options& client_options::operator=(const client_options&) = default;

ETCDCOLL_DECL client_options::values& client_options::mine() {
    if (values_.use_count() > 1) values_ = std::make_shared<values>(*values_);
    return *values_;
}

ETCDCOLL_DECL client_options& client_options::endpoints(std::string list) {
    static_cast<void>(http::parse_endpoints(list));
    mine().endpoints = std::move(list);
    return *this;
}

ETCDCOLL_DECL client_options& client_options::refresh_endpoints(duration interval) {
    if (interval < duration::zero()) throw error(errc::invalid_argument, "refresh_endpoints: the interval is negative");
    mine().refresh = interval;
    return *this;
}

ETCDCOLL_DECL client_options& client_options::tls(tls_options settings) {
    mine().tls = std::move(settings);
    return *this;
}

ETCDCOLL_DECL client_options& client_options::user(std::string name, std::string password) {
    if (name.empty()) throw error(errc::invalid_argument, "user: the name is empty");
    auto& own = mine();
    own.user = std::move(name);
    own.password = std::move(password);
    return *this;
}

ETCDCOLL_DECL client_options& client_options::wait_timeout(duration limit) {
    mine().wait_timeout = detail::positive(limit, "wait_timeout");
    return *this;
}

ETCDCOLL_DECL client_options& client_options::on_call(std::function<void(const call_report&)> observer) {
    mine().observer = std::move(observer);
    return *this;
}

ETCDCOLL_DECL client_options& client_options::timeout(duration limit) {
    mine().timeout = detail::positive(limit, "timeout");
    return *this;
}

ETCDCOLL_DECL client_options& client_options::attempt_timeout(duration limit) {
    mine().attempt_timeout = detail::positive(limit, "attempt_timeout");
    return *this;
}

ETCDCOLL_DECL client_options& client_options::connect_timeout(duration limit) {
    mine().connect_timeout = detail::positive(limit, "connect_timeout");
    return *this;
}

ETCDCOLL_DECL client_options& client_options::connections(std::size_t most) {
    if (most == 0) throw error(errc::invalid_argument, "connections must be 1 at least");
    mine().connections = most;
    return *this;
}

ETCDCOLL_DECL client_options& client_options::reply_limit(std::size_t most) {
    if (most < 64 * 1024) throw error(errc::invalid_argument, "reply_limit must be 64 KiB at least");
    mine().reply_limit = most;
    return *this;
}

ETCDCOLL_DECL client_options& client_options::watch_buffer(std::size_t most) {
    if (most == 0) throw error(errc::invalid_argument, "watch_buffer must be 1 at least");
    mine().watch_buffer = most;
    return *this;
}

ETCDCOLL_DECL client_options& client_options::log(logger sink) {
    mine().log = std::move(sink);
    return *this;
}

ETCDCOLL_DECL client_options& client_options::system(std::shared_ptr<environment> replacement) {
    if (!replacement) throw error(errc::invalid_argument, "system must not be null");
    mine().system = std::move(replacement);
    return *this;
}

} // namespace etcdcoll
