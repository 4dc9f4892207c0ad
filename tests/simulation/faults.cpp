#include "faults.hpp"

#include <string>

namespace etcdcoll::sim {

fault_rates choose_faults(chance& of) {
    fault_rates rates;
    if (of.one_in(12)) return rates;
    const auto some = [&of](std::uint64_t most) { return of.one_in(2) ? 1 + of.below(most) : 0; };
    rates.reply_lost = some(250);
    rates.reply_swallowed = of.one_in(3) ? some(60) : 0;
    rates.cut = some(300);
    rates.split = some(400);
    rates.slow = of.one_in(2) ? some(400) : 0;
    rates.partitions = of.one_in(4);
    rates.members_pause = of.one_in(5);
    rates.members_die = of.one_in(5);
    rates.leader_changes = of.one_in(4);
    rates.compactions = of.one_in(4);
    rates.ranks_pause = of.one_in(4);
    rates.ranks_stall = of.one_in(6);
    rates.ranks_die = of.one_in(6);
    rates.wall_clock_jumps = of.one_in(4);
    return rates;
}

std::string describe(const fault_rates& rates) {
    std::string text;
    const auto say = [&text](const char* what) {
        if (!text.empty()) text += ", ";
        text += what;
    };
    const auto rate = [&](const char* what, std::uint64_t value) {
        if (value == 0) return;
        say(what);
        text += " " + std::to_string(value);
    };
    rate("reply_lost", rates.reply_lost);
    rate("reply_swallowed", rates.reply_swallowed);
    rate("cut", rates.cut);
    rate("split", rates.split);
    rate("slow", rates.slow);
    if (rates.partitions) say("partitions");
    if (rates.members_pause) say("members_pause");
    if (rates.members_die) say("members_die");
    if (rates.leader_changes) say("leader_changes");
    if (rates.compactions) say("compactions");
    if (rates.ranks_pause) say("ranks_pause");
    if (rates.ranks_stall) say("ranks_stall");
    if (rates.ranks_die) say("ranks_die");
    if (rates.wall_clock_jumps) say("wall_clock_jumps");
    return text.empty() ? "none" : text;
}

} // namespace etcdcoll::sim
