#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/detail/base64.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

using namespace etcdcoll::detail;

namespace {

std::string encoded(std::string_view raw) {
    std::string text;
    append_base64(text, raw);
    return text;
}

} // namespace

TEST_CASE("base64: gives the test vectors of RFC 4648 in both directions") {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},           {"f", "Zg=="},     {"fo", "Zm8="},        {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (const auto& [raw, text] : vectors) {
        CHECK(encoded(raw) == text);
        CHECK(decode_base64(text) == raw);
    }
}

TEST_CASE("base64: appends to what is there") {
    std::string text = "\"";
    append_base64(text, "foo");
    append_base64(text, "f");
    CHECK(text == "\"Zm9vZg==");
}

TEST_CASE("base64: every length up to 300 of every byte survives") {
    std::string raw;
    std::uint32_t state = 1;
    for (int size = 0; size <= 300; ++size) {
        CHECK(decode_base64(encoded(raw)) == raw);
        state = state * 1664525 + 1013904223;
        raw += static_cast<char>(state >> 24);
    }
}

TEST_CASE("base64: refuses what is not padded standard base64") {
    const char* const bad[] = {"Z",        "Zg",        "Zg=",   "Zg===",  "=",        "==",   "===",     "====", "Zm9v=",    "Z===", "Zg==Zg==", "=Zg=",
                               " Zg=", "Zg= ", "Zm9v\n\n\n\n", "Zm\n9", "_-_-", "Zm9\xff", "Zm9v====", "Zg=v"};
    for (const auto* text : bad) {
        INFO(text);
        CHECK(!decode_base64(text));
    }
    CHECK(!decode_base64(std::string_view("Zm9\0", 4)));
}

TEST_CASE("base64: takes spare bits that are not zero, as etcd does") { CHECK(decode_base64("Zh==") == "f"); }
