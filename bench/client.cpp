// The etcd client beside the floor: the same requests, byte for byte, on raw sockets. put, get, txn and watch tell the
// time of one operation after the other, put_parallel and get_parallel how many are done in a second when n are in
// flight. put_batch puts the client's batch beside its own single puts, 64 of them in flight.

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/client.hpp>

#include "support/program.hpp"
#include "support/raw_socket.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
namespace etcd = etcdcoll::etcd;
using std::chrono::steady_clock;

constexpr int connections = 64; // the client's own bound, and so the floor's

enum class kind { put, get, txn };

struct configuration {
    std::string name;
    kind what = kind::put;
    int n = 1; // in flight
    std::size_t bytes = 0;
    std::string endpoint;
    int batch = 20;     // operations of ours, then as many of the floor
    int batches = 100;  // at most
    double limit = 0;   // seconds
    bool single = true; // a sample is one operation; else the mean of a batch
};

double microseconds(steady_clock::duration length) { return std::chrono::duration<double, std::micro>(length).count(); }

double cpu_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

// Other contents in each operation, so that a value of an operation before does not go unnoticed.
std::string value_of(const configuration& c, int run) {
    std::string value(c.bytes, static_cast<char>('a' + run % 26));
    for (std::size_t i = 0; i < value.size(); i += 7)
        value[i] = static_cast<char>(i * 31 + static_cast<std::size_t>(run));
    return value;
}

[[noreturn]] void wrong(const configuration& c, const char* whose) {
    throw std::runtime_error(c.name + ": " + whose + " brought a wrong result");
}

// One side of a measurement. A batch is prepared before its time is taken and checked after it.
class side {
public:
    virtual ~side() = default;
    virtual void prepare(int first) = 0;
    virtual void run() = 0;
    virtual void check() = 0;
    virtual std::uint64_t sent() const = 0;

    std::vector<double> samples; // microseconds of each operation
};

// ---- the library
// ----------------------------------------------------------------------------------------------------------------

class library_side : public side {
public:
    library_side(const configuration& c, const std::string& prefix)
        : c_(c), key_(prefix + "/l"), client_(context_.get_executor(), options(c)) {}

    std::uint64_t sent() const override { return client_.metrics().bytes_sent; }
    etcdcoll::client_metrics metrics() const { return client_.metrics(); }

    // History would fill etcd's memory.
    void compact() {
        const auto forget = [](etcd::client client, std::string key) -> asio::awaitable<void> {
            const auto written = co_await client.put(std::move(key), "");
            co_await client.compact(written.header.revision, true);
        };
        start(forget(client_, key_ + "ast"));
        finish();
    }

protected:
    static etcdcoll::client_options options(const configuration& c) {
        return etcdcoll::client_options()
            .endpoints(c.endpoint)
            .connections(connections)
            .timeout(std::chrono::seconds(60));
    }

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
    std::string key_;
    asio::io_context context_{1};
    etcd::client client_;

private:
    int pending_ = 0;
    std::exception_ptr failure_;
};

class library_calls final : public library_side {
public:
    library_calls(const configuration& c, const std::string& prefix) : library_side(c, prefix) {
        start(begin());
        finish();
    }

    void prepare(int first) override {
        first_ = first;
        next_ = 0;
        values_.clear();
        found_.assign(static_cast<std::size_t>(c_.batch), std::nullopt);
        if (c_.what == kind::get) return;
        for (int i = 0; i < c_.batch; ++i) values_.push_back(value_of(c_, first + i));
    }

    void run() override {
        for (int i = 0; i < c_.n; ++i) start(operations());
        finish();
    }

    void check() override {
        if (c_.what != kind::get) return;
        for (const auto& found : found_)
            if (!found || found->value != value_of(c_, 0)) wrong(c_, "the library");
    }

private:
    asio::awaitable<void> begin() {
        const auto written = co_await client_.put(key_, value_of(c_, 0));
        modified_ = written.header.revision;
    }

    asio::awaitable<void> operations() {
        while (next_ < static_cast<std::size_t>(c_.batch)) {
            const auto index = next_++;
            const auto began = steady_clock::now();
            if (c_.what == kind::put) {
                co_await client_.put(key_, std::move(values_[index]));
            } else if (c_.what == kind::get) {
                found_[index] = co_await client_.get(key_);
            } else {
                auto request = etcd::when(etcd::mod_revision(key_) == modified_)
                                   .then(etcd::put(key_, std::move(values_[index])))
                                   .otherwise(etcd::get(key_));
                const auto reply = co_await client_.txn(std::move(request));
                if (!reply.succeeded) wrong(c_, "the library");
                modified_ = reply.header.revision;
            }
            if (c_.single) samples.push_back(microseconds(steady_clock::now() - began));
        }
    }

