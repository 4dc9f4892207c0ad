#include <etcdcoll/detail/group_records.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace etcdcoll::detail;

TEST_CASE("group_records: the texts are those of the protocol") {
    CHECK(encode(root_record{1, 3, "9f86d081884c7d65", 4}) == R"({"protocol":1,"epoch":3,"id":"9f86d081884c7d65","size":4})");
    CHECK(encode(member_record{"gpu-3", 4121, 1767225600, false}) == R"({"host":"gpu-3","pid":4121,"since":1767225600})");
    CHECK(encode(member_record{"h", 1, 2, true}) == R"({"host":"h","pid":1,"since":2,"left":true})");
    CHECK(encode(arrival_record{17, "barrier", "app.cpp:41"}) == R"({"seq":17,"op":"barrier","at":"app.cpp:41"})");
    CHECK(encode(end_record{end_record::kind::timeout, 1, {17, "barrier", "a.cpp:4"}, "late", {2, 3}}) ==
          R"({"kind":"timeout","rank":1,"seq":17,"op":"barrier","at":"a.cpp:4","text":"late","ranks":[2,3]})");
    CHECK(encode_release_head(17, false, {}) == "17\n");
    CHECK(encode_release_head(18, false, {3, 0, 12}) == "18 3 0 12\n");
    CHECK(encode_release_head(19, true, {5, 6}) == "19 listed 5 6\n");
}

TEST_CASE("group_records: what was written is read back") {
    const auto end = decode_end("k", encode(end_record{end_record::kind::mismatch, 2, {5, "allgather", "x.cpp:1"}, "t", {}}));
    CHECK(end.why == end_record::kind::mismatch);
    CHECK(end.rank == 2);
    CHECK(end.what.sequence == 5);
    CHECK(end.what.op == "allgather");
    const auto release = decode_release("k", encode_release_head(18, false, {3, 0, 2}) + std::string("abc\n\0", 5));
    CHECK(release.sequence == 18);
    CHECK(release.lengths == std::vector<std::size_t>{3, 0, 2});
    CHECK(release.blocks == std::string("abc\n\0", 5));
    CHECK(decode_release("k", "19 listed 5 6\n").listed);
}

TEST_CASE("group_records: bytes that are not ASCII do not break the JSON") {
    const auto member = decode_member("k", encode(member_record{"h\xff\"\n", 1, 2, false}));
    CHECK(member.host == "h?\"\n");
}

TEST_CASE("group_records: later members of an object are passed over") {
    CHECK(decode_root("k", R"({"protocol":1,"epoch":3,"id":"a","size":4,"colour":"red"})").size == 4);
}

TEST_CASE("group_records: what no member writes is refused, and the key is named") {
    for (const char* value : {"", "{}", "[]", "17", R"({"protocol":"1","epoch":3,"id":"a","size":4})", R"({"protocol":1,"epoch":3,"id":"","size":4})",
                              R"({"protocol":1,"epoch":3,"id":"a/b","size":4})", R"({"protocol":1,"epoch":3,"id":"a","size":0})"}) {
        try {
            decode_root("groups/g/root", value);
            FAIL("accepted " << value);
        } catch (const etcdcoll::error& failure) {
            CHECK(failure.reason() == etcdcoll::errc::corrupt);
            CHECK(std::string(failure.what()).find("groups/g/root") != std::string::npos);
        }
    }
    for (const char* value : {"", "17", "x\n", "17 3\nab", "17 3\nabcd", "17 -1\n", "17 99999999999\n", "-1\n", "17 listed 3\nabc"})
        CHECK_THROWS_AS(decode_release("k", value), etcdcoll::error);
}
