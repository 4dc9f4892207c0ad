// etcdcoll-sim: runs scenarios under seeds, and says which of them broke a promise, and how to see it again.
#include "scenario.hpp"

#if defined(ETCDCOLL_MUTANTS)
#include "mutants.hpp"
#endif

#include <CLI/CLI.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

namespace {

using namespace etcdcoll;

struct seed_range {
    std::uint64_t first = 1;
    std::uint64_t last = 100;
};

struct settings {
    std::string seeds = "1..100";
    std::vector<std::string> names;
    std::string from_commit;
    std::string mutant = "none";
    double seconds = 0;
    int repeat = 1;
    unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
    std::size_t processes = 0;
    bool no_faults = false;
    bool trace = false;
    bool list = false;
    bool keep_going = false;
    bool expect_failure = false;
};

std::uint64_t number_of(const std::string& text) {
    std::size_t used = 0;
    const auto number = std::stoull(text, &used);
    if (used != text.size()) throw CLI::ValidationError("--seeds", "expected A..B, not " + text);
    return number;
}

seed_range range_of(const std::string& text) {
    const auto dots = text.find("..");
    if (dots == std::string::npos) return {number_of(text), number_of(text)};
    const seed_range seeds{number_of(text.substr(0, dots)), number_of(text.substr(dots + 2))};
    if (seeds.last < seeds.first) throw CLI::ValidationError("--seeds", text + " has no seed in it");
    return seeds;
}

// One run of one scenario.
struct job {
    const sim::scenario* what;
    std::uint64_t seed;
};

class campaign {
public:
    campaign(const settings& with, std::vector<const sim::scenario*> which, seed_range seeds)
        : with_(with), which_(std::move(which)), seeds_(seeds), began_(std::chrono::steady_clock::now()) {}

    /// True when no run has broken a promise.
    bool run() {
        std::vector<std::thread> workers;
        for (unsigned i = 0; i < with_.jobs; ++i) workers.emplace_back([this] { work(); });
        for (auto& each : workers) each.join();
        report();
        if (with_.expect_failure && first_ && !without_mutant()) return true; // it is no work of the mutant's
        return failures_ == 0;
    }

private:
    double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

    // Seed by seed, each with every scenario: a campaign that is cut off has had all of them.
    bool next(job& into) {
        const std::scoped_lock lock(mutex_);
        if (failures_ != 0 && !with_.keep_going) return false;
        if (with_.seconds > 0 && elapsed() >= with_.seconds) return false;
        const auto seed = seeds_.first + taken_ / which_.size();
        if (seed > seeds_.last) return false;
        into = {which_[taken_ % which_.size()], seed};
        ++taken_;
        return true;
    }

    void work() {
        job mine{};
        while (next(mine)) {
            sim::run_settings run;
            run.seed = mine.seed;
            run.faults = !with_.no_faults;
            run.processes = with_.processes;
            sim::run_result result;
            try {
                result = sim::run_scenario(*mine.what, run);
            } catch (const std::exception& failure) {
                fail(mine, {std::string("a handler threw: ") + failure.what()});
                continue;
            }
            for (int i = 1; i < with_.repeat; ++i) {
                const auto again = sim::run_scenario(*mine.what, run);
                if (again.hash == result.hash) continue;
                fail(mine, {"the same seed gave another trace in repetition " + std::to_string(i)});
                break;
            }
            ++runs_;
            steps_ += result.steps;
            calls_ += result.calls;
            simulated_ += result.time.count();
            {
                const std::scoped_lock lock(mutex_);
                hash_ ^= result.hash * (mine.seed * 2 + 1);
            }
            if (!result.complaints.empty()) fail(mine, result.complaints);
        }
    }

    void fail(const job& which, const std::vector<std::string>& complaints) {
        const std::scoped_lock lock(mutex_);
        ++failures_;
        std::printf("FAILED %s, seed %llu\n", which.what->name, static_cast<unsigned long long>(which.seed));
        for (const auto& each : complaints) std::printf("  %s\n", each.c_str());
        std::string more = with_.mutant == "none" ? "" : " --mutant " + with_.mutant;
        if (with_.processes != 0) more += " --processes " + std::to_string(with_.processes);
        if (with_.no_faults) more += " --no-faults";
        std::printf("  see: etcdcoll-sim --scenario %s --seeds %llu --trace%s\n", which.what->name, static_cast<unsigned long long>(which.seed), more.c_str());
        std::fflush(stdout);
        if (!first_) first_ = which;
    }

    // Whether the run that failed keeps its promises where no fault is built in.
    bool without_mutant() const {
#if defined(ETCDCOLL_MUTANTS)
        mutants::active = mutants::none;
        sim::run_settings run;
        run.seed = first_->seed;
        run.faults = !with_.no_faults;
        run.processes = with_.processes;
        const bool good = sim::run_scenario(*first_->what, run).complaints.empty();
        if (!good) std::printf("the same run fails without the mutant\n");
        return good;
#else
        return true;
#endif
    }

    void report() {
        const auto time = elapsed();
        std::printf("%llu runs, %llu failed; %.1f s, %.1f runs a second; %.0f simulated seconds, %.2e steps, %.2e requests; hash %016llx\n",
                    static_cast<unsigned long long>(runs_), static_cast<unsigned long long>(failures_), time, static_cast<double>(runs_) / time,
                    static_cast<double>(simulated_) / 1e9, static_cast<double>(steps_), static_cast<double>(calls_), static_cast<unsigned long long>(hash_));
        if (first_ && !with_.expect_failure) tail_of(*first_);
    }

