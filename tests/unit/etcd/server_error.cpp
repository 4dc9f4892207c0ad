#include <etcdcoll/detail/server_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace etcdcoll;
using detail::attempt_outcome;
using detail::judge;

TEST_CASE("server_error: etcd's answers mean the same in all versions") {
    const struct {
        int code;
        int status;
        const char* message;
        errc reason;
        attempt_outcome outcome;
    } table[] = {
        {1, 499, "context canceled", errc::unavailable, attempt_outcome::unknown},
        {2, 500, "context deadline exceeded", errc::unavailable, attempt_outcome::unknown},
        {2, 500, "election: not leader", errc::refused, attempt_outcome::final},
        {2, 500, "raft proposal dropped", errc::unavailable, attempt_outcome::rejected}, // while the leader hands over
        {14, 503, "etcdserver: rpc not supported for learner", errc::unavailable, attempt_outcome::rejected},
        {0, 413, "Request Entity Too Large", errc::too_large, attempt_outcome::final}, // of a proxy
        {3, 400, "etcdserver: key is not provided", errc::refused, attempt_outcome::final},
        {3, 400, "etcdserver: request is too large", errc::too_large, attempt_outcome::final},
        {3, 400, "etcdserver: user name is empty", errc::unauthenticated, attempt_outcome::final},
        {3, 400, "etcdserver: authentication failed, invalid user ID or password", errc::unauthenticated, attempt_outcome::final},
        {4, 504, "context deadline exceeded", errc::unavailable, attempt_outcome::unknown},
        {5, 404, "etcdserver: requested lease not found", errc::not_found, attempt_outcome::final},
        {7, 403, "etcdserver: permission denied", errc::permission_denied, attempt_outcome::final},
        {8, 429, "etcdserver: mvcc: database space exceeded", errc::no_space, attempt_outcome::final},
        {8, 429, "grpc: received message larger than max (2097160 vs. 2097152)", errc::too_large, attempt_outcome::final},
        {8, 429, "etcdserver: too many requests", errc::unavailable, attempt_outcome::rejected},
        {9, 412, "etcdserver: lease already exists", errc::already_exists, attempt_outcome::final}, // 3.4
        {9, 400, "etcdserver: lease already exists", errc::already_exists, attempt_outcome::final}, // 3.5, 3.6
        {9, 400, "etcdserver: user name not found", errc::not_found, attempt_outcome::final},
        {9, 412, "etcdserver: authentication is not enabled", errc::refused, attempt_outcome::final},
        {11, 400, "etcdserver: mvcc: required revision has been compacted", errc::compacted, attempt_outcome::final},
        {11, 400, "etcdserver: mvcc: required revision is a future revision", errc::refused, attempt_outcome::final},
        {11, 400, "etcdserver: too large lease TTL", errc::refused, attempt_outcome::final},
        {12, 501, "Method Not Allowed", errc::unsupported, attempt_outcome::final}, // 3.6
        {0, 405, "Method Not Allowed", errc::unsupported, attempt_outcome::final},  // 3.4, 3.5
        {0, 404, "Not Found", errc::unsupported, attempt_outcome::final},
        {5, 404, "Not Found", errc::unsupported, attempt_outcome::final}, // 3.6
        {14, 503, "etcdserver: request timed out", errc::unavailable, attempt_outcome::unknown},
        {14, 503, "etcdserver: leader changed", errc::unavailable, attempt_outcome::unknown},
        {14, 503, "etcdserver: no leader", errc::unavailable, attempt_outcome::unknown},
        {15, 500, "etcdserver: corrupt cluster", errc::refused, attempt_outcome::final},
        {16, 401, "etcdserver: invalid auth token", errc::unauthenticated, attempt_outcome::final},
        {0, 502, "Bad Gateway", errc::unavailable, attempt_outcome::unknown},
        {0, 400, "CommonName of client sending a request against gateway will be ignored", errc::unauthenticated, attempt_outcome::final},
        {0, 302, "", errc::bad_reply, attempt_outcome::unknown},
        {13, 500, "internal", errc::unavailable, attempt_outcome::unknown},
    };
    for (const auto& [code, status, message, reason, outcome] : table) {
        INFO(code << " " << status << " " << message);
        const auto verdict = judge(code, status, message);
        CHECK(verdict.reason == reason);
        CHECK(verdict.outcome == outcome);
    }
}

TEST_CASE("server_error: nothing that etcd may still apply counts as rejected") {
    for (int code = 0; code <= 16; ++code)
        for (const int status : {400, 401, 403, 404, 412, 429, 500, 501, 502, 503, 504})
            CHECK(judge(code, status, "some words").outcome != attempt_outcome::rejected);
}

TEST_CASE("server_error: why a watch was cancelled is told by gRPC's code in the text") {
    CHECK(detail::judge_cancel("rpc error: code = Unauthenticated desc = etcdserver: invalid auth token") == errc::unauthenticated);
    CHECK(detail::judge_cancel("rpc error: code = InvalidArgument desc = etcdserver: user name is empty") == errc::unauthenticated);
    CHECK(detail::judge_cancel("rpc error: code = PermissionDenied desc = etcdserver: permission denied") == errc::permission_denied);
    CHECK(detail::judge_cancel("mvcc: watcher range is empty") == errc::refused);
    CHECK(detail::judge_cancel("") == errc::refused);
}
