// The comparison itself: it finds a store that is wrong, and says so in few lines.

#include "comparison.hpp"
#include "generator.hpp"
#include "server_stage.hpp"

#include <support/run.hpp>

#include <boost/asio/this_coro.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <functional>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

using distortion = std::function<void(const operation&, outcome&)>;

/// A real etcd, and a store whose answers are changed.
class distorted_stage final : public stage {
public:
    distorted_stage(asio::any_io_executor executor, distortion how) : true_(std::move(executor)), how_(std::move(how)) {}
    asio::awaitable<std::shared_ptr<client_subject>> etcd(bool fresh) override { return true_.etcd(fresh); }
    std::unique_ptr<store_subject> store(std::int64_t revision) override {
        auto result = true_.store(revision);
        result->distort = how_;
        return result;
    }

private:
    server_stage true_;
    distortion how_;
};

asio::awaitable<void> report(distortion how, std::string* text) {
    const auto executor = co_await asio::this_coro::executor;
    distorted_stage on(executor, std::move(how));
    generator draw(1, server_stage::request_bytes, server_stage::txn_operations);
    for (int n = 0; n < 20 && text->empty(); ++n) {
        const auto sequence = draw.sequence(300);
        auto found = co_await compare(on, false, sequence);
        if (found) *text = co_await shortest_mismatch(on, sequence, *found);
    }
}

std::string report_of(distortion how) {
    std::string text;
    run(report(std::move(how), &text), std::chrono::minutes(2));
    return text;
}

std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

} // namespace

TEST_CASE("comparison: a wrong answer of the store is told as the operations that it takes, and no more") {
    // It forgets the lease of what was there before, which takes the lease, a put with it, and a put that asks.
    const auto text = report_of([](const operation& what, outcome& answer) {
        const auto begin = answer.text.find(" lease ");
        const bool has_it = answer.text.starts_with("@") && begin != std::string::npos;
        if (std::holds_alternative<etcd::put_request>(what) && has_it) answer.text.erase(begin, answer.text.size() - 1 - begin);
    });
    INFO(text);
    CHECK(lines(text) == 7); // where, three operations, which of them, both answers
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("\n  1. grant lease="));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("\n  2. put "));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("\n  3. put "));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("\nanswer to 3:\n  etcd:  @"));
}

TEST_CASE("comparison: a store that knows no lease is found by one grant of it") {
    const auto text = report_of([](const operation& what, outcome& answer) {
        if (std::holds_alternative<lease_list>(what)) answer.text = answer.text.substr(0, answer.text.find(' '));
    });
    INFO(text);
    CHECK(lines(text) == 6);
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("  1. grant lease="));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring("  2. leases\n"));
}
