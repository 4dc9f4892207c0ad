#include <etcdcoll/detail/watch_cursor.hpp>

#include <catch2/catch_test_macros.hpp>

#include <initializer_list>

using namespace etcdcoll;
using detail::watch_cursor;

namespace {

std::vector<etcd::event> at(std::initializer_list<std::int64_t> revisions) {
    std::vector<etcd::event> events;
    for (const auto number : revisions) {
        events.emplace_back();
        events.back().kv.mod_revision.value = number;
    }
    return events;
}

} // namespace

TEST_CASE("watch_cursor: goes on behind the last revision that was delivered") {
    watch_cursor cursor(etcd::revision{5});
    CHECK(cursor.resume().value == 5);
    auto events = at({5, 7, 7, 9});
    CHECK(cursor.accept(events) == 0);
    CHECK(events.size() == 4);
    CHECK(cursor.resume().value == 10);
}

TEST_CASE("watch_cursor: a watch from now on goes on from where it was created") {
    watch_cursor cursor(etcd::revision{});
    CHECK(cursor.resume().value == 0);
    cursor.created(etcd::revision{41});
    CHECK(cursor.resume().value == 42);
    cursor.created(etcd::revision{50});
    CHECK(cursor.resume().value == 42);
}

TEST_CASE("watch_cursor: a start in the future is kept") {
    watch_cursor cursor(etcd::revision{100});
    cursor.created(etcd::revision{41});
    CHECK(cursor.resume().value == 100);
}

TEST_CASE("watch_cursor: drops what was delivered before, and keeps the rest in order") {
    watch_cursor cursor(etcd::revision{1});
    auto first = at({3, 4});
    CHECK(cursor.accept(first) == 0);
    auto again = at({3, 4, 5, 5, 6});
    CHECK(cursor.accept(again) == 2);
    REQUIRE(again.size() == 3);
    CHECK(again[0].kv.mod_revision.value == 5);
    CHECK(again[2].kv.mod_revision.value == 6);
    auto old = at({2, 6});
    CHECK(cursor.accept(old) == 2);
    CHECK(old.empty());
    CHECK(cursor.resume().value == 7);
}

TEST_CASE("watch_cursor: all events of one revision belong together") {
    watch_cursor cursor(etcd::revision{});
    cursor.created(etcd::revision{1});
    auto events = at({2, 2, 2});
    CHECK(cursor.accept(events) == 0);
    CHECK(events.size() == 3);
}
