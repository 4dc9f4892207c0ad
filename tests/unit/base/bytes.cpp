#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/bytes.hpp>

#include <string>

using namespace etcdcoll;

TEST_CASE("bytes: every byte survives the way to a string and back") {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    const auto block = to_bytes(all);
    REQUIRE(block.size() == 256);
    CHECK(block[255] == std::byte{255});
    CHECK(as_string_view(block) == all);
    CHECK(as_bytes(all).size() == 256);
    CHECK(to_bytes("").empty());
    CHECK(as_string_view(bytes()).empty());
}
