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

TEST_CASE("watch_cursor: a quiet watch goes on behind what the server has said twice, a while apart") {
    using namespace std::chrono_literals;
    const std::chrono::steady_clock::time_point begin{100s};
    watch_cursor cursor(etcd::revision{5});
    cursor.progress(etcd::revision{20}, begin);
    CHECK(cursor.resume().value == 5);
    cursor.progress(etcd::revision{30}, begin + 999ms);
    CHECK(cursor.resume().value == 5);
    cursor.progress(etcd::revision{30}, begin + 1s);
    CHECK(cursor.resume().value == 21);
    cursor.stream_ended(); // what was said on it last was not said again
    cursor.progress(etcd::revision{40}, begin + 5s);
    CHECK(cursor.resume().value == 21);
    cursor.progress(etcd::revision{40}, begin + 7s);
    CHECK(cursor.resume().value == 41);
}

TEST_CASE("watch_cursor: a server that spoke too early is not believed, and its late events are not lost") {
    using namespace std::chrono_literals;
    const std::chrono::steady_clock::time_point begin{100s};
    watch_cursor cursor(etcd::revision{5});
    cursor.progress(etcd::revision{20}, begin);
    auto late = at({10});
    CHECK(cursor.accept(late) == 0);
    CHECK(late.size() == 1);
    cursor.progress(etcd::revision{20}, begin + 2s);
    CHECK(cursor.resume().value == 11);
    auto later = at({12});
    CHECK(cursor.accept(later) == 0);
    CHECK(cursor.resume().value == 13);
}

TEST_CASE("watch_cursor: what stands behind later events is dropped") {
    watch_cursor cursor(etcd::revision{5});
    auto events = at({7, 6, 7, 8});
    CHECK(cursor.accept(events) == 1);
    CHECK(events.size() == 3);
    CHECK(cursor.resume().value == 9);
}
