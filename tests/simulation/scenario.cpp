#include "scenario.hpp"

#include "scenarios/list.hpp"

#include <algorithm>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

const std::vector<scenario>& scenarios() {
    static const std::vector<scenario> all = {
        barrier_scenario(), allgather_scenario(), gather_loss_scenario(), join_leave_scenario(), epochs_scenario(), mutex_scenario(),
        election_scenario(), batch_scenario(), keys_scenario(), watch_scenario(), session_scenario(),
    };
    return all;
}

const scenario* find_scenario(std::string_view name) {
    const auto& all = scenarios();
    const auto found = std::find_if(all.begin(), all.end(), [name](const scenario& each) { return name == each.name; });
    return found == all.end() ? nullptr : &*found;
}

run_result run_scenario(const scenario& which, const run_settings& settings) {
    chance shape(settings.seed * 0x9e3779b97f4a7c15ULL + 1);
    world_options options;
    options.seed = settings.seed;
    options.processes = which.processes(shape);
    if (settings.processes != 0) options.processes = settings.processes;
    options.rates = choose_faults(shape);
    if (!settings.faults) options.rates = fault_rates();
    options.print = settings.print;
    world all(std::move(options));
    which.begin(all);
    const auto began = all.now();
    all.run(60s);
    return {all.scheduler().trace.hash(), all.scheduler().steps(), all.etcd().calls(), all.now() - began, all.complaints()};
}

} // namespace etcdcoll::sim
