#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/detail/endpoint_ring.hpp>

#include <cstdint>

using etcdcoll::detail::endpoint_ring;
using namespace std::chrono_literals;

namespace {
const endpoint_ring::time_point start{1000s};
}

TEST_CASE("endpoint_ring: starts where it is told, modulo the number of endpoints") {
    CHECK(endpoint_ring(3, 0).pick() == 0);
    CHECK(endpoint_ring(3, 4).pick() == 1);
    CHECK(endpoint_ring(1, UINT64_MAX).pick() == 0);
}

TEST_CASE("endpoint_ring: sticks to the endpoint that works") {
    endpoint_ring ring(3, 1);
    for (int i = 0; i < 5; ++i) {
        CHECK(ring.pick() == 1);
        ring.succeeded(1);
    }
}

TEST_CASE("endpoint_ring: goes on to the next one that never failed, and stays there") {
    endpoint_ring ring(3, 1);
    ring.failed(ring.pick(), start);
    CHECK(ring.pick() == 2);
    CHECK(ring.pick() == 2);
    ring.failed(2, start + 1s);
    CHECK(ring.pick() == 0);
}

TEST_CASE("endpoint_ring: when all have failed, the one whose failure is oldest is next") {
    endpoint_ring ring(3, 0);
    ring.failed(0, start + 2s);
    ring.failed(1, start + 1s);
    ring.failed(2, start + 3s);
    CHECK(ring.pick() == 1);
    ring.failed(1, start + 4s);
    CHECK(ring.pick() == 0);
    ring.failed(0, start + 5s);
    CHECK(ring.pick() == 2);
}

TEST_CASE("endpoint_ring: an endpoint that works again is preferred to those that failed") {
    endpoint_ring ring(2, 0);
    ring.failed(0, start);
    ring.failed(1, start + 1s);
    CHECK(ring.pick() == 0);
    ring.succeeded(0);
    CHECK(ring.pick() == 0);
    ring.failed(0, start + 2s);
    CHECK(ring.pick() == 1);
}
