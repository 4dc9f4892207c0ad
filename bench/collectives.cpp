// barrier and allgather through etcd, beside the floor: the same transactions and the same watch on raw sockets. The
// ranks run as processes, or as coroutines of one process (and then the floor's ranks in one event loop).

#include <etcdcoll/group.hpp>

#include "support/floor_rank.hpp"
#include "support/processes.hpp"
#include "support/program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

struct configuration {
    std::string name;
    bool processes = false;
    int n = 0;
    std::size_t bytes = 0;
    std::string endpoint;
    std::string floor_epoch;
    int batch = 20;   // operations of ours, then as many of the floor
    int runs = 400;   // at most, in whole batches
    double limit = 0; // seconds
};

double microseconds(steady_clock::duration length) { return std::chrono::duration<double, std::micro>(length).count(); }

// The ranks of one process; samples are by operation, and by rank within it.
struct share {
    int first = 0;
    int count = 0;
};

// Other contents in each operation, so that a block of an operation before does not go unnoticed.
char content(int rank, int run) { return static_cast<char>('a' + (rank + run) % 26); }

std::string block_of(const configuration& c, int rank, int run) { return std::string(c.bytes, content(rank, run)); }

template <class Blocks> void check(const configuration& c, const Blocks& all, int run, const char* whose) {
    bool right = all.size() == static_cast<std::size_t>(c.n);
    for (std::size_t rank = 0; right && rank < all.size(); ++rank)
        right =
            all[rank].size() == c.bytes && static_cast<char>(all[rank].back()) == content(static_cast<int>(rank), run);
    if (!right) throw std::runtime_error(std::string(whose) + ": allgather brought wrong blocks");
}

// ---- the library
// ----------------------------------------------------------------------------------------------------------------

class library_ranks {
public:
    library_ranks(const configuration& c, share mine)
        : c_(c)
        , mine_(mine)
        , client_(context_.get_executor(), etcdcoll::client_options().endpoints(c.endpoint))
        , groups_(static_cast<std::size_t>(mine.count)) {
        for (int i = 0; i < mine_.count; ++i) start(join(i));
        finish();
    }

    void run(int runs, double* samples) {
        for (int i = 0; i < mine_.count; ++i) start(operations(i, runs, samples + mine_.first + i));
        finish();
    }

    void leave() {
        for (int i = 0; i < mine_.count; ++i) start(leave(i));
        finish();
    }

    etcdcoll::client_metrics metrics() const { return client_.metrics(); }

private:
    asio::awaitable<void> join(int index) {
        etcdcoll::group_options options;
        // No lease is renewed during a measurement: every request that is counted belongs to an operation.
        options.name("bench").size(c_.n).rank(mine_.first + index).ttl(std::chrono::seconds(600));
        auto& group = groups_[static_cast<std::size_t>(index)];
        group = co_await etcdcoll::group::join(client_, options);
    }

    asio::awaitable<void> operations(int index, int runs, double* samples) {
        auto& group = groups_[static_cast<std::size_t>(index)];
        auto last = steady_clock::now();
        for (int run = 0; run < runs; ++run) {
            if (c_.name == "barrier") {
                co_await group.barrier();
            } else {
                const auto block = block_of(c_, mine_.first + index, run);
                const auto data = etcdcoll::as_bytes(block);
                const auto all = co_await group.allgather_bytes(data);
                check(c_, all, run, "the library");
            }
            const auto now = steady_clock::now();
            samples[run * c_.n] = microseconds(now - last);
            last = now;
        }
    }

    asio::awaitable<void> leave(int index) { co_await groups_[static_cast<std::size_t>(index)].leave(); }

    void start(asio::awaitable<void> work) {
        ++pending_;
        asio::co_spawn(context_, std::move(work), [this](std::exception_ptr failure) {
            --pending_;
            if (failure && !failure_) failure_ = failure;
        });
    }

    void finish() {
        context_.restart();
        while (pending_ > 0 && !failure_) context_.run_one();
        if (failure_) std::rethrow_exception(failure_);
    }

    const configuration& c_;
    share mine_;
    asio::io_context context_{1};
    etcdcoll::client client_;
    std::vector<etcdcoll::group> groups_;
    int pending_ = 0;
    std::exception_ptr failure_;
};

// ---- the floor
// ------------------------------------------------------------------------------------------------------------------

class floor_ranks {
public:
    floor_ranks(const configuration& c, share mine) : c_(c), mine_(mine) {
        for (int i = 0; i < mine_.count; ++i) {
            bench::floor_options options;
            options.endpoint = c_.endpoint;
            options.epoch = c_.floor_epoch;
            options.rank = mine_.first + i;
            options.size = c_.n;
            ranks_.push_back(std::make_unique<bench::floor_rank>(options));
        }
        if (mine_.count > 1) listen();
    }
    floor_ranks(const floor_ranks&) = delete;
    floor_ranks& operator=(const floor_ranks&) = delete;
    ~floor_ranks() {
        if (poll_ >= 0) ::close(poll_);
    }

