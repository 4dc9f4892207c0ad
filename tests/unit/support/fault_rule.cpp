#include <support/fault_rule.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>
#include <vector>

using etcdcoll::test::close_how;
using etcdcoll::test::fault_rule;
using etcdcoll::test::rule_book;

namespace {

// One character a request: x if a fault applies to it.
std::string pattern(rule_book& rules, int requests, std::string_view path = "/v3/kv/txn", std::string_view bytes = "") {
    std::string result;
    std::vector<rule_book::rule_id> applied;
    for (int i = 0; i < requests; ++i) result += rules.plan(path, bytes, applied).faulty ? 'x' : '.';
    return result;
}

} // namespace

TEST_CASE("fault_rule: applies once, at the first match") {
    rule_book rules;
    rules.add(fault_rule{"/v3/kv/txn"}.drop_reply());
    CHECK(pattern(rules, 2, "/v3/kv/range") == "..");
    CHECK(pattern(rules, 3) == "x..");
}

TEST_CASE("fault_rule: skips and repeats as it says, counting its matches alone") {
    rule_book rules;
    rules.add(fault_rule{"/txn"}.skip(2).times(2).drop_reply());
    CHECK(pattern(rules, 1) == ".");
    CHECK(pattern(rules, 5, "/v3/kv/put") == ".....");
    CHECK(pattern(rules, 5) == ".xx..");
    const auto id = rules.add(fault_rule{}.skip(1).times(fault_rule::always).drop_reply());
    CHECK(pattern(rules, 4, "/any") == ".xxx");
    rules.remove(id);
    CHECK(pattern(rules, 2, "/any") == "..");
}

TEST_CASE("fault_rule: a predicate decides which request is a match, and has the body waited for") {
    rule_book rules;
    CHECK_FALSE(rules.wants_body("/v3/kv/txn"));
    rules.add(fault_rule{"/txn"}.when([](std::string_view bytes) { return bytes == "b"; }).skip(1).drop_reply());
    CHECK(rules.wants_body("/v3/kv/txn"));
    CHECK_FALSE(rules.wants_body("/v3/kv/put"));
    CHECK(pattern(rules, 3, "/v3/kv/txn", "a") == "...");
    CHECK(pattern(rules, 3, "/v3/kv/txn", "b") == ".x.");
}

TEST_CASE("fault_rule: the faults of several rules are combined, the later wins") {
    rule_book rules;
    const auto first = rules.add(fault_rule{}.times(2).split_request(3).cut_response_after(5, close_how::rst));
    const auto second = rules.add(fault_rule{}.stall_request(4).cut_response_after(7, close_how::fin));
    std::vector<rule_book::rule_id> applied;
    const auto both = rules.plan("/", "", applied);
    CHECK(applied == std::vector{first, second});
    CHECK(both.request.split == 3);
    CHECK(both.request.stall_after == 4u);
    CHECK(both.response.cut_after == 7u);
    CHECK(both.response.how == close_how::fin);
    CHECK_FALSE(both.request.cut_after);
    const auto one = rules.plan("/", "", applied);
    CHECK(one.response.cut_after == 5u);
    CHECK(one.response.how == close_how::rst);
}

TEST_CASE("fault_rule: random loss depends on the seed and the number of requests under its path alone") {
    const auto lost = [](std::uint64_t seed, bool disturbed) {
        rule_book rules;
        rules.lose_replies(0.25, seed, "/txn", close_how::fin);
        std::string result;
        for (int i = 0; i < 200; ++i) {
            if (disturbed) CHECK(pattern(rules, 1, "/v3/kv/range") == ".");
            result += pattern(rules, 1);
        }
        return result;
    };
    CHECK(lost(7, false) == lost(7, true));
    CHECK(lost(7, false) != lost(8, false));
    CHECK(lost(7, false).substr(0, 40) == "..x.xx................xxxx.....x......x.");
}

TEST_CASE("fault_rule: a probability of 0 loses none and of 1 all") {
    rule_book rules;
    rules.lose_replies(1, 1, "", close_how::rst);
    CHECK(pattern(rules, 5) == "xxxxx");
    rules.lose_replies(0, 1, "", close_how::rst);
    CHECK(pattern(rules, 5) == ".....");
}
