#include "guardian.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include <poll.h>
#include <sys/syscall.h>

namespace etcdcoll::command {

namespace {

struct estate {
    std::vector<pid_t> groups;
    std::vector<std::filesystem::path> directories;
};

void note(estate& left, const std::string& message) {
    const auto text = message.substr(1);
    switch (message[0]) {
    case '+': left.groups.push_back(static_cast<pid_t>(std::stol(text))); break;
    case '-': std::erase(left.groups, static_cast<pid_t>(std::stol(text))); break;
    default: left.directories.emplace_back(text);
    }
}

/// Returns what there is when the last writer, the launcher, is gone.
estate listen(int pipe) {
    estate left;
    std::string message;
    char buffer[4096];
    for (ssize_t got = 0; (got = read_some(pipe, buffer, sizeof buffer)) > 0;) {
        for (const char c : std::string_view(buffer, static_cast<std::size_t>(got))) {
            if (c != '\0') {
                message += c;
            } else {
                note(left, std::exchange(message, {}));
            }
        }
    }
    return left;
}

/// A process that is still being killed may still make files in the directory that is about to go.
void kill_and_wait(const std::vector<pid_t>& groups) {
    std::vector<unique_fd> leaders;
    for (const pid_t group : groups) {
        leaders.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, group, 0)));
        ::kill(-group, SIGKILL);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (const auto& leader : leaders) {
        pollfd entry{leader.get(), POLLIN, 0};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (leader) ::poll(&entry, 1, std::max(0, static_cast<int>(left.count())));
    }
}

[[noreturn]] void guard(int pipe) {
    ::setsid();
    ::prctl(PR_SET_NAME, "etcdcoll-guard");
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    (void)!::chdir("/");
    // Whoever waits for the end of the launcher's output must not wait for this process.
    const unique_fd null = open_null(O_RDWR);
    for (int target = 0; target < 3; ++target) ::dup2(null.get(), target);
    ::dup2(pipe, 3);
    ::close_range(4, ~0u, 0);

    const auto left = listen(3);
    kill_and_wait(left.groups);
    std::error_code ignored;
    for (const auto& directory : left.directories) std::filesystem::remove_all(directory, ignored);
    ::_exit(0);
}

} // namespace

guardian::guardian() {
    auto pipe = make_pipe();
    const auto read = detail::above_standard(pipe.read.get());
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("can't start a process");
    if (pid_ == 0) {
        try {
            guard(read.get());
        } catch (...) {
            ::_exit(1);
        }
    }
    pipe_ = std::move(pipe.write);
}

guardian::~guardian() {
    pipe_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

void guardian::process_group_started(pid_t group) { tell('+', std::to_string(group)); }

void guardian::process_group_ended(pid_t group) { tell('-', std::to_string(group)); }

void guardian::directory_chosen(const std::filesystem::path& directory) { tell('d', directory.string()); }

/// A guardian that has been killed can't be told: then PR_SET_PDEATHSIG has to do.
void guardian::tell(char kind, const std::string& text) {
    const std::string message = kind + text;
    (void)!write_some(pipe_.get(), message.c_str(), message.size() + 1);
}

} // namespace etcdcoll::command
