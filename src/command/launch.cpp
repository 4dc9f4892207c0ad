#include "launch.hpp"

#include <algorithm>
#include <climits>

#include <sys/signalfd.h>

namespace etcdcoll::command {

namespace {

using clock = std::chrono::steady_clock;

/// For output that a killed process has left in its pipe.
constexpr std::chrono::seconds last_output(2);

} // namespace

launch::launch(std::vector<rank_program> ranks, const launch_options& options)
    : programs_(std::move(ranks)), options_(options) {
    take_signals();
}

launch::~launch() {
    signal_all(SIGKILL);
    for (const auto& rank : ranks_) {
        while (::waitpid(rank.pid, nullptr, 0) < 0 && errno == EINTR) continue;
        if (options_.watched_by != nullptr) options_.watched_by->process_group_ended(rank.pid);
    }
    ::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
}

/// What nohup made the launcher ignore stays ignored.
void launch::take_signals() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
        struct sigaction action {};
        if (number == SIGHUP && ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) continue;
        ::sigaddset(&wanted, number);
    }
    ::pthread_sigmask(SIG_BLOCK, &wanted, &signals_before_);
    signals_ = unique_fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) throw_errno("can't wait for signals");
}

int launch::run() {
    for (auto& rank : programs_) start(rank);
    on_children();
    while (!finished()) wait();
    return status_.value_or(0);
}

void launch::start(rank_program& rank) {
    auto out = make_pipe();
    auto err = make_pipe();
    rank.what.standard_output = out.write.get();
    rank.what.standard_error = err.write.get();
    rank.what.on_fork = [this](pid_t pid) {
        if (options_.watched_by != nullptr) options_.watched_by->process_group_started(pid);
    };
    const pid_t pid = spawn(rank.what);
    ranks_.push_back({rank.rank, pid});
    sources_.push_back({STDOUT_FILENO, std::move(out.read), line_splitter(rank.prefix)});
    sources_.push_back({STDERR_FILENO, std::move(err.read), line_splitter(rank.prefix)});
}

bool launch::all_ended() const {
    return std::all_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank.ended; });
}

bool launch::finished() const {
    const auto closed = [](const auto& from) { return !from.pipe; };
    return all_ended() && queue_.empty() && std::all_of(sources_.begin(), sources_.end(), closed);
}

void launch::wait() {
    std::vector<pollfd> entries{{signals_.get(), POLLIN, 0}};
    std::vector<source*> polled;
    if (!queue_.full()) {
        for (auto& from : sources_) {
            if (!from.pipe) continue;
            entries.push_back({from.pipe.get(), POLLIN, 0});
            polled.push_back(&from);
        }
    }
    if (!queue_.empty()) entries.push_back({queue_.descriptor(), POLLOUT, 0});

    if (::poll(entries.data(), entries.size(), poll_timeout()) < 0 && errno != EINTR) throw_errno("poll");
    if (!queue_.empty() && entries.back().revents != 0) print();
    for (std::size_t i = 0; i < polled.size(); ++i) {
        if (entries[i + 1].revents != 0) read_from(*polled[i]);
    }
    if (entries[0].revents != 0) on_signals();
    if (deadline_ && clock::now() >= *deadline_) on_deadline();
    if (phase_ == phase::running && all_ended()) {
        phase_ = phase::draining;
        set_deadline(options_.grace);
    }
}

