#include <support/rank_process.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace etcdcoll::test {

namespace {

std::vector<std::string> variables(const std::string& endpoint, const std::string& group, int rank, int size, int ttl) {
    std::vector<std::string> result;
    for (char** each = environ; *each != nullptr; ++each) result.emplace_back(*each);
    result.insert(result.begin(), {"ETCD_ENDPOINTS=" + endpoint, "ETCDCOLL_GROUP=" + group, "ETCDCOLL_RANK=" + std::to_string(rank),
                                   "ETCDCOLL_WORLD_SIZE=" + std::to_string(size), "TEST_TTL=" + std::to_string(ttl), "ETCDCOLL_LOG=off"});
    return result;
}

// False at the deadline.
bool wait_readable(int descriptor, std::chrono::milliseconds deadline) {
    pollfd watched{descriptor, POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(deadline.count())) > 0;
}

} // namespace

rank_process::rank_process(const std::string& endpoint, const std::string& group, int rank, int size, int ttl) {
    const auto texts = variables(endpoint, group, rank, size, ttl);
    std::vector<char*> pointers;
    for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(in[0], 0);
        ::dup2(out[1], 1);
        char program[] = ETCDCOLL_TEST_RANK;
        char* arguments[] = {program, nullptr};
        ::execve(program, arguments, pointers.data());
        ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
}

rank_process::~rank_process() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    close_input();
    ::close(output_);
}

std::string rank_process::line(std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        if (const auto newline = buffer_.find('\n'); newline != std::string::npos) {
            auto found = buffer_.substr(0, newline);
            buffer_.erase(0, newline + 1);
            return found;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0 || !wait_readable(output_, left)) FAIL("process " << pid_ << " has not printed a line in " << deadline.count() << " ms");
        std::array<char, 4096> piece;
        const auto size = ::read(output_, piece.data(), piece.size());
        if (size <= 0) return std::exchange(buffer_, {});
        buffer_.append(piece.data(), static_cast<std::size_t>(size));
    }
}

void rank_process::signal(int number) { REQUIRE(::kill(pid_, number) == 0); }

void rank_process::close_input() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
}

int rank_process::wait(std::chrono::milliseconds deadline) {
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    REQUIRE(handle >= 0);
    const bool ended = wait_readable(handle, deadline);
    ::close(handle);
    if (!ended) FAIL("process " << pid_ << " has not ended in " << deadline.count() << " ms");
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace etcdcoll::test
