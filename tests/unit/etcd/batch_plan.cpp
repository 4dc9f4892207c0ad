#include <etcdcoll/detail/batch_plan.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace etcdcoll::detail;

namespace {

using waves = std::vector<batch_wave>;

} // namespace

TEST_CASE("batch_plan: fills transactions up to both limits") {
    const std::vector<batch_item> items{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 5}, {"e", 4}, {"f", 7}, {"g", 99}, {"h", 1}};
    CHECK(plan_batch(items, {.operations = 3, .bytes = 10}) == waves{{{0, 1, 2}, {3, 4}, {5}, {6}, {7}}});
    CHECK(plan_batch(items, {.operations = 100, .bytes = 1000}) == waves{{{0, 1, 2, 3, 4, 5, 6, 7}}});
    CHECK(plan_batch(items, {.operations = 1, .bytes = 1000}).front().size() == items.size());
    CHECK(plan_batch({}, {.operations = 1, .bytes = 1}).empty());
}

TEST_CASE("batch_plan: the n-th operation on a key is in the n-th wave") {
    const std::vector<batch_item> items{{"a", 1}, {"b", 1}, {"a", 1}, {"a", 1}, {"b", 1}, {"c", 1}};
    CHECK(plan_batch(items, {.operations = 2, .bytes = 10}) == waves{{{0, 1}, {5}}, {{2, 4}}, {{3}}});
}
