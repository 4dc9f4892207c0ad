#include "run.hpp"

#include "guardian.hpp"
#include "launch.hpp"
#include "local_etcd.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <stdexcept>

namespace etcdcoll::command {

namespace {

constexpr int most_ranks = 1 << 20;

void check(const run_options& options) {
    const auto refuse = [](const std::string& why) { throw std::invalid_argument(why); };
    const auto number = [](int value) { return std::to_string(value); };
    if (options.program.empty()) refuse("no program given: etcdcoll run -n 4 -- ./program arguments");
    if (options.ranks < 1) refuse("-n must be at least 1, not " + number(options.ranks));
    if (options.nodes < 1) refuse("--nnodes must be at least 1, not " + number(options.nodes));
    if (options.node < 0 || options.node >= options.nodes) {
        refuse("--node must be from 0 to " + number(options.nodes - 1) + " with --nnodes " + number(options.nodes) +
               ", not " + number(options.node));
    }
    if (!(options.grace_seconds >= 0 && options.grace_seconds <= 1e6)) {
        refuse("--grace must be from 0 to 1000000 seconds");
    }
    if (std::int64_t{options.ranks} * options.nodes > most_ranks) {
        refuse("more than " + number(most_ranks) + " ranks: -n is the number of ranks on each node");
    }
    if (options.nodes > 1 && options.endpoints.empty()) {
        refuse("several nodes need an etcd that all of them reach: --endpoints http://HOST:2379, or ETCD_ENDPOINTS");
    }
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) throw_errno("can't get this host's name");
    return name.data();
}

/// Nodes that are started one by one can only agree on a name that follows from what they were all given.
std::string default_group(const run_options& options) {
    if (options.nodes > 1) return std::filesystem::path(options.program[0]).filename().string();
    return "run-" + host_name() + '-' + std::to_string(::getpid()) + '-' + std::to_string(std::time(nullptr));
}

/// The names that we set, and those by which a rank of another launcher would be known, and would win over ours.
bool is_ours(std::string_view name) {
    constexpr std::array<std::string_view, 9> ours{
        "RANK",           "WORLD_SIZE",     "LOCAL_RANK",    "LOCAL_WORLD_SIZE",   "ETCD_ENDPOINTS",
        "ETCDCOLL_GROUP", "ETCDCOLL_RANK", "ETCDCOLL_SIZE", "ETCDCOLL_WORLD_SIZE"};
    return std::find(ours.begin(), ours.end(), name) != ours.end();
}

std::string padded(int rank, int world) {
    const auto digits = std::to_string(rank);
    const auto width = std::to_string(world - 1).size();
    return std::string(width - digits.size(), ' ') + digits;
}

std::vector<rank_program> rank_programs(const run_options& options) {
    const auto inherited = environment_without(is_ours);
    const int world = options.ranks * options.nodes;
    std::vector<rank_program> result;
    for (int local = 0; local < options.ranks; ++local) {
        const int rank = options.node * options.ranks + local;
        rank_program one{rank, options.prefix ? '[' + padded(rank, world) + "] " : "", {}};
        one.what.arguments = options.program;
        one.what.environment = inherited;
        for (const auto& setting :
             {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(world),
              "LOCAL_RANK=" + std::to_string(local), "LOCAL_WORLD_SIZE=" + std::to_string(options.ranks),
              "ETCD_ENDPOINTS=" + options.endpoints, "ETCDCOLL_GROUP=" + options.group}) {
            one.what.environment.push_back(setting);
        }
        result.push_back(std::move(one));
    }
    return result;
}

} // namespace

int run(run_options options) {
    if (options.endpoints.empty()) {
        if (const char* given = std::getenv("ETCD_ENDPOINTS")) options.endpoints = given;
    }
    check(options);
    if (options.group.empty()) options.group = default_group(options);
    // A closed standard output is an error of write(2) to act on; the ranks get the default back.
    std::signal(SIGPIPE, SIG_IGN);

    guardian watcher;
    std::optional<local_etcd> etcd;
    if (options.endpoints.empty()) {
        local_etcd_options private_etcd;
        private_etcd.watched_by = &watcher;
        // Until it serves, signals end this process as they do by default, and the guardian cleans up.
        etcd.emplace(private_etcd);
        options.endpoints = etcd->endpoint();
    }
    launch_options launching;
    launching.grace = std::chrono::milliseconds(static_cast<long>(options.grace_seconds * 1000));
    launching.watched_by = &watcher;
    launching.etcd = etcd ? &*etcd : nullptr;
    launch ranks(rank_programs(options), launching);
    return ranks.run();
}

} // namespace etcdcoll::command