    int first_ = 0;
    std::size_t next_ = 0;
    etcd::revision modified_;
    std::vector<std::string> values_;
    std::vector<std::optional<etcd::key_value>> found_;
};

class library_batch final : public library_side {
public:
    library_batch(const configuration& c, const std::string& prefix) : library_side(c, prefix + "/batch") {}

    void prepare(int first) override {
        values_.clear();
        for (int i = 0; i < c_.batch; ++i) values_.push_back(value_of(c_, first + i));
    }

    void run() override {
        start(write());
        finish();
    }

    void check() override {
        if (!done_) wrong(c_, "the library");
    }

private:
    asio::awaitable<void> write() {
        etcd::batch writes(client_);
        for (std::size_t i = 0; i < values_.size(); ++i) writes.put(key_ + std::to_string(i), std::move(values_[i]));
        const auto result = co_await writes.run();
        done_ = result.complete();
    }

    bool done_ = false;
    std::vector<std::string> values_;
};

class library_watch final : public library_side {
public:
    library_watch(const configuration& c, const std::string& prefix) : library_side(c, prefix) {
        start(begin());
        finish();
    }

    void prepare(int first) override {
        values_.clear();
        got_.clear();
        got_.resize(static_cast<std::size_t>(c_.batch));
        for (int i = 0; i < c_.batch; ++i) values_.push_back(value_of(c_, first + i));
        expected_ = values_;
    }

    void run() override {
        for (std::size_t index = 0; index < values_.size(); ++index) {
            const auto began = steady_clock::now();
            start(put(index));
            start(next(index));
            finish();
            samples.push_back(microseconds(arrived_ - began));
        }
    }

    void check() override {
        for (std::size_t index = 0; index < got_.size(); ++index)
            if (got_[index].events.size() != 1 || got_[index].events[0].kv.value != expected_[index])
                wrong(c_, "the library");
    }

private:
    asio::awaitable<void> put(std::size_t index) { co_await client_.put(key_, std::move(values_[index])); }

    asio::awaitable<void> next(std::size_t index) {
        got_[index] = co_await watch_->next();
        arrived_ = steady_clock::now();
    }

    asio::awaitable<void> begin() {
        const auto written = co_await client_.put(key_, value_of(c_, 0));
        watch_.emplace(
            client_.watch(etcd::watch_request(etcd::prefix(key_), etcd::revision{written.header.revision.value + 1})));
    }

    std::optional<etcd::watch> watch_;
    std::vector<std::string> values_;
    std::vector<std::string> expected_;
    std::vector<etcd::watch_response> got_;
    steady_clock::time_point arrived_;
};

// ---- the floor
// ------------------------------------------------------------------------------------------------------------------

std::string put_body(const std::string& encoded_key, std::string_view value) {
    return "{\"key\":\"" + encoded_key + "\",\"value\":\"" + bench::base64(value) + "\"}";
}

// Blocks in its one socket, or goes round the connections that are ready.
class floor_calls final : public side {
public:
    floor_calls(const configuration& c, const std::string& prefix) : c_(c), key_(bench::base64(prefix + "/f")) {
        for (int i = 0; i < std::min(c_.n, connections); ++i)
            clients_.push_back(std::make_unique<bench::raw_client>(c_.endpoint));
        const auto reply = clients_[0]->exchange("/v3/kv/put", put_body(key_, value_of(c_, 0)));
        modified_ = bench::json_number(reply, "revision");
        if (clients_.size() > 1) listen();
    }
    floor_calls(const floor_calls&) = delete;
    floor_calls& operator=(const floor_calls&) = delete;
    ~floor_calls() override {
        if (poll_ >= 0) ::close(poll_);
    }

    void prepare(int first) override {
        requests_.clear();
        replies_.clear();
        for (int i = 0; i < c_.batch; ++i) requests_.push_back(request(first + i));
    }

    void run() override {
        if (clients_.size() == 1) {
            run_blocking();
        } else {
            run_in_loop();
        }
    }

    void check() override {
        for (const auto& reply : replies_) {
            if (bench::json_number(reply, "revision") == 0) wrong(c_, "the floor");
            if (c_.what == kind::get && bench::from_base64(bench::json_string(reply, "value")) != value_of(c_, 0))
                wrong(c_, "the floor");
            if (c_.what == kind::txn && reply.find("\"succeeded\":true") == std::string::npos) wrong(c_, "the floor");
        }
    }

    std::uint64_t sent() const override {
        std::uint64_t total = 0;
        for (const auto& client : clients_) total += client->sent();
        return total;
    }

private:
    std::string request(int run) const {
        const auto& client = *clients_[0];
        if (c_.what == kind::get) return client.request("/v3/kv/range", "{\"key\":\"" + key_ + "\"}");
        const auto put = put_body(key_, value_of(c_, run));
        if (c_.what == kind::put) return client.request("/v3/kv/put", put);
        return put; // the revision to compare with is known when it is sent
    }

