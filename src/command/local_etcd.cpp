#include "local_etcd.hpp"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace etcdcoll::command {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t log_lines_kept = 50;
constexpr std::size_t longest_log_line = 16 * 1024;

bool executable(const std::filesystem::path& file) {
    return std::filesystem::is_regular_file(file) && ::access(file.c_str(), X_OK) == 0;
}

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// The smallest /dev/shm in use (64 MB, in containers) can't even hold etcd's first two write-ahead log segments.
bool has_room(const std::filesystem::path& directory) {
    constexpr unsigned long long needed = 512ull << 20;
    struct statvfs space {};
    return ::access(directory.c_str(), W_OK | X_OK) == 0 && ::statvfs(directory.c_str(), &space) == 0 &&
           static_cast<unsigned long long>(space.f_bavail) * space.f_frsize >= needed;
}

std::filesystem::path default_scratch_parent() {
    if (has_room("/dev/shm")) return "/dev/shm";
    const char* named = std::getenv("TMPDIR");
    return named != nullptr && *named != 0 ? named : "/tmp";
}

std::string url_host(const std::string& host) { return host.find(':') == std::string::npos ? host : '[' + host + ']'; }

enum class left_behind { refused, allowed };

/// Bound, not listening: holds the port against others until etcd is about to take it. Empty if it is taken; connections that a killed
/// server has left behind there may be allowed.
unique_fd reserve_port(const std::string& host, unsigned short& port, left_behind connections = left_behind::refused) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
        throw std::runtime_error("\"" + host + "\" is not an IP address to listen on");
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> address(found, ::freeaddrinfo);
    unique_fd socket(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) throw_errno("can't make a socket");
    const int reuse = connections == left_behind::allowed ? 1 : 0;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    if (::bind(socket.get(), address->ai_addr, address->ai_addrlen) != 0) {
        if (errno == EADDRINUSE) return {};
        throw_errno("can't listen on " + host);
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    return socket;
}

/// Below the range that outgoing connections take their ports from: such a port is still free when a killed server is
/// started again.
unique_fd reserve_some_port(const std::string& host, unsigned short& port) {
    unsigned first_ephemeral = 0;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_ephemeral;
    if (first_ephemeral >= 12000) {
        std::random_device random;
        std::uniform_int_distribution<unsigned> ports(first_ephemeral - 10000, first_ephemeral - 1);
        for (int attempt = 0; attempt < 50; ++attempt) {
            port = static_cast<unsigned short>(ports(random));
            if (auto reserved = reserve_port(host, port)) return reserved;
        }
    }
    port = 0;
    return reserve_port(host, port);
}

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = read_some(fd, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
}

} // namespace

/// A directory with a name of its own, removed with all that is in it.
class local_etcd::scratch_directory {
public:
    scratch_directory(const std::filesystem::path& parent, caretaker* watcher) {
        std::random_device random;
        std::ostringstream name;
        name << "etcdcoll-" << ::getpid() << '-' << std::hex << std::setfill('0') << std::setw(8) << random()
             << std::setw(8) << random();
        path_ = std::filesystem::absolute(parent) / name.str();
        if (watcher != nullptr) watcher->directory_chosen(path_);
        if (::mkdir(path_.c_str(), 0700) != 0) throw_errno("can't make the directory " + path_.string());
    }
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;
    ~scratch_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// Drains the pipe that etcd logs to, so that etcd never blocks on it, and sees there when etcd serves and has ended.
class local_etcd::log_reader {
public:
    explicit log_reader(unique_fd pipe) : pipe_(std::move(pipe)) {
        // Signals are for the threads that expect them.
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] { drain(); });
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    log_reader(const log_reader&) = delete;
    log_reader& operator=(const log_reader&) = delete;
    /// Returns once etcd has ended: the pipe ends with it.
    ~log_reader() { thread_.join(); }

    enum class state { starting, serving, ended };

    state wait_until_serving(clock::time_point deadline) {
        std::unique_lock lock(mutex_);
        changed_.wait_until(lock, deadline, [this] { return state_ != state::starting; });
        return state_;
    }

    bool wait_until_ended(clock::time_point deadline) {
        std::unique_lock lock(mutex_);
        return changed_.wait_until(lock, deadline, [this] { return state_ == state::ended; });
    }