    void run(int runs, double* samples) {
        if (mine_.count == 1) {
            run_blocking(runs, samples + mine_.first);
        } else {
            run_in_loop(runs, samples + mine_.first);
        }
    }

    void leave() {
        for (auto& rank : ranks_) rank->leave();
    }

    std::uint64_t sent() const {
        std::uint64_t total = 0;
        for (const auto& rank : ranks_) total += rank->sent();
        return total;
    }

private:
    void run_blocking(int runs, double* samples) {
        auto last = steady_clock::now();
        for (int run = 0; run < runs; ++run) {
            if (c_.name == "barrier") {
                ranks_[0]->barrier();
            } else {
                check(c_, ranks_[0]->allgather(block_of(c_, mine_.first, run)), run, "the floor");
            }
            const auto now = steady_clock::now();
            samples[run * c_.n] = microseconds(now - last);
            last = now;
        }
    }

    void begin(std::size_t index, int run) {
        if (c_.name == "barrier") {
            ranks_[index]->begin_barrier();
        } else {
            ranks_[index]->begin_allgather(block_of(c_, mine_.first + static_cast<int>(index), run));
        }
    }

    void run_in_loop(int runs, double* samples) {
        std::vector<int> made(ranks_.size());
        std::vector<steady_clock::time_point> last(ranks_.size(), steady_clock::now());
        for (std::size_t index = 0; index < ranks_.size(); ++index) begin(index, 0);
        auto running = ranks_.size();
        std::vector<epoll_event> ready(2 * ranks_.size());
        while (running != 0) {
            const int count = ::epoll_wait(poll_, ready.data(), static_cast<int>(ready.size()), -1);
            if (count < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "epoll_wait");
            for (int i = 0; i < count; ++i) {
                const auto tag = ready[static_cast<std::size_t>(i)].data.u64;
                const auto index = static_cast<std::size_t>(tag / 2);
                auto& rank = *ranks_[index];
                const bool was_done = rank.done();
                if (tag % 2 == 0) {
                    rank.on_client_readable();
                } else {
                    rank.on_watch_readable();
                }
                if (was_done || !rank.done()) continue;
                if (c_.name != "barrier") check(c_, rank.blocks(), made[index], "the floor");
                const auto now = steady_clock::now();
                samples[made[index] * c_.n + static_cast<int>(index)] = microseconds(now - last[index]);
                last[index] = now;
                if (++made[index] < runs) {
                    begin(index, made[index]);
                } else {
                    --running;
                }
            }
        }
    }

    void listen() {
        poll_ = ::epoll_create1(EPOLL_CLOEXEC);
        const auto add = [this](int fd, std::size_t tag) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = tag;
            if (::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) != 0)
                throw std::system_error(errno, std::generic_category(), "epoll_ctl");
        };
        for (std::size_t index = 0; index < ranks_.size(); ++index) {
            add(ranks_[index]->client_fd(), 2 * index);
            add(ranks_[index]->watch_fd(), 2 * index + 1);
        }
    }

    const configuration& c_;
    share mine_;
    std::vector<std::unique_ptr<bench::floor_rank>> ranks_;
    int poll_ = -1;
};

// ---- one measurement
// ------------------------------------------------------------------------------------------------------------

struct counters {
    std::uint64_t attempts = 0;
    std::uint64_t events = 0;
    std::uint64_t sent = 0;
    std::uint64_t floor_sent = 0;
    double cpu = 0; // microseconds
    double floor_cpu = 0;
};

double cpu_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

// What the processes of one measurement share.
struct meeting {
    meeting(const configuration& c, int processes)
        : start(processes)
        , ours(static_cast<std::size_t>(c.runs * c.n))
        , floor(static_cast<std::size_t>(c.runs * c.n))
        , counted(static_cast<std::size_t>(processes))
        , made(1)
        , go_on(1) {}

    bench::process_barrier start;
    bench::shared_array<double> ours;
    bench::shared_array<double> floor;
    bench::shared_array<counters> counted;
    bench::shared_array<int> made; // operations of each kind
    bench::shared_array<bool> go_on;
};

