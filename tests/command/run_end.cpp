#include "launcher.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <deque>

#include <sys/stat.h>

using namespace command_tests;

namespace {

/// A rank that ends only by a signal, with a child of its own; says so when both are there. A shell runs its traps
/// only between commands, hence `wait`.
std::string sleeper(const std::string& traps = "") {
    return traps + "\nsleep 1000 > /dev/null 2>&1 & echo ready; while :; do wait; done";
}

std::deque<observed_process> observe(const std::vector<pid_t>& processes) {
    std::deque<observed_process> result;
    for (const pid_t pid : processes) result.emplace_back(pid);
    return result;
}

bool all_end(const std::deque<observed_process>& processes) {
    return std::all_of(processes.begin(), processes.end(), [](const auto& process) { return process.ends(); });
}

void wait_until_ready(launcher& command, int ranks) {
    for (int i = 0; i < ranks; ++i) REQUIRE(contains(command.line(), "ready"));
}

/// Where the private etcd of this launcher keeps its data.
std::filesystem::path scratch_directory(const launcher& command) {
    constexpr std::string_view option = "--data-dir=";
    for (const auto& argument : etcd_arguments(descendants(command.pid()))) {
        if (argument.substr(0, option.size()) == option) {
            return std::filesystem::path(argument.substr(option.size())).parent_path();
        }
    }
    return {};
}

} // namespace

TEST_CASE("run: a failing rank ends the others and its status is the exit status") {
    const auto result = run(run_script(4, "[ $RANK = 2 ] && exit 7\n" + sleeper()));
    CHECK(result.status == 7);
    CHECK(contains(result.err, "etcdcoll: rank 2 (pid "));
    CHECK(contains(result.err, ") exited with status 7; ending the other ranks\n"));
    CHECK(sorted_lines(result.err).size() == 1);
}

TEST_CASE("run: a rank that a signal kills ends the others, and the exit status is 128 + the signal") {
    const auto result = run(run_script(3, "[ $RANK = 1 ] && kill -9 $$\n" + sleeper()));
    CHECK(result.status == 137);
    CHECK(contains(result.err, ") was killed by signal 9 (SIGKILL); ending the other ranks\n"));
}

TEST_CASE("run: ranks that end well do not end the others") {
    const auto script = "[ $RANK = 0 ] && { echo done; exit 0; }\n" + sleeper("trap 'echo late; exit 0' USR1");
    launcher command(run_script(2, script));
    const auto first = command.line();
    const auto second = command.line();
    CHECK(first != second);
    command.signal(SIGUSR1);
    const auto result = command.finish();
    CHECK(result.status == 0);
    CHECK(result.out == "[1] late\n");
}

namespace {

// Rank 1 fails as soon as rank 0 has set its trap, which it says through a pipe with a name.
std::string fail_after_trap(const test_directory& directory, const std::string& trap) {
    const auto pipe = (directory.path() / "ready").string();
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    return "if [ $RANK = 1 ]; then read line < " + pipe + "; exit 3; fi\n" + sleeper(trap + "\necho set > " + pipe);
}

} // namespace

TEST_CASE("run: ranks that ignore SIGTERM are killed after the grace period") {
    const test_directory directory;
    const auto started = clock::now();
    const auto result = run(run_script(2, fail_after_trap(directory, "trap '' TERM"), {"--grace", "0.3"}));
    CHECK(result.status == 3);
    CHECK(clock::now() - started >= std::chrono::milliseconds(300));
}

TEST_CASE("run: ranks have the grace period to end in their own way") {
    const test_directory directory;
    const auto result = run(run_script(2, fail_after_trap(directory, "trap 'echo saved; exit 0' TERM")));
    CHECK(result.status == 3);
    CHECK(contains(result.out, "[0] saved\n"));
}

TEST_CASE("run: signals are forwarded to the ranks") {
    const int number = GENERATE(SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2);
    const std::string name = ::sigabbrev_np(number);
    const bool ends = number == SIGINT || number == SIGTERM || number == SIGHUP;
    launcher command(run_script(2, sleeper("trap 'echo got " + name + "; exit 0' " + name)));
    wait_until_ready(command, 2);
    command.signal(number);
    const auto result = command.finish();
    CHECK(sorted_lines(result.out) == std::vector<std::string>{"[0] got " + name, "[1] got " + name});
    CHECK(result.status == (ends ? 128 + number : 0));
}

TEST_CASE("run: a second SIGINT kills at once") {
    launcher command(run_script(1, sleeper("trap 'echo first' INT"), {"--grace", "1000"}));
    wait_until_ready(command, 1);
    command.signal(SIGINT);
    CHECK(command.line() == "[0] first");
    command.signal(SIGINT);
    CHECK(command.finish().status == 130);
}

