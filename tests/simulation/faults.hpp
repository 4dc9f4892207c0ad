#pragma once
// Which faults a run has, and how often: the seed's choice within what the scenario allows.

#include "randomness.hpp"

#include <string>

namespace etcdcoll::sim {

/// Rates are in thousandths; 0 is never.
struct fault_rates {
    std::uint64_t reply_lost = 0;       ///< of replies: executed, and the connection breaks instead
    std::uint64_t reply_swallowed = 0;  ///< of replies: executed, and nothing comes any more on that connection
    std::uint64_t cut = 0;              ///< of connections: broken at some byte, either way
    std::uint64_t split = 0;            ///< of what is sent: arrives in small pieces
    std::uint64_t slow = 0;             ///< of connections: 20 to 400 ms a way, others 0.05 to 1 ms
    bool partitions = false;            ///< between a rank and a member, one way or both, for 0.2 to 6 s
    bool members_pause = false;         ///< for 0.5 to 8 s
    bool members_die = false;           ///< and come back 0.5 to 5 s later
    bool leader_changes = false;        ///< a leader steps down, or is cut off from its followers
    bool compactions = false;
    bool ranks_pause = false;           ///< for less than their lease
    bool ranks_stall = false;           ///< beyond their lease; they come back
    bool ranks_die = false;
    bool wall_clock_jumps = false;
    bool operator==(const fault_rates&) const = default;
};

/// Any of them, or none: runs with few faults go deeper than those with all of them at once.
fault_rates choose_faults(chance& of);
/// As they stand in a trace and a report: "reply_lost 40, cut 12, partitions".
std::string describe(const fault_rates& rates);

} // namespace etcdcoll::sim
