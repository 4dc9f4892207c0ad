#include "sweep_run.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <utility>

namespace etcdcoll::sim {

namespace {

using asio::cancellation_type;

constexpr sweep_pass passes[] = {
    {.name = "terminal"},
    {.name = "terminal, twice", .twice = true},
    {.name = "terminal, from the client's strand", .on_strand = true, .twice = true},
    {.name = "partial", .type = cancellation_type::partial},
    {.name = "total", .type = cancellation_type::total},
    {.name = "total, let through", .type = cancellation_type::total, .let_through = true},
    {.name = "destroyed", .kills = true},
    {.name = "destroyed, a reply lost", .kills = true, .loses_reply = true},
    {.name = "terminal, a reply lost", .loses_reply = true},
};

constexpr std::uint64_t most_handlers = 5000;
constexpr std::uint64_t last_handlers = 10; // when the result is there, and on its way to the caller

// A run is the same each time, so the one that broke a promise is made again to be read.
std::string report_of(const sweep_row& what, const sweep_pass& how, std::uint64_t stop_after, std::uint64_t seed) {
    constexpr std::size_t most = 100;
    std::deque<std::string> lines;
    sweep_run again(what, how, stop_after, seed, [&lines](const std::string& line) {
        lines.push_back(line);
        if (lines.size() > most) lines.pop_front();
    });
    again.go();
    auto text = what.name + ", stopped after " + std::to_string(stop_after) + " handlers (" + how.name + "), seed " + std::to_string(seed);
    for (const auto& each : again.complaints()) text += "\n  " + each;
    text += "\nthe end of the trace:";
    for (const auto& each : lines) text += "\n" + each;
    return text;
}

std::optional<std::string> find_broken_promise(const sweep_row& what, const sweep_pass& how, std::uint64_t seed) {
    const bool cancels = how.type == cancellation_type::terminal && !how.kills;
    std::uint64_t cancelled = 0;
    // Not before the first: what co_spawn() of Boost 1.81 has not begun when it is cancelled throws out of the run() of its context.
    for (std::uint64_t stop_after = 1; stop_after < most_handlers; ++stop_after) {
        sweep_run run(what, how, stop_after, seed, nullptr);
        run.go();
        if (!run.complaints().empty()) return report_of(what, how, stop_after, seed);
        if (run.ended() == ending::cancelled) ++cancelled;
        if (run.stopped()) continue;
        if (cancels && cancelled + last_handlers < stop_after) return what.name + ": it hears a cancellation only now and then (" + how.name + ")";
        return std::nullopt;
    }
    return what.name + ": it has no end";
}

std::pair<std::uint64_t, std::uint64_t> seeds() {
    unsigned long long first = 1;
    unsigned long long last = 5;
    if (const char* text = std::getenv("ETCDCOLL_SWEEP_SEEDS")) {
        if (std::sscanf(text, "%llu..%llu", &first, &last) != 2) throw std::invalid_argument("ETCDCOLL_SWEEP_SEEDS: expected first..last");
    }
    return {first, last};
}

} // namespace

std::optional<std::string> find_broken_promise(const sweep_row& what, std::uint64_t seed) {
    for (const auto& how : passes) {
        auto broken = find_broken_promise(what, how, seed);
        if (broken) return broken;
    }
    return std::nullopt;
}

void sweep(const sweep_row& what) {
    const auto [first, last] = seeds();
    for (auto seed = first; seed <= last; ++seed) {
        const auto broken = find_broken_promise(what, seed);
        if (broken) FAIL(*broken);
    }
    SUCCEED();
}

} // namespace etcdcoll::sim
