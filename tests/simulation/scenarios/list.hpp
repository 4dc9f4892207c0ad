#pragma once
// One file each.

#include "../scenario.hpp"

namespace etcdcoll::sim {

scenario barrier_scenario();
scenario allgather_scenario();
scenario gather_loss_scenario();
scenario join_leave_scenario();
scenario epochs_scenario();
scenario mutex_scenario();
scenario election_scenario();
scenario batch_scenario();
scenario keys_scenario();
scenario watch_scenario();
scenario session_scenario();

} // namespace etcdcoll::sim