    std::string tail() const {
        const std::lock_guard lock(mutex_);
        std::string text;
        for (const auto& line : lines_) text += line + '\n';
        return text;
    }

private:
    void drain() {
        char buffer[4096];
        std::string line;
        for (ssize_t got = 0; (got = read_some(pipe_.get(), buffer, sizeof buffer)) > 0;) {
            for (const char c : std::string_view(buffer, static_cast<std::size_t>(got))) {
                if (c == '\n') {
                    add(std::exchange(line, {}));
                } else if (line.size() < longest_log_line) {
                    line += c;
                }
            }
        }
        if (!line.empty()) add(std::move(line));
        const std::lock_guard lock(mutex_);
        state_ = state::ended;
        changed_.notify_all();
    }

    void add(std::string line) {
        const std::lock_guard lock(mutex_);
        // The words are the same in etcd 3.4, 3.5 and 3.6, as text and as JSON.
        if (state_ == state::starting && line.find("ready to serve client requests") != std::string::npos) {
            state_ = state::serving;
            changed_.notify_all();
        }
        lines_.push_back(std::move(line));
        if (lines_.size() > log_lines_kept) lines_.pop_front();
    }

    unique_fd pipe_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> lines_;
    state state_ = state::starting;
    std::thread thread_;
};

std::filesystem::path find_etcd(const local_etcd_options& options) {
    const char* from_environment = std::getenv("ETCDCOLL_ETCD");
    const bool named = from_environment != nullptr && *from_environment != 0;
    if (!options.binary.empty() || named) {
        const auto file = options.binary.empty() ? std::filesystem::path(from_environment) : options.binary;
        if (executable(file)) return file;
        throw std::runtime_error('"' + file.string() + "\" is not an executable file" +
                                 (options.binary.empty() ? " (set ETCDCOLL_ETCD to the etcd binary)" : ""));
    }
    const char* path = std::getenv("PATH");
    std::istringstream directories(std::string(path != nullptr ? path : "") + ":/usr/local/sbin:/usr/sbin:/sbin");
    for (std::string directory; std::getline(directories, directory, ':');) {
        if (!directory.empty() && executable(std::filesystem::path(directory) / "etcd")) return directory + "/etcd";
    }
    throw std::runtime_error("no etcd server found in PATH: install it (Debian, Ubuntu: apt-get install etcd-server), "
                             "or set ETCDCOLL_ETCD to the etcd binary");
}

std::string etcd_version(const local_etcd_options& options) {
    auto pipe = make_pipe();
    program etcd;
    etcd.arguments = {find_etcd(options).string(), "--version"};
    etcd.environment = environment_without([](std::string_view name) { return has_prefix(name, "ETCD_"); });
    etcd.standard_output = pipe.write.get();
    const pid_t pid = spawn(etcd);
    pipe.write.reset();
    const std::string text = read_all(pipe.read.get());
    ::waitpid(pid, nullptr, 0);
    constexpr std::string_view label = "etcd Version: ";
    const auto at = text.find(label);
    if (at == std::string::npos) throw std::runtime_error(etcd.arguments[0] + " --version printed no etcd version");
    return text.substr(at + label.size(), text.find('\n', at) - at - label.size());
}

local_etcd::local_etcd() : local_etcd(local_etcd_options()) {}

local_etcd::local_etcd(local_etcd_options options) : options_(std::move(options)) {
    options_.binary = find_etcd(options_);
    if (options_.scratch_parent.empty()) options_.scratch_parent = default_scratch_parent();
    scratch_ = std::make_unique<scratch_directory>(options_.scratch_parent, options_.watched_by);
    data_directory_ = options_.data_directory.empty() ? scratch_->path() / "data" : options_.data_directory;
    if (!options_.start) {
        choose_ports();
        return;
    }
    try {
        start();
    } catch (...) {
        kill();
        throw;
    }
}

local_etcd::~local_etcd() {
    // Nobody will read data that is about to be removed, so it need not be closed well.
    if (options_.data_directory.empty()) kill();
    stop();
}

std::string local_etcd::endpoint() const {
    return options_.client_scheme + "://" + url_host(options_.host) + ':' + std::to_string(client_port_);
}

std::string local_etcd::peer_url() const {
    return "http://" + url_host(options_.host) + ':' + std::to_string(peer_port_);
}

unsigned short local_etcd::client_port() const noexcept { return client_port_; }

pid_t local_etcd::pid() const noexcept { return pid_; }

const std::filesystem::path& local_etcd::data_directory() const noexcept { return data_directory_; }

std::string local_etcd::log_tail() const { return log_ ? log_->tail() : std::string(); }