TEST_CASE("run: a stopped rank can be ended") {
    launcher command(run_script(1, "echo ready; kill -STOP $$; exit 0", {"--grace", "0.3"}));
    wait_until_ready(command, 1);
    command.signal(SIGTERM);
    CHECK(command.finish().status == 143);
}

TEST_CASE("run: under nohup, a hang-up ends nobody") {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGHUP, &ignore, &before);
    launcher command(run_script(1, sleeper("trap 'exit 0' USR1")));
    ::sigaction(SIGHUP, &before, nullptr);
    wait_until_ready(command, 1);
    command.signal(SIGHUP);
    command.signal(SIGUSR1);
    CHECK(command.finish().status == 0);
}

TEST_CASE("run: Ctrl-C leaves no process and no directory") {
    launcher command(run_script_on_etcd(2, sleeper()));
    wait_until_ready(command, 2);
    const auto directory = scratch_directory(command);
    const auto processes = observe(descendants(command.pid()));
    REQUIRE(processes.size() >= 6); // a guardian, an etcd, two ranks and a child of each
    REQUIRE(std::filesystem::exists(directory));
    command.press_control_c();
    CHECK(command.finish().status == 130);
    CHECK(all_end(processes));
    CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("run: after Ctrl-C, background children that ignore SIGINT do not cost the grace period") {
    launcher command(run_script(1, "sleep 1000 & echo ready; wait", {"--grace", "1000"}));
    wait_until_ready(command, 1);
    command.press_control_c();
    CHECK(command.finish().status == 130);
}

TEST_CASE("run: SIGKILL of the launcher leaves no process and no directory") {
    launcher command(run_script_on_etcd(2, sleeper("trap '' TERM INT HUP")));
    wait_until_ready(command, 2);
    const auto directory = scratch_directory(command);
    const auto processes = observe(descendants(command.pid()));
    REQUIRE(processes.size() >= 6);
    REQUIRE(std::filesystem::exists(directory));
    command.signal(SIGKILL);
    CHECK(command.finish().status == 137);
    CHECK(all_end(processes));
    CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("run: a signal while the private etcd starts leaves no process and no directory") {
    const test_directory directory;
    const auto slow = (directory.path() / "etcd").string();
    const auto started = slow + ".started";
    REQUIRE(::mkfifo(started.c_str(), 0600) == 0);
    std::ofstream(slow) << "#!/bin/sh\necho started > " << started << "\nsleep 1000 & wait\n";
    std::filesystem::permissions(slow, std::filesystem::perms::owner_all);

    launcher command(run_script_on_etcd(1, "true"), {"ETCDCOLL_ETCD=" + slow});
    const unique_fd fifo(::open(started.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(readable(fifo.get()));
    const auto processes = observe(descendants(command.pid()));
    REQUIRE(processes.size() >= 2);
    command.signal(SIGINT);
    CHECK(command.finish().status == 130);
    CHECK(all_end(processes));
}

TEST_CASE("run: the end of the private etcd ends the ranks") {
    launcher command(run_script_on_etcd(1, sleeper()));
    wait_until_ready(command, 1);
    for (const pid_t pid : descendants(command.pid())) {
        if (!etcd_arguments({pid}).empty()) ::kill(pid, SIGKILL);
    }
    const auto result = command.finish();
    CHECK(result.status == 1);
    CHECK(result.err == "etcdcoll: the private etcd has ended; ending the ranks\n");
}

TEST_CASE("run: what a rank leaves in its process group ends with the run") {
    launcher command(run_script(1, "sleep 1000 > /dev/null 2>&1 & echo $!", {"--no-prefix"}));
    const observed_process left(std::stoi(command.line()));
    CHECK(command.finish().status == 0);
    CHECK(left.ends());
}

TEST_CASE("run: a rank's child that holds its output is waited for no longer than the grace period") {
    const auto result = run(run_script(1, "(echo late; sleep 1000) & exit 0", {"--grace", "0.3"}));
    CHECK(result.status == 0);
    CHECK(result.out == "[0] late\n");
    CHECK(contains(result.err, "all ranks have ended"));
}

TEST_CASE("run: when nobody reads its output any more, the ranks are ended") {
    launcher command(run_script(1, "while :; do echo more; done"));
    CHECK(command.line() == "[0] more");
    command.close_output();
    CHECK(command.finish().status == 128 + SIGPIPE);
}

TEST_CASE("run: ranks get default signal dispositions") {
    launcher command(run_script(1, "grep -E 'SigBlk|SigIgn' /proc/self/status", {"--no-prefix"}));
    CHECK(command.line() == "SigBlk:\t0000000000000000");
    CHECK(command.line() == "SigIgn:\t0000000000000000");
    CHECK(command.finish().status == 0);
}
