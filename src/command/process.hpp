#pragma once

// Child processes of the command and of the tests: started in a group of their own, and dead when their parent is.

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace etcdcoll::command {

[[noreturn]] inline void throw_errno(const std::string& what, int error = errno) {
    throw std::system_error(error, std::generic_category(), what);
}

/// Owns one file descriptor.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

struct pipe_ends {
    unique_fd read;
    unique_fd write;
};

/// A pipe that no program started later inherits.
inline pipe_ends make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("can't make a pipe");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

inline unique_fd open_null(int flags) {
    unique_fd fd(::open("/dev/null", flags | O_CLOEXEC));
    if (!fd) throw_errno("can't open /dev/null");
    return fd;
}

/// read(2) and write(2) that a signal does not interrupt.
inline ssize_t read_some(int fd, void* data, std::size_t size) {
    for (;;) {
        const ssize_t got = ::read(fd, data, size);
        if (got >= 0 || errno != EINTR) return got;
    }
}

inline ssize_t write_some(int fd, const void* data, std::size_t size) {
    for (;;) {
        const ssize_t put = ::write(fd, data, size);
        if (put >= 0 || errno != EINTR) return put;
    }
}

/// The program could not be executed; code() says why.
class exec_error : public std::system_error {
public:
    using std::system_error::system_error;
};

/// What to run: arguments[0] is searched in PATH if it has no slash; the environment is complete, as NAME=value.
struct program {
    program() = default;

    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    int standard_input = -1;  ///< -1: /dev/null
    int standard_output = -1; ///< -1: /dev/null
    int standard_error = -1;  ///< -1: /dev/null

    /// Called in the parent when the child exists and before it runs the program, so that whoever has to end it knows
    /// of it before it can have children.
    std::function<void(pid_t)> on_fork;
};

namespace detail {

inline std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (const auto& string : strings) result.push_back(const_cast<char*>(string.c_str()));
    result.push_back(nullptr);
    return result;
}

/// A launcher that nohup started stays immune to SIGHUP, and so do its children; all else is as after a login.
inline void reset_signals() {
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action {};
        if (number == SIGHUP && ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) continue;
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

struct child_view {
    char* const* arguments;
    char* const* environment;
    int descriptors[3];
    int gate;
    int status;
    pid_t parent;
};

/// Runs between fork and exec, where other threads may have held any lock: system calls only.
[[noreturn]] inline void become(const child_view& child) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != child.parent) ::_exit(127); // it died before prctl, so no signal will come
    char go = 0;
    if (read_some(child.gate, &go, 1) != 1) ::_exit(127);
    reset_signals();
    for (int target = 0; target < 3; ++target) {
        if (::dup2(child.descriptors[target], target) < 0) break;
    }
    ::execvpe(child.arguments[0], child.arguments, child.environment);
    const int error = errno;
    (void)!::write(child.status, &error, sizeof error);
    ::_exit(127);
}

/// Descriptors 0 to 2 as sources would be overwritten by dup2 before they are used, or keep their close-on-exec flag.
inline unique_fd above_standard(int fd) {
    unique_fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) throw_errno("can't copy a descriptor");
    return copy;
}

} // namespace detail

/// Starts the program in a process group of its own, with default signal dispositions and no signal blocked. Returns
/// when it runs. It is killed when the *thread* that called spawn ends (that is what PR_SET_PDEATHSIG watches), so
/// call it on a thread that lives as long as the child shall.
///
/// Errors:  exec_error, and std::system_error where it does not come to that.
inline pid_t spawn(const program& what) {
    auto arguments = detail::pointers(what.arguments);
    auto environment = detail::pointers(what.environment);
    auto null = open_null(O_RDWR);
    const auto source = [&](int fd) { return detail::above_standard(fd >= 0 ? fd : null.get()); };
    const auto in = source(what.standard_input);
    const auto out = source(what.standard_output);
    const auto err = source(what.standard_error);
    auto gate = make_pipe();
    auto status = make_pipe();
    const auto gate_read = detail::above_standard(gate.read.get());
    auto status_write = detail::above_standard(status.write.get());
    const detail::child_view view{arguments.data(),
                                  environment.data(),
                                  {in.get(), out.get(), err.get()},
                                  gate_read.get(),
                                  status_write.get(),
                                  ::getpid()};

    const pid_t pid = ::fork();
    if (pid < 0) throw_errno("can't start a process");
    if (pid == 0) {
        // A child that kept the write end would never see that its parent has died before opening the gate.
        gate.write.reset();
        detail::become(view);
    }
    ::setpgid(pid, pid);
    status.write.reset();
    status_write.reset();
    if (what.on_fork) what.on_fork(pid);
    (void)!write_some(gate.write.get(), "g", 1);

    int error = 0;
    if (read_some(status.read.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
        ::waitpid(pid, nullptr, 0);
        throw exec_error(error, std::generic_category(), "can't run \"" + what.arguments[0] + '"');
    }
    return pid;
}

/// This process's environment without the variables that `drop` selects by name.
template <typename Predicate>
std::vector<std::string> environment_without(Predicate drop) {
    std::vector<std::string> result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (!drop(text.substr(0, text.find('=')))) result.emplace_back(text);
    }
    return result;
}

/// "exited with status 3", "was killed by signal 9 (SIGKILL)"; `status` as waitpid(2) gives it.
inline std::string describe_exit(int status) {
    if (!WIFSIGNALED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
    const int number = WTERMSIG(status);
    std::string text = "was killed by signal " + std::to_string(number);
    if (const char* name = ::sigabbrev_np(number)) text += std::string(" (SIG") + name + ')';
    return text;
}

} // namespace etcdcoll::command