    std::string transaction(const std::string& put) const {
        return clients_[0]->request("/v3/kv/txn",
                                    "{\"compare\":[{\"key\":\"" + key_ + "\",\"target\":\"MOD\",\"mod_revision\":" +
                                        std::to_string(modified_) + "}],\"success\":[{\"request_put\":" + put +
                                        "}],\"failure\":[{\"request_range\":{\"key\":\"" + key_ + "\"}}]}");
    }

    void run_blocking() {
        auto& client = *clients_[0];
        for (auto& request : requests_) {
            if (c_.what == kind::txn) request = transaction(request);
            const auto began = steady_clock::now();
            client.send_text(request);
            while (!client.advance()) {}
            if (c_.single) samples.push_back(microseconds(steady_clock::now() - began));
            if (c_.what == kind::txn) modified_ = bench::json_number(client.reply(), "revision");
            replies_.push_back(std::move(client.reply()));
        }
    }

    void run_in_loop() {
        std::size_t next = 0;
        std::size_t open = 0;
        for (auto& client : clients_) {
            if (next == requests_.size()) break;
            client->send_text(requests_[next++]);
            ++open;
        }
        std::vector<epoll_event> ready(clients_.size());
        while (open != 0) {
            const int count = ::epoll_wait(poll_, ready.data(), static_cast<int>(ready.size()), -1);
            if (count < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "epoll_wait");
            for (int i = 0; i < count; ++i) {
                auto& client = *clients_[static_cast<std::size_t>(ready[static_cast<std::size_t>(i)].data.u64)];
                if (!client.advance()) continue;
                replies_.push_back(std::move(client.reply()));
                if (next < requests_.size()) {
                    client.send_text(requests_[next++]);
                } else {
                    --open;
                }
            }
        }
    }

    void listen() {
        poll_ = ::epoll_create1(EPOLL_CLOEXEC);
        for (std::size_t index = 0; index < clients_.size(); ++index) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = index;
            if (::epoll_ctl(poll_, EPOLL_CTL_ADD, clients_[index]->fd(), &event) != 0)
                throw std::system_error(errno, std::generic_category(), "epoll_ctl");
        }
    }

    const configuration& c_;
    std::string key_;
    std::vector<std::unique_ptr<bench::raw_client>> clients_;
    int poll_ = -1;
    std::int64_t modified_ = 0;
    std::vector<std::string> requests_;
    std::vector<std::string> replies_;
};

class floor_watch final : public side {
public:
    floor_watch(const configuration& c, const std::string& prefix)
        : c_(c), prefix_(prefix + "/f"), key_(bench::base64(prefix_)), client_(c.endpoint) {
        const auto first = client_.exchange("/v3/kv/put", put_body(key_, value_of(c_, 0)));
        watch_ = std::make_unique<bench::raw_watch>(c_.endpoint, prefix_, bench::json_number(first, "revision") + 1);
    }

    void prepare(int first) override {
        requests_.clear();
        events_.clear();
        for (int i = 0; i < c_.batch; ++i)
            requests_.push_back(client_.request("/v3/kv/put", put_body(key_, value_of(c_, first + i))));
    }

    void run() override {
        for (const auto& request : requests_) {
            const auto began = steady_clock::now();
            client_.send_text(request);
            events_.push_back(watch_->next_line());
            samples.push_back(microseconds(steady_clock::now() - began));
            while (!client_.advance()) {}
        }
    }

    void check() override {
        for (std::size_t index = 0; index < events_.size(); ++index) {
            const auto value = bench::json_string(events_[index], "value");
            if (value.empty() || requests_[index].find(value) == std::string::npos) wrong(c_, "the floor");
        }
    }

    std::uint64_t sent() const override { return client_.sent(); }

private:
    const configuration& c_;
    std::string prefix_;
    std::string key_;
    bench::raw_client client_;
    std::unique_ptr<bench::raw_watch> watch_;
    std::vector<std::string> requests_;
    std::vector<std::string> events_;
};

// ---- one measurement
// ------------------------------------------------------------------------------------------------------------

struct counted {
    double cpu = 0; // microseconds
    std::uint64_t sent = 0;
    std::vector<double> means; // of the batches
};

void run_batch(const configuration& c, side& one, int first, counted& count) {
    one.prepare(first);
    const auto sent = one.sent();
    const auto cpu = cpu_time();
    const auto began = steady_clock::now();
    one.run();
    const auto length = microseconds(steady_clock::now() - began);
    count.cpu += cpu_time() - cpu;
    count.sent += one.sent() - sent;
    count.means.push_back(length / c.batch);
    one.check();
}

