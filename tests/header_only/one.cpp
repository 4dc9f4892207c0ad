// With two.cpp: two units that include everything link into one program, and share one copy of what is inline.
#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/etcdcoll.hpp>
#include <etcdcoll/json.hpp>

using host_name_function = decltype(&etcdcoll::host_name);
host_name_function host_name_of_the_other_unit();

TEST_CASE("library: two units share one library") {
    CHECK(host_name_of_the_other_unit() == &etcdcoll::host_name);
}
