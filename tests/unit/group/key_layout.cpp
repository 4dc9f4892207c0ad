#include <etcdcoll/detail/key_layout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <set>

using etcdcoll::detail::encode_segment;
using etcdcoll::detail::key_layout;

TEST_CASE("key_layout: plain names stand as they are") {
    CHECK(encode_segment("train") == "train");
    CHECK(encode_segment("Run_7-a.b") == "Run_7-a.b");
}

TEST_CASE("key_layout: what could lead to another path is encoded") {
    CHECK(encode_segment("a/b") == "a%2Fb");
    CHECK(encode_segment("..") == "%2E.");
    CHECK(encode_segment(".") == "%2E");
    CHECK(encode_segment("%2F") == "%252F");
    CHECK(encode_segment(std::string_view("\0\xff", 2)) == "%00%FF");
    CHECK(encode_segment("\xc3\xa9") == "%C3%A9");
    CHECK(encode_segment("e\xcc\x81") != encode_segment("\xc3\xa9")); // the same letter in two normal forms is two names
}

TEST_CASE("key_layout: no group's keys begin with another's") {
    std::mt19937 random(7);
    const std::string_view alphabet("/.%g1\0\xff-", 8);
    std::set<std::string> names;
    while (names.size() < 400) {
        std::string name;
        for (auto length = 1 + random() % 4; length != 0; --length) name += alphabet[random() % alphabet.size()];
        names.insert(name);
    }
    std::set<std::string> bases;
    for (const auto& name : names) bases.insert(key_layout("ns", name).base());
    REQUIRE(bases.size() == names.size());
    const std::string* before = nullptr;
    for (const auto& base : bases) { // sorted: a prefix stands right before what it begins
        if (before != nullptr) CHECK_FALSE(base.starts_with(*before));
        before = &base;
    }
}

TEST_CASE("key_layout: two sets of blocks take turns") {
    key_layout keys("ns", "g");
    keys.use_epoch("id");
    CHECK(keys.block(1, 3) == "ns/g/id/block/1/3");
    CHECK(keys.block(2, 3) == "ns/g/id/block/0/3");
    CHECK(keys.blocks(3) == keys.blocks(1));
}

TEST_CASE("key_layout: a rank is read back from its key, and only from its key") {
    CHECK(key_layout::rank_behind("m/", "m/12") == 12);
    CHECK(key_layout::rank_behind("m/", "m/0") == 0);
    for (const char* key : {"m/", "m/01", "m/-1", "m/1x", "m/12345678", "n/1", "m/1/2"}) CHECK_FALSE(key_layout::rank_behind("m/", key));
}
