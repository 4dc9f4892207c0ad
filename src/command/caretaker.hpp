#pragma once

// Whoever cleans up after a process that can be killed at any moment is told through this interface what there is.

#include <filesystem>

#include <sys/types.h>

namespace etcdcoll::command {

class caretaker {
public:
    /// Called before the group's first program runs; and when the group's leader has been reaped.
    virtual void process_group_started(pid_t group) = 0;
    virtual void process_group_ended(pid_t group) = 0;

    /// Called before the directory is made.
    virtual void directory_chosen(const std::filesystem::path& directory) = 0;

protected:
    ~caretaker() = default;
};

} // namespace etcdcoll::command
