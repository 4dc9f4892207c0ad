#include <etcdcoll/detail/recipes/leader_view.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace etcdcoll;
using detail::leader_view;
using etcd::event;
using etcd::key_value;
using etcd::revision;

namespace {

key_value candidate(std::string key, std::string value, std::int64_t created, std::int64_t changed) {
    key_value kv;
    kv.key = std::move(key);
    kv.value = std::move(value);
    kv.create_revision = revision{created};
    kv.mod_revision = revision{changed};
    return kv;
}

event put(std::string key, std::string value, std::int64_t created, std::int64_t changed) {
    event e;
    e.kv = candidate(std::move(key), std::move(value), created, changed);
    return e;
}

event erase(std::string key, std::int64_t changed) {
    event e;
    e.type = event::kind::erase;
    e.kv.key = std::move(key);
    e.kv.mod_revision = revision{changed};
    return e;
}

std::string news(leader_view& view) {
    std::string text;
    while (auto told = view.next()) text += (text.empty() ? "" : " ") + told->value;
    return text;
}

} // namespace

TEST_CASE("leader_view: the oldest candidate leads, and only what it proclaims is news") {
    leader_view view;
    view.list({candidate("b", "b1", 5, 5), candidate("a", "a1", 7, 7)});
    CHECK(news(view) == "b1");
    view.apply({put("a", "a2", 7, 8), put("b", "b2", 5, 9), put("c", "c1", 10, 10)});
    CHECK(news(view) == "b2");
    view.apply({erase("b", 11)});
    CHECK(news(view) == "a2");
    view.apply({put("a", "a3", 7, 12), put("a", "a4", 7, 13)});
    CHECK(news(view) == "a3 a4");
}

TEST_CASE("leader_view: who leaves in the same revision as the leader has never led") {
    leader_view view;
    view.list({candidate("a", "a1", 1, 1), candidate("b", "b1", 2, 2), candidate("c", "c1", 3, 3)});
    view.apply({erase("a", 4), erase("b", 4)});
    CHECK(news(view) == "a1 c1");
    view.apply({erase("c", 5), put("d", "d1", 5, 5)});
    CHECK(news(view) == "d1");
}

TEST_CASE("leader_view: an empty election is no news, and a second listing repeats none") {
    leader_view view;
    view.list({});
    CHECK(news(view).empty());
    view.apply({put("a", "a1", 3, 3), erase("a", 4)});
    CHECK(news(view) == "a1");
    view.list({candidate("b", "b1", 6, 6)});
    CHECK(news(view) == "b1");
    view.list({candidate("b", "b1", 6, 6)});
    CHECK(news(view).empty());
    view.list({candidate("b", "b2", 6, 9)});
    CHECK(news(view) == "b2");
}
