#pragma once

// `etcdcoll` as a child process of a test.

#include "support.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace command_tests {

struct outcome {
    int status; ///< 128 + the signal where one killed the launcher itself
    std::string out;
    std::string err;
};

class launcher {
public:
    /// `settings` are NAME=value, and replace what this process has in its environment.
    explicit launcher(std::vector<std::string> arguments, std::vector<std::string> settings = {}) {
        auto out = etcdcoll::command::make_pipe();
        auto err = etcdcoll::command::make_pipe();
        etcdcoll::command::program etcdcoll;
        etcdcoll.arguments = std::move(arguments);
        etcdcoll.arguments.insert(etcdcoll.arguments.begin(), ETCDCOLL_COMMAND);
        etcdcoll.environment = etcdcoll::command::environment_without([&](std::string_view name) {
            for (const auto& setting : settings) {
                if (setting.substr(0, setting.find('=')) == name) return true;
            }
            return name == "ETCD_ENDPOINTS";
        });
        etcdcoll.environment.insert(etcdcoll.environment.end(), settings.begin(), settings.end());
        etcdcoll.standard_output = out.write.get();
        etcdcoll.standard_error = err.write.get();
        pid_ = etcdcoll::command::spawn(etcdcoll);
        pipes_[0] = std::move(out.read);
        pipes_[1] = std::move(err.read);
    }
    launcher(const launcher&) = delete;
    launcher& operator=(const launcher&) = delete;
    ~launcher() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    /// As a terminal does: to the whole foreground process group.
    void press_control_c() const { ::kill(-pid_, SIGINT); }
    void close_output() { pipes_[0].reset(); }

    /// The next line of standard output, without its newline.
    std::string line() {
        while (read_[0].find('\n') == std::string::npos) {
            if (!read_more()) throw std::runtime_error("no line on standard output; on standard error: " + read_[1]);
        }
        const auto end = read_[0].find('\n');
        const auto result = read_[0].substr(0, end);
        read_[0].erase(0, end + 1);
        return result;
    }

    outcome finish() {
        while (read_more()) continue;
        if (!observed_process(pid_).ends()) throw std::runtime_error("etcdcoll closed its output and did not end");
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_[0], read_[1]};
    }

private:
    /// Returns false at the end of both streams.
    bool read_more() {
        std::array<pollfd, 2> entries{{{pipes_[0].get(), POLLIN, 0}, {pipes_[1].get(), POLLIN, 0}}};
        if (!pipes_[0] && !pipes_[1]) return false;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now()).count();
        if (left < 0 || ::poll(entries.data(), entries.size(), static_cast<int>(left)) == 0) {
            throw std::runtime_error("etcdcoll has not ended; so far: " + read_[0] + "\nand: " + read_[1]);
        }
        for (std::size_t i = 0; i < entries.size(); ++i) {
            char buffer[65536];
            if (entries[i].revents == 0) continue;
            const ssize_t got = ::read(pipes_[i].get(), buffer, sizeof buffer);
            if (got > 0) {
                read_[i].append(buffer, static_cast<std::size_t>(got));
            } else {
                pipes_[i].reset();
            }
        }
        return true;
    }

    pid_t pid_ = -1;
    std::array<unique_fd, 2> pipes_;
    std::array<std::string, 2> read_;
    clock::time_point deadline_ = clock::now() + 2 * patience;
};

/// `etcdcoll run -n ranks` of a shell script, at an etcd that is not there.
inline std::vector<std::string> run_script(int ranks, const std::string& script,
                                           const std::vector<std::string>& options = {}) {
    std::vector<std::string> result{"run", "-n", std::to_string(ranks), "--endpoints", "http://127.0.0.1:1"};
    result.insert(result.end(), options.begin(), options.end());
    result.insert(result.end(), {"--", "/bin/sh", "-c", script});
    return result;
}

/// The same on a private etcd.
inline std::vector<std::string> run_script_on_etcd(int ranks, const std::string& script) {
    return {"run", "-n", std::to_string(ranks), "--", "/bin/sh", "-c", script};
}

inline outcome run(std::vector<std::string> arguments, std::vector<std::string> settings = {}) {
    return launcher(std::move(arguments), std::move(settings)).finish();
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline std::vector<std::string> sorted_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
}

/// All processes below this one, in /proc.
inline std::vector<pid_t> descendants(pid_t ancestor) {
    std::vector<std::pair<pid_t, pid_t>> child_and_parent;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto number = entry.path().filename().string();
        if (number.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream file(entry.path() / "stat");
        std::string text;
        std::getline(file, text, '\0'); // a process may be gone by now: then there is no text
        const auto name_end = text.rfind(')');
        if (name_end == std::string::npos) continue;
        std::istringstream fields(text.substr(name_end + 1));
        std::string state;
        pid_t parent = 0;
        fields >> state >> parent;
        child_and_parent.emplace_back(std::stoi(number), parent);
    }
    std::vector<pid_t> result{ancestor};
    for (std::size_t i = 0; i < result.size(); ++i) {
        for (const auto& [child, parent] : child_and_parent) {
            if (parent == result[i]) result.push_back(child);
        }
    }
    result.erase(result.begin());
    return result;
}

/// The arguments of the etcd among these processes; empty if there is none.
inline std::vector<std::string> etcd_arguments(const std::vector<pid_t>& processes) {
    for (const pid_t pid : processes) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
        std::vector<std::string> arguments;
        for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
        if (!arguments.empty() && std::filesystem::path(arguments[0]).filename() == "etcd") return arguments;
    }
    return {};
}

} // namespace command_tests