    // The last of what happened, as a run is the same each time.
    void tail_of(const job& which) const {
        constexpr std::size_t most = 120;
        std::deque<std::string> lines;
        sim::run_settings run;
        run.seed = which.seed;
        run.faults = !with_.no_faults;
        run.processes = with_.processes;
        run.print = [&lines](const std::string& line) {
            lines.push_back(line);
            if (lines.size() > most) lines.pop_front();
        };
        static_cast<void>(sim::run_scenario(*which.what, run));
        std::printf("the end of the trace of %s, seed %llu:\n", which.what->name, static_cast<unsigned long long>(which.seed));
        for (const auto& each : lines) std::printf("%s\n", each.c_str());
    }

    const settings& with_;
    std::vector<const sim::scenario*> which_;
    seed_range seeds_;
    std::chrono::steady_clock::time_point began_;
    std::mutex mutex_;
    std::uint64_t taken_ = 0;
    std::uint64_t failures_ = 0;
    std::uint64_t hash_ = 0;
    std::optional<job> first_;
    std::atomic<std::uint64_t> runs_ = 0;
    std::atomic<std::uint64_t> steps_ = 0;
    std::atomic<std::uint64_t> calls_ = 0;
    std::atomic<std::int64_t> simulated_ = 0;
};

void choose_mutant(const std::string& name) {
#if defined(ETCDCOLL_MUTANTS)
    for (std::size_t i = 0; i < mutants::all.size(); ++i) {
        if (mutants::all[i].name != name) continue;
        mutants::active = static_cast<mutants::kind>(i);
        return;
    }
    throw CLI::ValidationError("--mutant", "there is no mutant " + name);
#else
    if (name != "none") throw CLI::ValidationError("--mutant", "this build has no mutants: it has sanitizers");
#endif
}

void print_list() {
    for (const auto& each : sim::scenarios()) std::printf("scenario %-12s %s\n", each.name, each.about);
#if defined(ETCDCOLL_MUTANTS)
    for (const auto& each : mutants::all)
        std::printf("mutant %-28.*s %.*s\n", static_cast<int>(each.name.size()), each.name.data(), static_cast<int>(each.about.size()), each.about.data());
#endif
}

// One run, with every line of its trace.
bool print_trace(const settings& with, const sim::scenario& what, std::uint64_t seed) {
    sim::run_settings run;
    run.seed = seed;
    run.faults = !with.no_faults;
    run.processes = with.processes;
    run.print = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    const auto result = sim::run_scenario(what, run);
    std::printf("%s, seed %llu: %llu steps, %.1f simulated seconds, hash %016llx\n", what.name, static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(result.steps), static_cast<double>(result.time.count()) / 1e9, static_cast<unsigned long long>(result.hash));
    for (const auto& each : result.complaints) std::printf("  %s\n", each.c_str());
    return result.complaints.empty();
}

int run(const settings& with) {
    choose_mutant(with.mutant);
    if (with.list) {
        print_list();
        return 0;
    }
    std::vector<const sim::scenario*> which;
    for (const auto& name : with.names) {
        const auto* found = sim::find_scenario(name);
        if (found == nullptr) throw CLI::ValidationError("--scenario", "there is no scenario " + name + "; see --list");
        which.push_back(found);
    }
    if (which.empty()) {
        for (const auto& each : sim::scenarios()) which.push_back(&each);
    }
    auto seeds = range_of(with.seeds);
    if (!with.from_commit.empty()) {
        const auto first = std::stoull(with.from_commit.substr(0, 10), nullptr, 16);
        seeds = {first, UINT64_MAX};
    }
    bool good = true;
    if (with.trace) {
        for (const auto* each : which) {
            for (auto seed = seeds.first; seed <= seeds.last; ++seed) good = print_trace(with, *each, seed) && good;
        }
    } else {
        std::printf("seeds from %llu%s\n", static_cast<unsigned long long>(seeds.first), with.mutant == "none" ? "" : (", mutant " + with.mutant).c_str());
        std::fflush(stdout);
        campaign all(with, std::move(which), seeds);
        good = all.run();
    }
    return good == with.expect_failure ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
    settings with;
    CLI::App app("Runs whole jobs in a simulation: ranks, clients, network, etcd and clock, all by a seed");
    app.add_option("--seeds", with.seeds, "A..B, both included (default 1..100)");
    app.add_option("--scenario", with.names, "one or more of --list (default: all of them)")->delimiter(',');
    app.add_option("--from-commit", with.from_commit, "the first seed, as the hash of a commit; without an end, so with --seconds");
    app.add_option("--seconds", with.seconds, "ends after so many seconds of this machine's time");
    app.add_option("--jobs", with.jobs, "runs at once (default: one a processor)");
    app.add_option("--repeat", with.repeat, "runs each seed so often, and compares the traces");
    app.add_option("--processes", with.processes, "so many, whatever the seed says");
    app.add_option("--mutant", with.mutant, "a fault built in on purpose, of --list");
    app.add_flag("--no-faults", with.no_faults, "nothing goes wrong");
    app.add_flag("--trace", with.trace, "prints what happens in each run");
    app.add_flag("--keep-going", with.keep_going, "does not end with the first failure");
    app.add_flag("--expect-failure", with.expect_failure, "succeeds if a run fails");
    app.add_flag("--list", with.list, "the scenarios and the mutants");
    try {
        app.parse(argc, argv);
        if (with.jobs == 0 || with.repeat < 1) throw CLI::ValidationError("--jobs and --repeat", "at least 1");
        if (!with.from_commit.empty() && with.seconds <= 0) throw CLI::ValidationError("--from-commit", "needs --seconds");
        return run(with);
    } catch (const CLI::Error& failure) {
        return app.exit(failure);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "etcdcoll-sim: %s\n", failure.what());
        return 2;
    }
}
