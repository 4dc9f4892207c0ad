#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/detail/lease_clock.hpp>

using etcdcoll::detail::lease_clock;
using namespace std::chrono_literals;

namespace {
const lease_clock::time_point start{1000s};
}

TEST_CASE("lease_clock: counts from the moment that a renewal was sent") {
    lease_clock clock(start, 9s);
    CHECK(clock.renew_at() == start + 3s);
    CHECK(clock.expires_at() == start + 9s);
    clock.renewed(start + 3s, 6s);
    CHECK(clock.renewed_at() == start + 3s);
    CHECK(clock.renew_at() == start + 5s);
    CHECK(clock.expires_at() == start + 9s);
}

TEST_CASE("lease_clock: a failed renewal puts off the next one, never the end") {
    lease_clock clock(start, 9s);
    clock.postponed(start + 4s);
    CHECK(clock.renew_at() == start + 4s);
    CHECK(clock.expires_at() == start + 9s);
    CHECK(clock.renewed_at() == start);
    clock.renewed(start + 4s, 9s);
    CHECK(clock.renew_at() == start + 7s);
}