int launch::poll_timeout() const {
    if (!deadline_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

void launch::on_signals() {
    signalfd_siginfo info{};
    while (read_some(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGCHLD) {
            on_children();
        } else {
            on_signal(static_cast<int>(info.ssi_signo));
        }
    }
}

void launch::on_signal(int number) {
    const bool ends = number == SIGINT || number == SIGTERM || number == SIGHUP;
    if (!ends) return signal_all(number);
    interrupted_ = true;
    if (number == SIGINT && ++interrupts_ > 1) {
        if (!status_) status_ = 128 + number;
        queue_.drop_all();
        return kill_all();
    }
    if (phase_ == phase::running || phase_ == phase::draining) return end_all(number, 128 + number);
    signal_all(number);
}

void launch::on_children() {
    for (auto& rank : ranks_) {
        siginfo_t info{};
        if (rank.ended) continue;
        ::waitid(P_PID, static_cast<id_t>(rank.pid), &info, WEXITED | WNOHANG | WNOWAIT);
        if (info.si_pid != 0) on_rank_end(rank, info);
    }
    // Shells start background children immune to SIGINT and SIGQUIT; those must not cost the whole grace period.
    if (phase_ == phase::ending && all_ended()) signal_all(SIGTERM);
    if (options_.etcd == nullptr || etcd_ended_ || options_.etcd->running()) return;
    etcd_ended_ = true;
    if (all_ended()) return;
    say("the private etcd has ended; ending the ranks");
    if (phase_ == phase::running) end_all(SIGTERM, 1);
}

void launch::on_rank_end(rank_process& rank, const siginfo_t& info) {
    rank.ended = true;
    const bool exited = info.si_code == CLD_EXITED;
    if (phase_ != phase::running || (exited && info.si_status == 0)) return;
    auto sentence = "rank " + std::to_string(rank.rank) + " (pid " + std::to_string(rank.pid) + ") " +
                    describe_exit(exited ? info.si_status << 8 : info.si_status);
    if (!all_ended()) sentence += "; ending the other ranks";
    say(sentence);
    end_all(SIGTERM, exited ? info.si_status : 128 + info.si_status);
}

void launch::on_deadline() {
    switch (phase_) {
    case phase::running: deadline_.reset(); break;
    case phase::draining:
        // Unwritten output keeps pipes open as well: that is a slow reader, and no reason to end anything.
        if (!queue_.empty()) return set_deadline(options_.grace);
        say("all ranks have ended; ending processes that they left behind and that hold their output");
        kill_all();
        break;
    case phase::ending: kill_all(); break;
    case phase::killed:
        if (!queue_.empty() && !interrupted_) return set_deadline(last_output);
        for (auto& from : sources_) from.pipe.reset();
        queue_.drop_all();
        deadline_.reset();
    }
}

void launch::read_from(source& from) {
    char buffer[65536];
    const ssize_t got = ::read(from.pipe.get(), buffer, sizeof buffer);
    std::string lines;
    if (got > 0) {
        from.lines.feed(std::string_view(buffer, static_cast<std::size_t>(got)), lines);
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        from.lines.finish(lines);
        from.pipe.reset();
    }
    queue_.add(from.target, lines);
}

void launch::print() {
    const int target = queue_.descriptor();
    const int error = queue_.write_some();
    // Nobody to complain to about standard error.
    if (error == 0 || target == STDERR_FILENO || phase_ == phase::killed || phase_ == phase::ending) return;
    const bool unread = error == EPIPE;
    if (!unread) say(std::string("can't write to standard output: ") + std::strerror(error) + "; ending the ranks");
    end_all(SIGTERM, unread ? 128 + SIGPIPE : 1);
}

void launch::say(const std::string& sentence) { queue_.add(STDERR_FILENO, "etcdcoll: " + sentence + '\n'); }

void launch::signal_all(int number) {
    for (const auto& rank : ranks_) ::kill(-rank.pid, number);
}

void launch::end_all(int number, int status) {
    if (!status_) status_ = status;
    phase_ = phase::ending;
    signal_all(number);
    signal_all(SIGCONT); // a stopped process sees no other signal
    set_deadline(options_.grace);
}

void launch::kill_all() {
    phase_ = phase::killed;
    signal_all(SIGKILL);
    set_deadline(last_output);
}

void launch::set_deadline(std::chrono::milliseconds from_now) { deadline_ = clock::now() + from_now; }

} // namespace etcdcoll::command
