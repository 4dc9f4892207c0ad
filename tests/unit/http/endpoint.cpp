#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/error.hpp>
#include <etcdcoll/http/endpoint.hpp>

#include <string>

using namespace etcdcoll;

namespace {

std::string refusal(std::string_view text) {
    try {
        return "taken as " + http::parse_endpoint(text).url();
    } catch (const error& failure) {
        CHECK(failure.reason() == errc::invalid_argument);
        return failure.what();
    }
}

} // namespace

TEST_CASE("endpoint: reads [scheme://]host[:port][/]") {
    const struct {
        const char* text;
        const char* url;
    } table[] = {
        {"localhost", "http://localhost:2379"},
        {"http://10.0.0.1:1", "http://10.0.0.1:1"},
        {"https://etcd-0.etcd.svc_1.local:65535/", "https://etcd-0.etcd.svc_1.local:65535"},
        {"[::1]", "http://[::1]:2379"},
        {"[fe80::1%eth0]:80", "http://[fe80::1%eth0]:80"},
        {"http://h/", "http://h:2379"},
    };
    for (const auto& [text, url] : table) {
        INFO(text);
        CHECK(http::parse_endpoint(text).url() == url);
        CHECK(http::parse_endpoint(http::parse_endpoint(text).url()) == http::parse_endpoint(text));
    }
    CHECK(http::parse_endpoint("[::1]:5").host == "::1");
    CHECK(http::parse_endpoint("https://h").tls);
    CHECK(!http::parse_endpoint("h").tls);
}

TEST_CASE("endpoint: refuses what is none, quoting it") {
    const char* const bad[] = {"",         "http://",  ":2379",     "h:",          "h:0",         "h:65536",  "h:+1",      "h:-1",          "h:1x",       "h: 1",
                               "h:1:2",    "::1",      "[::1",      "[]",          "[::1]1",      "[::1]:",   "ftp://h",   "HTTP://h",      "h/path",     "h:1/path",
                               "h:1?x",    "a b",              "a,b",      "http:///",  "http://http://h", "unix:///x", "h:99999999999999999999"};
    for (const auto* text : bad) {
        INFO(text);
        CHECK(refusal(text).find("endpoint \"" + std::string(text) + "\"") != std::string::npos);
    }
    CHECK(refusal("h\r\nX: y").find("endpoint \"h??X: y\": \"?\" cannot stand in a host name") == 0);
    CHECK(refusal(std::string_view("a\0b", 3)).find("endpoint \"a?b\": \"?\" cannot stand in a host name") == 0);
}

TEST_CASE("endpoint: never quotes what may be a password") {
    for (const auto* text : {"http://user:hunter2@h:1", "ftp://user:hunter2@h", "user:hunter2@h", "[user:hunter2@h"}) {
        INFO(text);
        CHECK(refusal(text) == "an endpoint holds no user and password: give them as options");
    }
}

TEST_CASE("endpoints: a list may have blanks, repetitions and empty entries") {
    const auto list = http::parse_endpoints(" http://a:1 ,b:2,, http://a:1/\t,[::1]:3,");
    REQUIRE(list.size() == 3);
    CHECK(list[0].url() == "http://a:1");
    CHECK(list[1].url() == "http://b:2");
    CHECK(list[2].url() == "http://[::1]:3");
    CHECK_THROWS_AS(http::parse_endpoints(""), error);
    CHECK_THROWS_AS(http::parse_endpoints(" , "), error);
    CHECK_THROWS_AS(http::parse_endpoints("a,b:x"), error);
}