bool local_etcd::running() const {
    siginfo_t ended{};
    if (pid_ < 0) return false;
    return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

bool local_etcd::paused() const noexcept { return paused_; }

/// etcd can't listen on port 0, so another process may take a port between our choice and its start.
void local_etcd::start() {
    constexpr int attempts = 20;
    const auto deadline = clock::now() + options_.start_deadline;
    const bool fixed_ports = client_port_ != 0;
    for (int attempt = 1;; ++attempt) {
        if (!fixed_ports) choose_ports();
        start_process();
        const auto state = log_->wait_until_serving(deadline);
        if (state == log_reader::state::serving) return;
        if (state == log_reader::state::starting) throw std::runtime_error(not_serving());
        const auto end = describe_exit(reap());
        const bool taken = log_tail().find("address already in use") != std::string::npos;
        if (!taken || fixed_ports || attempt == attempts) throw std::runtime_error(failure("etcd " + end));
    }
}

void local_etcd::wait_until_serving() {
    if (pid_ < 0) throw std::runtime_error(failure("etcd does not run"));
    switch (log_->wait_until_serving(clock::now() + options_.start_deadline)) {
    case log_reader::state::serving: return;
    case log_reader::state::ended: throw std::runtime_error(failure("etcd " + describe_exit(reap())));
    case log_reader::state::starting: throw std::runtime_error(not_serving());
    }
}

std::string local_etcd::failure(const std::string& what) const {
    return what + " (" + options_.binary.string() + ", " + endpoint() + "); the end of its log:\n" + log_tail();
}

std::string local_etcd::not_serving() const {
    return failure("etcd does not serve " + std::to_string(options_.start_deadline.count()) + " ms after its start");
}

void local_etcd::choose_ports() {
    held_.clear();
    for (auto* port : {&client_port_, &peer_port_}) {
        held_.push_back(reserve_some_port(options_.host, *port));
        if (!held_.back()) throw std::runtime_error("no free port on " + options_.host);
    }
}

/// Else another test might start its server where a killed one is to come back.
void local_etcd::hold_ports() noexcept {
    try {
        for (auto port : {client_port_, peer_port_}) held_.push_back(reserve_port(options_.host, port, left_behind::allowed));
    } catch (const std::exception&) { // then the next start tells
    }
}

std::vector<std::string> local_etcd::arguments() const {
    std::vector<std::string> result{
        options_.binary.string(),
        "--name=default",
        "--data-dir=" + data_directory_.string(),
        "--listen-client-urls=" + endpoint(),
        "--advertise-client-urls=" + endpoint(),
        "--listen-peer-urls=" + peer_url(),
        "--initial-advertise-peer-urls=" + peer_url(),
        "--initial-cluster=default=" + peer_url(),
        "--log-outputs=stderr", // as the child of process 1, in a container, it would look for journald
    };
    result.insert(result.end(), options_.arguments.begin(), options_.arguments.end());
    return result;
}

void local_etcd::start_process() {
    auto pipe = make_pipe();
    program etcd;
    etcd.arguments = arguments();
    // etcd takes ETCD_X for --x: what is meant for clients, or for another server, must not reach this one.
    etcd.environment = environment_without(
        [](std::string_view name) { return has_prefix(name, "ETCD_") && name != "ETCD_UNSUPPORTED_ARCH"; });
    etcd.standard_output = pipe.write.get();
    etcd.standard_error = pipe.write.get();
    etcd.on_fork = [this](pid_t pid) {
        if (options_.watched_by != nullptr) options_.watched_by->process_group_started(pid);
    };
    held_.clear();
    pid_ = spawn(etcd);
    pipe.write.reset();
    log_ = std::make_unique<log_reader>(std::move(pipe.read));
}

int local_etcd::reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    if (options_.watched_by != nullptr) options_.watched_by->process_group_ended(pid_);
    pid_ = -1;
    paused_ = false;
    return status;
}

void local_etcd::kill() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    reap();
    log_->wait_until_ended(clock::time_point::max());
    hold_ports();
}

void local_etcd::restart() {
    kill();
    start();
}

void local_etcd::launch() {
    kill();
    start_process();
}

void local_etcd::add_arguments(const std::vector<std::string>& arguments) {
    options_.arguments.insert(options_.arguments.end(), arguments.begin(), arguments.end());
}

void local_etcd::pause() {
    if (pid_ < 0 || std::exchange(paused_, true)) return;
    ::kill(-pid_, SIGSTOP);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT);
}

void local_etcd::resume() {
    if (pid_ < 0 || !std::exchange(paused_, false)) return;
    ::kill(-pid_, SIGCONT);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WCONTINUED | WEXITED | WNOWAIT);
}

void local_etcd::stop() {
    if (pid_ >= 0) {
        ::kill(-pid_, SIGTERM);
        ::kill(-pid_, SIGCONT);
        log_->wait_until_ended(clock::now() + std::chrono::seconds(2));
        kill();
    }
    scratch_.reset();
}

} // namespace etcdcoll::command
