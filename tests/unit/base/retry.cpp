#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/detail/retry.hpp>

#include <cstdint>

using namespace etcdcoll::detail;
using namespace std::chrono_literals;

namespace {

const retry::time_point start{1000s};

const retry_policy policy{.attempt_limit = 1500ms, .renewed_limit = 500ms, .first_backoff = 20ms, .last_backoff = 500ms};

retry repeatable(std::size_t endpoints = 1) { return {policy, repeatability::repeatable, endpoints, start + 10s}; }
retry guarded(std::size_t endpoints = 1) { return {policy, repeatability::guarded, endpoints, start + 10s}; }
retry once(std::size_t endpoints = 1) { return {policy, repeatability::once, endpoints, start + 10s}; }

} // namespace

TEST_CASE("retry: a whole reply and a final answer end the call") {
    for (const auto outcome : {attempt_outcome::done, attempt_outcome::final}) {
        auto read = repeatable();
        CHECK(read.after(outcome, start, 0).what == retry::action::stop);
        auto write = once();
        CHECK(write.after(outcome, start, 0).what == retry::action::stop);
        CHECK(write.attempts() == 1);
    }
}

TEST_CASE("retry: what must not be executed twice is never repeated once it may have been sent") {
    auto write = once(3);
    CHECK(write.after(attempt_outcome::not_sent, start, 0).what == retry::action::again);
    CHECK(write.after(attempt_outcome::rejected, start, 0).what == retry::action::again);
    CHECK(write.after(attempt_outcome::unknown, start, 0).what == retry::action::stop_unknown);
    CHECK(write.attempts() == 3);
}

TEST_CASE("retry: an unknown fate outranks the deadline") {
    auto write = once();
    CHECK(write.after(attempt_outcome::unknown, start + 20s, 0).what == retry::action::stop_unknown);
}

TEST_CASE("retry: what executes once however often it is sent is repeated, but its fate stays unknown until a whole reply") {
    auto refused = guarded();
    CHECK(refused.after(attempt_outcome::unknown, start, 0).what == retry::action::again);
    CHECK(refused.after(attempt_outcome::final, start, 0).what == retry::action::stop_unknown);
    auto rejected = guarded();
    CHECK(rejected.after(attempt_outcome::unknown, start, 0).what == retry::action::again);
    CHECK(rejected.after(attempt_outcome::rejected, start, 0).what == retry::action::again);
    CHECK(rejected.after(attempt_outcome::not_sent, start + 20s, 0).what == retry::action::stop_unknown);
    auto late = guarded();
    CHECK(late.after(attempt_outcome::unknown, start + 20s, 0).what == retry::action::stop_unknown);
    auto done = guarded();
    CHECK(done.after(attempt_outcome::unknown, start, 0).what == retry::action::again);
    CHECK(done.after(attempt_outcome::done, start, 0).what == retry::action::stop);
}

TEST_CASE("retry: a fate is unknown only of what was sent, and only where it matters") {
    auto write = guarded();
    CHECK(write.after(attempt_outcome::not_sent, start, 0).what == retry::action::again);
    CHECK(write.after(attempt_outcome::final, start, 0).what == retry::action::stop);
    auto never_sent = guarded();
    CHECK(never_sent.after(attempt_outcome::not_sent, start + 20s, 0).what == retry::action::stop_late);
    auto read = repeatable();
    CHECK(read.after(attempt_outcome::unknown, start, 0).what == retry::action::again);
    CHECK(read.after(attempt_outcome::final, start, 0).what == retry::action::stop);
    auto slow = repeatable();
    CHECK(slow.after(attempt_outcome::unknown, start + 20s, 0).what == retry::action::stop_late);
}

TEST_CASE("retry: what may be repeated is repeated until the deadline, never beyond it") {
    auto read = repeatable();
    auto now = start;
    int attempts = 0;
    for (;;) {
        const auto next = read.after(attempt_outcome::unknown, now, 0);
        ++attempts;
        if (next.what != retry::action::again) {
            CHECK(next.what == retry::action::stop_late);
            break;
        }
        REQUIRE(next.when >= now);
        REQUIRE(next.when < start + 10s);
        now = next.when;
        REQUIRE(attempts < 1000);
    }
    CHECK(attempts > 10);
    CHECK(read.attempts() == attempts);
}

TEST_CASE("retry: each endpoint is tried once without a pause, then the pause doubles up to its bound, with jitter over its upper half") {
    for (const std::uint64_t random : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{12345678901234567}}) {
        auto read = repeatable(3);
        CHECK(read.after(attempt_outcome::not_sent, start, random).when == start);
        CHECK(read.after(attempt_outcome::not_sent, start, random).when == start);
        for (const auto full : {20ms, 40ms, 80ms, 160ms, 320ms, 500ms, 500ms}) {
            const auto pause = read.after(attempt_outcome::not_sent, start, random).when - start;
            CHECK(pause >= full / 2);
            CHECK(pause <= full);
        }
    }
    auto read = repeatable();
    for (int i = 0; i < 100; ++i) CHECK(read.after(attempt_outcome::unknown, start, UINT64_MAX).when - start <= 500ms);
}

TEST_CASE("retry: an attempt of a repeatable call is limited, a write gets all the time there is") {
    CHECK(repeatable().attempt_deadline(start) == start + 1500ms);
    CHECK(repeatable().attempt_deadline(start + 9s) == start + 10s);
    CHECK(guarded().attempt_deadline(start) == start + 1500ms);
    CHECK(once().attempt_deadline(start) == start + 10s);
}

TEST_CASE("retry: after an attempt without an answer a guarded write has shorter ones, one for each endpoint") {
    auto write = guarded(3);
    CHECK(write.attempt_deadline(start) == start + 1500ms);
    write.after(attempt_outcome::unknown, start + 10ms, 0); // answered, or cut: that is no reason to hurry
    CHECK(write.attempt_deadline(start) == start + 1500ms);
    write.after(attempt_outcome::unknown, start + 1500ms, 0);
    for (auto now = start + 1500ms; now < start + 3s; now += 500ms) {
        CHECK(write.attempt_deadline(now) == now + 500ms);
        write.after(attempt_outcome::not_sent, now, 0); // one that refuses does not count
        CHECK(write.attempt_deadline(now) == now + 500ms);
        write.after(attempt_outcome::unknown, now + 500ms, 0);
    }
    CHECK(write.attempt_deadline(start + 3s) == start + 4500ms); // they are slow, not lost
    CHECK(write.attempt_deadline(start + 9s) == start + 10s);

    auto read = repeatable(3);
    CHECK(read.attempt_deadline(start) == start + 1500ms);
    read.after(attempt_outcome::unknown, start + 1500ms, 0);
    CHECK(read.attempt_deadline(start + 2s) == start + 3500ms);
}
