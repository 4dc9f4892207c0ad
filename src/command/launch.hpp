#pragma once

// The ranks of one node as processes: started, their output passed on, and ended together.

#include "caretaker.hpp"
#include "local_etcd.hpp"
#include "output.hpp"
#include "process.hpp"

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

namespace etcdcoll::command {

struct rank_program {
    int rank;
    std::string prefix; ///< before each line of its output
    program what;       ///< its standard output and error become pipes
};

struct launch_options {
    std::chrono::milliseconds grace = std::chrono::seconds(5); ///< from the request to end until SIGKILL
    caretaker* watched_by = nullptr;
    const local_etcd* etcd = nullptr; ///< if it ends, so do the ranks
};

/// Runs the ranks until all have ended; call run() once. The calling thread waits in one poll(2) for the ranks' pipes,
/// the signals and its own output, so nothing here needs a lock, and a slow reader of the output slows the ranks down
/// instead of filling the memory.
class launch {
public:
    launch(std::vector<rank_program> ranks, const launch_options& options);
    launch(const launch&) = delete;
    launch& operator=(const launch&) = delete;
    /// Kills what is left of the ranks' process groups.
    ~launch();

    /// Returns 0 if every rank has exited with 0; else the status of the rank that failed first (128 + the signal that
    /// killed it), or 128 + the signal that asked the launcher to end.
    ///
    /// Errors:  exec_error if the program can't be executed.
    int run();

private:
    enum class phase {
        running,
        draining, ///< all ranks have ended well, but processes that they started hold their output
        ending,   ///< the ranks have been asked to end
        killed
    };

    struct source {
        int target; ///< 1 or 2
        unique_fd pipe;
        line_splitter lines;
    };

    struct rank_process {
        int rank;
        pid_t pid; ///< not reaped before the end, so that no other process group gets this number
        bool ended = false;
    };

    void take_signals();
    void start(rank_program& rank);
    bool finished() const;
    bool all_ended() const;
    void wait();
    int poll_timeout() const;

    void on_signals();
    void on_signal(int number);
    void on_children();
    void on_rank_end(rank_process& rank, const siginfo_t& info);
    void on_deadline();
    void read_from(source& from);
    void print();

    void say(const std::string& sentence);
    void signal_all(int number);
    void end_all(int number, int status);
    void kill_all();
    void set_deadline(std::chrono::milliseconds from_now);

    std::vector<rank_program> programs_;
    launch_options options_;
    std::vector<rank_process> ranks_;
    std::vector<source> sources_;
    print_queue queue_;
    unique_fd signals_;
    sigset_t signals_before_{};
    phase phase_ = phase::running;
    std::optional<std::chrono::steady_clock::time_point> deadline_;
    std::optional<int> status_;
    bool interrupted_ = false;
    int interrupts_ = 0;
    bool etcd_ended_ = false;
};

} // namespace etcdcoll::command
