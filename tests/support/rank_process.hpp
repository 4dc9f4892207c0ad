#pragma once
// A rank as a process of its own (tests/programs/rank.cpp), to be killed and stopped.

#include <chrono>
#include <string>

#include <sys/types.h>

namespace etcdcoll::test {

/// Killed and reaped on destruction. Every wait has a deadline and fails the test when it passes.
class rank_process {
public:
    rank_process(const std::string& endpoint, const std::string& group, int rank, int size, int ttl);
    rank_process(const rank_process&) = delete;
    rank_process& operator=(const rank_process&) = delete;
    ~rank_process();

    /// The next line that it prints; "" when its output has ended.
    std::string line(std::chrono::milliseconds deadline);
    void signal(int number);
    /// Asks rank 0 to end the loop of all.
    void close_input();
    /// The exit status; 128 + n for signal n.
    int wait(std::chrono::milliseconds deadline);

private:
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    std::string buffer_;
};

} // namespace etcdcoll::test
