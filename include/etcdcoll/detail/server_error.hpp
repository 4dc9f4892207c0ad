#pragma once
// Decides what an error that etcd answered means: which code the caller sees, and what it proves about the request. No I/O.

#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/error.hpp>

#include <string_view>

namespace etcdcoll::detail {

struct server_verdict {
    errc reason;
    attempt_outcome outcome;
    bool login_needed = false; ///< a good token would change it
};

/// The gateway's answer to every call, in text/plain, when a certificate has a CommonName and users are on.
inline bool common_name_refused(std::string_view message) {
    return message.find("CommonName of client sending a request against gateway") != std::string_view::npos;
}

/// `code` is etcd's (gRPC numbering), 0 where the body was not etcd's own. Never decided by the HTTP status alone: versions differ.
inline server_verdict judge(int code, int http_status, std::string_view message) {
    const auto says = [message](std::string_view text) { return message.find(text) != std::string_view::npos; };
    switch (code) {
    case 1: return {errc::unavailable, attempt_outcome::unknown}; // the member is shutting down
    case 2: // 3.4 reports its own time-out so
        if (says("context deadline exceeded")) return {errc::unavailable, attempt_outcome::unknown};
        // What the locks and elections of the server were told by the store: their own code hides it.
        if (says("etcdserver: requested lease not found")) return {errc::not_found, attempt_outcome::final};
        if (says("etcdserver: permission denied")) return {errc::permission_denied, attempt_outcome::final};
        if (says("etcdserver: user name is empty") || says("etcdserver: invalid auth token")) return {errc::unauthenticated, attempt_outcome::final, true};
        if (says("raft proposal dropped")) return {errc::unavailable, attempt_outcome::rejected}; // while the leader hands over
        return {errc::refused, attempt_outcome::final};
    case 3:
        if (says("request is too large")) return {errc::too_large, attempt_outcome::final};
        if (says("user name is empty") || says("revision of auth store is old")) return {errc::unauthenticated, attempt_outcome::final, true};
        if (says("authentication failed")) return {errc::unauthenticated, attempt_outcome::final};
        return {errc::refused, attempt_outcome::final};
    case 4: return {errc::unavailable, attempt_outcome::unknown};
    case 5:
        if (message == "Not Found") return {errc::unsupported, attempt_outcome::final}; // 3.6 knows no such path
        return {errc::not_found, attempt_outcome::final};
    case 6: return {errc::already_exists, attempt_outcome::final};
    case 7: return {errc::permission_denied, attempt_outcome::final};
    case 8:
        if (says("database space exceeded")) return {errc::no_space, attempt_outcome::final};
        if (says("too many requests")) return {errc::unavailable, attempt_outcome::rejected};
        return {errc::too_large, attempt_outcome::final};
    case 9:
        if (says("already exists")) return {errc::already_exists, attempt_outcome::final};
        if (says("not found")) return {errc::not_found, attempt_outcome::final};
        return {errc::refused, attempt_outcome::final};
    case 11:
        if (says("has been compacted")) return {errc::compacted, attempt_outcome::final};
        return {errc::refused, attempt_outcome::final};
    case 12: return {errc::unsupported, attempt_outcome::final};
    case 14:
        if (says("rpc not supported for learner")) return {errc::unavailable, attempt_outcome::rejected};
        if (says("unhealthy cluster")) return {errc::unavailable, attempt_outcome::rejected}; // a change of members, refused for now
        return {errc::unavailable, attempt_outcome::unknown}; // "request timed out", "leader changed": it may be applied all the same
    case 15: return {errc::refused, attempt_outcome::final}; // "corrupt cluster": the alarm, which keeps everything from being executed
    case 16: return {errc::unauthenticated, attempt_outcome::final, true};
    default: break;
    }
    if (common_name_refused(message)) return {errc::unauthenticated, attempt_outcome::final};
    if (http_status == 401) return {errc::unauthenticated, attempt_outcome::final, true};
    if (http_status == 413) return {errc::too_large, attempt_outcome::final}; // of a proxy in between
    if (http_status == 404 || http_status == 405 || http_status == 501) return {errc::unsupported, attempt_outcome::final};
    if (http_status >= 500) return {errc::unavailable, attempt_outcome::unknown}; // of a proxy in between
    return {code == 0 ? errc::bad_reply : errc::refused, code == 0 ? attempt_outcome::unknown : attempt_outcome::final};
}

/// Why etcd cancelled a watch. The HTTP status is 200 then, and gRPC's code a part of the text.
inline errc judge_cancel(std::string_view reason) {
    const auto says = [reason](std::string_view text) { return reason.find(text) != std::string_view::npos; };
    if (says("code = Unauthenticated") || says("user name is empty") || says("revision of auth store is old")) return errc::unauthenticated;
    if (says("permission denied")) return errc::permission_denied;
    return errc::refused;
}

} // namespace etcdcoll::detail