bench::measurement measure(const configuration& c, const std::string& etcd_version) {
    const auto prefix = "bench/" + c.name;
    std::unique_ptr<library_side> ours;
    std::unique_ptr<side> floor;
    if (c.name == "watch") {
        ours = std::make_unique<library_watch>(c, prefix);
        floor = std::make_unique<floor_watch>(c, prefix);
    } else if (c.name == "put_batch") {
        ours = std::make_unique<library_batch>(c, prefix);
        floor = std::make_unique<library_calls>(c, prefix);
    } else {
        ours = std::make_unique<library_calls>(c, prefix);
        floor = std::make_unique<floor_calls>(c, prefix);
    }
    counted unused;
    run_batch(c, *ours, 0, unused);
    run_batch(c, *floor, 0, unused);
    ours->samples.clear();
    floor->samples.clear();

    const auto before = ours->metrics();
    counted our_count;
    counted floor_count;
    const auto began = steady_clock::now();
    int made = 0;
    for (; made < c.batches && microseconds(steady_clock::now() - began) < c.limit * 1e6; ++made) {
        const int first = made * c.batch;
        if (made % 2 == 0) run_batch(c, *ours, first, our_count);
        run_batch(c, *floor, first, floor_count);
        if (made % 2 != 0) run_batch(c, *ours, first, our_count);
    }
    const auto after = ours->metrics();
    ours->compact();

    const auto calls = static_cast<double>(made * c.batch);
    bench::measurement row;
    row.bench = c.name;
    row.transport = "etcd";
    row.n = c.n;
    row.bytes = static_cast<long>(c.bytes);
    row.runs = made * c.batch;
    row.time = bench::summarize(c.single ? ours->samples : our_count.means);
    row.floor = bench::summarize(c.single ? floor->samples : floor_count.means);
    row.transactions_per_rank = static_cast<double>(after.attempts - before.attempts) / calls;
    if (c.name == "watch") row.events_per_rank = static_cast<double>(after.watch_events - before.watch_events) / calls;
    row.cpu_us_per_rank = our_count.cpu / calls;
    row.floor_cpu_us_per_rank = floor_count.cpu / calls;
    row.bytes_sent_per_rank = static_cast<double>(our_count.sent) / calls;
    row.floor_bytes_sent_per_rank = static_cast<double>(floor_count.sent) / calls;
    if (!c.single) {
        row.per_s = 1e6 / row.time.median;
        row.floor_per_s = 1e6 / row.floor->median;
    }
    row.etcd = etcd_version;
    return row;
}

kind kind_of(const std::string& name) {
    if (name.starts_with("get")) return kind::get;
    return name == "txn" ? kind::txn : kind::put;
}

void measure_all(const bench::settings& settings, bench::report& report) {
    for (const std::string name : {"put", "get", "txn", "watch"}) {
        if (!settings.wants(name)) continue;
        for (const std::size_t bytes : {64, 1024, 65536, 1048576}) {
            configuration c;
            c.name = name;
            c.what = kind_of(name);
            c.bytes = bytes;
            c.endpoint = settings.endpoint;
            c.batch = bytes < 65536 ? 20 : (bytes < 1048576 ? 10 : 2);
            c.batches = bytes < 1048576 ? (settings.quick ? 200 : 1000) : (settings.quick ? 30 : 60);
            c.limit = settings.quick ? 8.0 : 40.0;
            report.add(measure(c, settings.etcd_version));
        }
    }
    if (settings.wants("put_batch")) {
        for (const std::size_t bytes : {64, 1024}) {
            configuration c;
            c.name = "put_batch";
            c.n = 64;
            c.bytes = bytes;
            c.endpoint = settings.endpoint;
            c.single = false;
            c.batch = 2048;
            c.batches = settings.quick ? 20 : 100;
            c.limit = settings.quick ? 15.0 : 40.0;
            report.add(measure(c, settings.etcd_version));
        }
    }
    for (const std::string name : {"put_parallel", "get_parallel"}) {
        if (!settings.wants(name)) continue;
        for (const int n : {1, 8, 64, 256}) {
            if (!settings.wants_size(n)) continue;
            configuration c;
            c.name = name;
            c.what = kind_of(name);
            c.n = n;
            c.bytes = 64;
            c.endpoint = settings.endpoint;
            c.single = false;
            c.batch = n < 8 ? 100 : (n < 64 ? 400 : 10 * n);
            c.batches = settings.quick ? 60 : 300;
            c.limit = settings.quick ? 12.0 : 40.0;
            report.add(measure(c, settings.etcd_version));
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    return bench::run_program(argc, argv, {"put", "get", "txn", "watch", "put_batch", "put_parallel", "get_parallel"}, measure_all);
}
