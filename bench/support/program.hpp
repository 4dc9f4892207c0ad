#pragma once

// The frame of every benchmark program: its options, an etcd of its own, its report.

#include "report.hpp"

#include <functional>
#include <string>
#include <vector>

namespace bench {

struct settings {
    bool quick = false;             ///< at most 60 s a name
    std::vector<std::string> names; ///< what to measure
    std::vector<int> sizes;         ///< numbers of ranks; empty: all
    std::string mode;               ///< empty: all
    std::string endpoint;           ///< of the etcd that was started
    std::string etcd_version;

    bool wants(const std::string& name) const;
    bool wants_size(int n) const;
    bool wants_mode(const std::string& text) const { return mode.empty() || mode == text; }
};

/// Parses the options, starts an etcd, and calls `measure` in a forked process that has no thread, so that it may fork
/// on. Returns the exit status of main().
///
///     program [--quick] [--only NAME,...] [--n N,...] [--mode MODE] [--json FILE] | --list
int run_program(int argc, char** argv, std::vector<std::string> names,
                const std::function<void(const settings&, report&)>& measure);

} // namespace bench
