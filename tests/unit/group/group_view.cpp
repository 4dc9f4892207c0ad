#include <etcdcoll/detail/group_view.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace etcdcoll;
using detail::group_view;

namespace {

detail::key_layout keys() {
    detail::key_layout result("ns", "g");
    result.use_epoch("id");
    return result;
}

etcd::key_value kv(std::string key, std::string value, std::int64_t revision) {
    etcd::key_value result;
    result.key = std::move(key);
    result.value = std::move(value);
    result.create_revision.value = result.mod_revision.value = revision;
    return result;
}

etcd::key_value member(int rank, std::int64_t revision) {
    return kv(keys().member(rank), encode(detail::member_record{"h" + std::to_string(rank), rank, 0, false}), revision);
}

etcd::event put(etcd::key_value value) { return {etcd::event::kind::put, std::move(value), std::nullopt}; }
etcd::event erase(std::string key, std::int64_t revision) { return {etcd::event::kind::erase, kv(std::move(key), {}, revision), std::nullopt}; }

group_view formed(int size, int own = -1) {
    group_view view(keys(), size, own);
    for (int rank = 0; rank < size; ++rank) view.apply(put(member(rank, rank + 1)));
    return view;
}

} // namespace

TEST_CASE("group_view: is formed when the last rank has come, in whatever order") {
    const int size = GENERATE(1, 2, 3, 4, 7, 8, 16);
    group_view view(keys(), size);
    for (int rank = size - 1; rank > 0; --rank) {
        view.apply(put(member(rank, rank + 1)));
        CHECK_FALSE(view.formed());
    }
    CHECK(view.absent() == std::vector<int>{0});
    view.apply(put(member(0, 100)));
    CHECK(view.formed());
    CHECK_FALSE(view.broken());
}

TEST_CASE("group_view: a rank that goes breaks the epoch and is named with its revision") {
    auto view = formed(4);
    view.apply(erase(keys().member(2), 17));
    REQUIRE(view.broken());
    CHECK(view.losses().front().rank == 2);
    CHECK(view.losses().front().at.value == 17);
    CHECK(view.losses().front().record.host == "h2");
    CHECK(view.formed());
}

TEST_CASE("group_view: a rank that leaves in order says so before it goes") {
    auto view = formed(2);
    view.apply(put(kv(keys().member(1), encode(detail::member_record{"h1", 1, 0, true}), 9)));
    CHECK_FALSE(view.broken());
    view.apply(erase(keys().member(1), 10));
    CHECK(view.losses().front().record.left);
}

TEST_CASE("group_view: a release stays what it is when its writer has left") {
    auto view = formed(2);
    view.apply(put(kv(keys().release(), "3\n", 20)));
    view.apply(erase(keys().release(), 21));
    CHECK(view.is_released(3));
    CHECK_FALSE(view.is_released(4));
    CHECK(view.release()->at.value == 20);
}

TEST_CASE("group_view: an older release never replaces a newer one") {
    auto view = formed(2);
    view.apply(put(kv(keys().release(), "4\n", 22)));
    view.apply(put(kv(keys().release(), "3\n", 20)));
    CHECK(view.release()->record.sequence == 4);
}

TEST_CASE("group_view: the first end counts") {
    auto view = formed(2);
    view.apply(put(kv(keys().end(), encode(detail::end_record{detail::end_record::kind::abort, 1, {}, "first", {}}), 5)));
    view.apply(put(kv(keys().end(), encode(detail::end_record{detail::end_record::kind::abort, 0, {}, "second", {}}), 6)));
    CHECK(view.end()->record.text == "first");
    CHECK(view.end()->at.value == 5);
}

TEST_CASE("group_view: a listing after lost history tells who went meanwhile, and keeps the release") {
    auto view = formed(3);
    view.apply(put(kv(keys().release(), "7\n", 30)));
    view.list({member(0, 1), member(2, 3)});
    CHECK(view.losses().front().rank == 1);
    CHECK(view.is_released(7));
}

TEST_CASE("group_view: keys that are no member's, and ranks beyond the size, are passed over") {
    auto view = formed(2);
    view.apply(put(kv(keys().members() + "x", "nonsense", 9)));
    view.apply(put(member(5, 9)));
    view.apply(erase(keys().member(5), 10));
    CHECK_FALSE(view.broken());
}

TEST_CASE("group_view: own eviction names no other that went at the same revision, whatever their order, and keeps who was lost before") {
    const int own = GENERATE(0, 1, 3);
    auto view = formed(4, own);
    view.apply(erase(keys().member(2), 20));
    for (const int rank : {0, 1, 3}) view.apply(erase(keys().member(rank), 25)); // a new epoch
    CHECK(view.evicted());
    CHECK(view.broken());
    REQUIRE(view.losses().size() == 1);
    CHECK(view.losses().front().rank == 2);
    CHECK(view.losses().front().at.value == 20);
}

TEST_CASE("group_view: own eviction alone breaks the epoch, and who goes after it is not counted as lost") {
    auto view = formed(3, 1);
    view.apply(erase(keys().member(1), 20));
    CHECK(view.evicted());
    CHECK(view.broken());
    view.apply(erase(keys().member(2), 21));
    CHECK(view.losses().empty());
}

TEST_CASE("group_view: a listing without the own member says nothing about the others that are not in it") {
    auto view = formed(3, 1);
    view.list({});
    CHECK(view.evicted());
    CHECK(view.broken());
    CHECK(view.losses().empty());
}

TEST_CASE("group_view: is never formed once it is broken") {
    group_view lost(keys(), 2);
    lost.apply(put(member(1, 2)));
    lost.apply(erase(keys().member(1), 3));
    lost.apply(put(member(0, 4)));
    lost.apply(put(member(1, 5)));
    CHECK(lost.broken());
    CHECK_FALSE(lost.formed());

    group_view ended(keys(), 2);
    ended.apply(put(member(0, 2)));
    ended.apply(put(kv(keys().end(), encode(detail::end_record{detail::end_record::kind::abort, 0, {}, "over", {}}), 3)));
    ended.apply(put(member(1, 4)));
    CHECK_FALSE(ended.formed());

    group_view evicted(keys(), 2, 0);
    evicted.apply(put(member(0, 2)));
    evicted.apply(erase(keys().member(0), 3));
    evicted.apply(put(member(1, 4)));
    evicted.apply(put(member(0, 5)));
    CHECK_FALSE(evicted.formed());
}
