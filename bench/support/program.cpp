#include "program.hpp"

#include "local_etcd.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

namespace {

volatile std::sig_atomic_t driver = -1;

extern "C" void pass_on(int) { // the driver's end is what ends this process, with its etcd
    if (driver > 0) ::kill(static_cast<pid_t>(driver), SIGKILL);
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> words;
    std::istringstream in(list);
    for (std::string word; std::getline(in, word, ',');)
        if (!word.empty()) words.push_back(word);
    return words;
}

struct command_line {
    settings chosen;
    std::string json_file;
    bool list = false;
};

command_line parse(int argc, char** argv, const std::vector<std::string>& names) {
    command_line result;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&] {
            if (++i == argc) throw std::invalid_argument(word + " needs a value");
            return std::string(argv[i]);
        };
        if (word == "--quick") {
            result.chosen.quick = true;
        } else if (word == "--only") {
            result.chosen.names = split(value());
        } else if (word == "--n") {
            for (const auto& n : split(value())) result.chosen.sizes.push_back(std::stoi(n));
        } else if (word == "--mode") {
            result.chosen.mode = value();
        } else if (word == "--json") {
            result.json_file = value();
        } else if (word == "--list") {
            result.list = true;
        } else {
            throw std::invalid_argument("unknown option " + word);
        }
    }
    for (const auto& name : result.chosen.names)
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw std::invalid_argument("no benchmark " + name);
    if (result.chosen.names.empty()) result.chosen.names = names;
    return result;
}

// The driver is forked before etcd is started, since the reader of etcd's log is a thread; it waits for the endpoint in
// a pipe.
[[noreturn]] void run_driver(command_line& line, int from, pid_t parent,
                             const std::function<void(const settings&, report&)>& measure) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    int status = 1;
    try {
        std::string text;
        char byte = 0;
        while (::read(from, &byte, 1) == 1 && byte != '\n') text += byte;
        ::close(from);
        std::istringstream words(text);
        if (!(words >> line.chosen.endpoint >> line.chosen.etcd_version)) ::_exit(1); // the parent says why
        report out(line.json_file);
        measure(line.chosen, out);
        status = 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "bench: %s\n", failure.what());
    }
    std::fflush(nullptr);
    ::_exit(status);
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

bool settings::wants(const std::string& name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool settings::wants_size(int n) const {
    return sizes.empty() || std::find(sizes.begin(), sizes.end(), n) != sizes.end();
}

int run_program(int argc, char** argv, std::vector<std::string> names,
                const std::function<void(const settings&, report&)>& measure) {
    command_line line;
    try {
        line = parse(argc, argv, names);
    } catch (const std::exception& failure) {
        std::fprintf(stderr,
                     "%s: %s\nusage: %s [--quick] [--only NAME,...] [--n N,...] [--mode processes|coroutines] [--json "
                     "FILE] | --list\n",
                     argv[0], failure.what(), argv[0]);
        return 2;
    }
    if (line.list) {
        for (const auto& name : names) std::printf("%s\n", name.c_str());
        return 0;
    }

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return 1;
    const auto self = ::getpid();
    const auto child = ::fork();
    if (child < 0) return 1;
    if (child == 0) {
        ::close(ends[1]);
        run_driver(line, ends[0], self, measure);
    }
    driver = child;
    ::close(ends[0]);
    std::signal(SIGPIPE, SIG_IGN);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, pass_on);
    try {
        etcdcoll::command::local_etcd server;
        const auto text = server.endpoint() + " " + etcdcoll::command::etcd_version() + "\n";
        const bool told = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::close(ends[1]);
        const int status = wait_for(child);
        return told ? status : 1;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "bench: %s\n", failure.what());
        ::close(ends[1]);
        wait_for(child);
        return 1;
    }
}

} // namespace bench
