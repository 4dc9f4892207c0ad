#pragma once

// A process that outlives the launcher by a moment, to end what a killed launcher leaves behind.

#include "caretaker.hpp"
#include "process.hpp"

#include <string>

namespace etcdcoll::command {

/// When this process has ended, however that came about, the guardian kills the process groups that have started and
/// not ended and removes the chosen directories. It has a session of its own, so that no Ctrl-C reaches it.
class guardian final : public caretaker {
public:
    /// Forks: call it before there is any thread, and any descriptor that must not be copied.
    guardian();
    guardian(const guardian&) = delete;
    guardian& operator=(const guardian&) = delete;
    /// Returns when the guardian has done its work and ended.
    ~guardian();

    void process_group_started(pid_t group) override;
    void process_group_ended(pid_t group) override;
    void directory_chosen(const std::filesystem::path& directory) override;

private:
    void tell(char kind, const std::string& text);

    unique_fd pipe_;
    pid_t pid_ = -1;
};

} // namespace etcdcoll::command
