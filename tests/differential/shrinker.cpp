#include "shrinker.hpp"

#include "comparison.hpp"
#include "generator.hpp"

#include <support/run.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

template <class Fails> std::vector<int> shrunk(std::vector<int> begin, Fails fails, shrinker<int>::simplify simpler = {}) {
    shrinker<int> shrink(std::move(begin), std::move(simpler));
    for (auto next = shrink.next(); next; next = shrink.next()) shrink.tell(fails(*next));
    return shrink.shortest();
}

std::vector<int> numbers(int count) {
    std::vector<int> result;
    for (int i = 0; i < count; ++i) result.push_back(i);
    return result;
}

bool has(const std::vector<int>& list, int wanted) { return std::find(list.begin(), list.end(), wanted) != list.end(); }

} // namespace

TEST_CASE("shrinker: leaves what the failure needs, in its order, and nothing else") {
    CHECK(shrunk(numbers(1000), [](const auto& list) { return has(list, 3) && has(list, 500) && has(list, 999); }) == std::vector{3, 500, 999});
    CHECK(shrunk(numbers(1), [](const auto& list) { return has(list, 0); }) == std::vector{0});
    CHECK(shrunk(numbers(7), [](const auto&) { return true; }).empty());
    CHECK(shrunk({}, [](const auto&) { return true; }).empty());
}

TEST_CASE("shrinker: finds that elements are needless once others are gone") {
    // 9 needs 8, 8 needs 7, and so on; 0 alone fails.
    const auto fails = [](const std::vector<int>& list) {
        for (std::size_t i = 0; i < list.size(); ++i)
            if (list[i] != static_cast<int>(i)) return false;
        return !list.empty();
    };
    CHECK(shrunk(numbers(10), fails) == std::vector{0});
}

TEST_CASE("shrinker: makes what is left simpler, and leaves out what that makes needless") {
    const auto less = [](int n) { return n > 0 ? std::vector{n - 1} : std::vector<int>(); };
    // One number is enough only when it is 3.
    const auto fails = [](const std::vector<int>& list) { return !list.empty() && list[0] >= 3 && (list[0] == 3 || list.size() > 1); };
    CHECK(shrunk({5, 7, 8}, fails) == std::vector{5, 7});
    CHECK(shrunk({5, 7, 8}, fails, less) == std::vector{3});
}

TEST_CASE("shrinker: tries few sequences in proportion to what it leaves out") {
    int tries = 0;
    const auto fails = [&tries](const std::vector<int>& list) {
        ++tries;
        return has(list, 700);
    };
    CHECK(shrunk(numbers(1024), fails) == std::vector{700});
    CHECK(tries < 40);
}
