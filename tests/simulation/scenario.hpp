#pragma once
// What the processes of a run do, and what has to be true of it.

#include "world.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::sim {

struct scenario {
    const char* name;
    const char* about;
    /// How many processes, by the seed.
    std::size_t (*processes)(chance& of);
    /// Sets the processes to work, and whoever checks them.
    void (*begin)(world& of);
};

const std::vector<scenario>& scenarios();
const scenario* find_scenario(std::string_view name);

struct run_result {
    std::uint64_t hash = 0;
    std::uint64_t steps = 0;
    std::uint64_t calls = 0; ///< requests that etcd has received
    duration time{};         ///< simulated
    std::vector<std::string> complaints;
};

struct run_settings {
    std::uint64_t seed = 1;
    bool faults = true;
    std::size_t processes = 0; ///< 0: the scenario's choice
    std::function<void(const std::string&)> print;
};

run_result run_scenario(const scenario& which, const run_settings& settings);

} // namespace etcdcoll::sim
