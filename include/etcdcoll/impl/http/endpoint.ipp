#pragma once

#include <etcdcoll/error.hpp>
#include <etcdcoll/http/endpoint.hpp>

#include <algorithm>
#include <charconv>

namespace etcdcoll::http {

namespace detail {

// A line break or a zero byte must not tear the sentence apart.
ETCDCOLL_DECL std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) result += c >= 0x20 && c < 0x7f ? c : '?';
    return result += '"';
}

[[noreturn]] ETCDCOLL_DECL void refuse_endpoint(std::string_view text, std::string_view why) {
    throw error(errc::invalid_argument, "endpoint " + quoted(text) + ": " + std::string(why));
}

// What may hold a password is not quoted.
ETCDCOLL_DECL void refuse_password(std::string_view text) {
    if (text.find('@') != std::string_view::npos)
        throw error(errc::invalid_argument, "an endpoint holds no user and password: give them as options");
}

ETCDCOLL_DECL std::uint16_t parse_port(std::string_view text, std::string_view port) {
    unsigned value = 0;
    const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (failure != std::errc() || end != port.data() + port.size() || value == 0 || value > 65535)
        refuse_endpoint(text, "the port must be a number from 1 to 65535");
    return static_cast<std::uint16_t>(value);
}

ETCDCOLL_DECL void check_host(std::string_view text, std::string_view host, bool bracketed) {
    if (host.empty()) refuse_endpoint(text, "the host is missing");
    const std::string_view allowed = bracketed ? ":.%" : ".-_";
    for (const char c : host) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && allowed.find(c) == std::string_view::npos)
            refuse_endpoint(text, quoted({&c, 1}) + " cannot stand in a host name; write [scheme://]host[:port]");
    }
}

} // namespace detail

ETCDCOLL_DECL std::string endpoint::authority() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

ETCDCOLL_DECL std::string endpoint::url() const { return (tls ? "https://" : "http://") + authority(); }

ETCDCOLL_DECL endpoint parse_endpoint(std::string_view text) {
    detail::refuse_password(text);
    endpoint result;
    std::string_view rest = text;
    if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
        const auto name = rest.substr(0, scheme);
        if (name != "http" && name != "https") detail::refuse_endpoint(text, "the scheme must be http or https");
        result.tls = name == "https";
        rest.remove_prefix(scheme + 3);
    }
    if (rest.ends_with('/')) rest.remove_suffix(1);

    if (rest.starts_with('[')) {
        const auto close = rest.find(']');
        if (close == std::string_view::npos) detail::refuse_endpoint(text, "']' is missing");
        result.host = rest.substr(1, close - 1);
        detail::check_host(text, result.host, true);
        rest.remove_prefix(close + 1);
        if (!rest.empty() && rest.front() != ':') detail::refuse_endpoint(text, "only a port may follow ']'");
        if (!rest.empty()) result.port = detail::parse_port(text, rest.substr(1));
        return result;
    }
    const auto colon = rest.find(':');
    if (colon != std::string_view::npos && rest.find(':', colon + 1) != std::string_view::npos)
        detail::refuse_endpoint(text, "an IPv6 address stands in brackets: [::1]:2379");
    result.host = rest.substr(0, colon);
    detail::check_host(text, result.host, false);
    if (colon != std::string_view::npos) result.port = detail::parse_port(text, rest.substr(colon + 1));
    return result;
}

ETCDCOLL_DECL std::vector<endpoint> parse_endpoints(std::string_view list) {
    std::vector<endpoint> result;
    detail::refuse_password(list); // a comma in it would tear it apart
    for (std::string_view rest = list; !rest.empty();) {
        const auto comma = rest.find(',');
        auto entry = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        while (entry.starts_with(' ') || entry.starts_with('\t')) entry.remove_prefix(1);
        while (entry.ends_with(' ') || entry.ends_with('\t')) entry.remove_suffix(1);
        if (entry.empty()) continue;
        auto parsed = parse_endpoint(entry);
        if (std::find(result.begin(), result.end(), parsed) == result.end()) result.push_back(std::move(parsed));
    }
    if (result.empty()) throw error(errc::invalid_argument, "endpoints " + detail::quoted(list) + ": none is named");
    return result;
}

} // namespace etcdcoll::http
