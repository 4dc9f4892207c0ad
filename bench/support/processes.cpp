#include "processes.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

namespace {

[[noreturn]] void run_child(int index, pid_t parent, unsigned seconds, const std::function<void(int)>& body) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::alarm(seconds); // its default action ends the process
    int status = 1;
    try {
        body(index);
        status = 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "process %d: %s\n", index, failure.what());
    }
    ::_exit(status); // what the parent has still to print or to destroy is not the child's
}

} // namespace

void run_processes(int count, unsigned seconds, const std::function<void(int)>& body) {
    std::fflush(nullptr);
    const auto self = ::getpid();
    std::vector<pid_t> running;
    bool failed = false;
    for (int index = 0; index < count && !failed; ++index) {
        const auto pid = ::fork();
        if (pid == 0) run_child(index, self, seconds, body);
        failed = pid < 0;
        if (pid > 0) running.push_back(pid);
    }
    if (failed)
        for (const auto other : running) ::kill(other, SIGKILL);
    while (!running.empty()) {
        int status = 0;
        const auto ended = ::waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) throw std::system_error(errno, std::generic_category(), "waitpid");
        std::erase(running, ended);
        if (status != 0 && !failed) {
            failed = true;
            if (WIFSIGNALED(status)) std::fprintf(stderr, "a process was ended by signal %d\n", WTERMSIG(status));
            for (const auto other : running) ::kill(other, SIGKILL);
        }
    }
    if (failed) throw std::runtime_error("a process of the benchmark failed");
}

shared_memory::shared_memory(std::size_t size)
    : data_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)), size_(size) {
    if (data_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
}

shared_memory::~shared_memory() { ::munmap(data_, size_); }

process_barrier::process_barrier(int count)
    : memory_(sizeof(pthread_barrier_t)), barrier_(static_cast<pthread_barrier_t*>(memory_.data())) {
    pthread_barrierattr_t attributes;
    ::pthread_barrierattr_init(&attributes);
    ::pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    const int failure = ::pthread_barrier_init(barrier_, &attributes, static_cast<unsigned>(count));
    ::pthread_barrierattr_destroy(&attributes);
    if (failure != 0) throw std::system_error(failure, std::generic_category(), "pthread_barrier_init");
}

void process_barrier::wait() const { ::pthread_barrier_wait(barrier_); }

} // namespace bench