void take_part(const configuration& c, const meeting& shared, int process, share mine) {
    library_ranks ours(c, mine);
    floor_ranks floor(c, mine);
    std::vector<double> unused(static_cast<std::size_t>(c.batch * c.n));
    shared.start.wait();
    ours.run(c.batch, unused.data());
    shared.start.wait();
    floor.run(c.batch, unused.data());

    const auto before = ours.metrics();
    const auto sent_before = floor.sent();
    const auto begin = steady_clock::now();
    auto& counted = shared.counted[static_cast<std::size_t>(process)];
    int made = 0;
    const auto run_ours = [&](std::size_t place) {
        const auto cpu = cpu_time();
        ours.run(c.batch, &shared.ours[place]);
        counted.cpu += cpu_time() - cpu;
    };
    const auto run_floor = [&](std::size_t place) {
        const auto cpu = cpu_time();
        floor.run(c.batch, &shared.floor[place]);
        counted.floor_cpu += cpu_time() - cpu;
    };
    for (bool ours_first = true, more = true; more; ours_first = !ours_first) {
        const auto place = static_cast<std::size_t>(made * c.n);
        shared.start.wait();
        if (ours_first) run_ours(place);
        shared.start.wait();
        run_floor(place);
        shared.start.wait();
        if (!ours_first) run_ours(place);
        made += c.batch;
        if (process == 0) {
            shared.made[0] = made;
            shared.go_on[0] = made + c.batch <= c.runs && microseconds(steady_clock::now() - begin) < c.limit * 1e6;
        }
        shared.start.wait();
        more = shared.go_on[0];
    }
    const auto after = ours.metrics();
    counted.attempts = after.attempts - before.attempts;
    counted.events = after.watch_events - before.watch_events;
    counted.sent = after.bytes_sent - before.bytes_sent;
    counted.floor_sent = floor.sent() - sent_before;
    ours.leave();
    floor.leave();
}

// The time of an operation is the mean over the ranks, each from the return of its operation before.
bench::summary summarize(const bench::shared_array<double>& samples, int runs, int n) {
    std::vector<double> times;
    for (int run = 0; run < runs; ++run) {
        const auto* begin = &samples[static_cast<std::size_t>(run * n)];
        times.push_back(std::accumulate(begin, begin + n, 0.0) / n);
    }
    return bench::summarize(std::move(times));
}

bench::measurement measure(const configuration& c, const std::string& etcd_version) {
    const int processes = c.processes ? c.n : 1;
    const meeting shared(c, processes);
    bench::run_processes(processes, static_cast<unsigned>(c.limit) + 120, [&](int process) {
        share mine;
        mine.first = process;
        mine.count = c.n / processes;
        take_part(c, shared, process, mine);
    });

    bench::measurement row;
    row.bench = c.name;
    row.transport = "etcd";
    row.mode = c.processes ? "processes" : "coroutines";
    row.n = c.n;
    row.bytes = static_cast<long>(c.bytes);
    row.runs = shared.made[0];
    row.time = summarize(shared.ours, shared.made[0], c.n);
    row.floor = summarize(shared.floor, shared.made[0], c.n);
    counters sum;
    for (int process = 0; process < processes; ++process) {
        const auto& counted = shared.counted[static_cast<std::size_t>(process)];
        sum.attempts += counted.attempts;
        sum.events += counted.events;
        sum.sent += counted.sent;
        sum.floor_sent += counted.floor_sent;
        sum.cpu += counted.cpu;
        sum.floor_cpu += counted.floor_cpu;
    }
    const auto calls = static_cast<double>(shared.made[0] * c.n);
    row.transactions_per_rank = static_cast<double>(sum.attempts) / calls;
    row.events_per_rank = static_cast<double>(sum.events) / calls;
    row.bytes_sent_per_rank = static_cast<double>(sum.sent) / calls;
    row.floor_bytes_sent_per_rank = static_cast<double>(sum.floor_sent) / calls;
    row.cpu_us_per_rank = sum.cpu / calls;
    row.floor_cpu_us_per_rank = sum.floor_cpu / calls;
    row.etcd = etcd_version;
    return row;
}

std::string random_epoch() {
    std::random_device source;
    char text[20];
    std::snprintf(text, sizeof text, "%08x%08x", source(), source());
    return std::string("etcdcoll/groups/floor/") + text + "/"; // as long as the library's
}

void measure_all(const bench::settings& settings, bench::report& report) {
    for (const std::string name : {"barrier", "allgather"}) {
        if (!settings.wants(name)) continue;
        const bool barrier = name == "barrier";
        const auto blocks = barrier ? std::vector<std::size_t>{0} : std::vector<std::size_t>{64, 4096};
        for (const bool processes : {true, false}) {
            if (!settings.wants_mode(processes ? "processes" : "coroutines")) continue;
            for (const auto bytes : blocks) {
                for (const int n : {2, 4, 8, 16, 64}) {
                    if ((processes && n > 16) || !settings.wants_size(n)) continue;
                    configuration c;
                    c.name = name;
                    c.processes = processes;
                    c.n = n;
                    c.bytes = bytes;
                    c.endpoint = settings.endpoint;
                    c.floor_epoch = random_epoch();
                    c.batch = n < 64 ? (n * bytes < 32768 ? 20 : 10) : (bytes < 4096 ? 5 : 1);
                    c.runs = settings.quick ? 200 : 400;
                    c.limit = settings.quick ? (barrier ? 4.0 : 1.6) : 20.0;
                    const auto row = measure(c, settings.etcd_version);
                    report.add(row);
                }
            }
        }
    }
}

} // namespace

int main(int argc, char** argv) { return bench::run_program(argc, argv, {"barrier", "allgather"}, measure_all); }
