#pragma once

// `etcdcoll run`: starts a program as the ranks of one node, on a private etcd where none is given.

#include <string>
#include <vector>

namespace etcdcoll::command {

struct run_options {
    run_options() {} // not an aggregate, so that no compiler gets to copy it member by member in a coroutine

    int ranks = 0; ///< on this node
    int nodes = 1;
    int node = 0;
    std::string endpoints; ///< separated by commas; empty: $ETCD_ENDPOINTS, else a private etcd
    std::string group;     ///< empty: one of its own for each run; with several nodes, the program's name
    double grace_seconds = 5; ///< from the request to end until SIGKILL
    bool prefix = true;
    std::vector<std::string> program;
};

/// Returns the exit status of the command. Call it before the process has any thread.
///
/// Errors:  std::invalid_argument for options that make no sense; std::exception for what fails before the ranks run.
int run(run_options options);

} // namespace etcdcoll::command
