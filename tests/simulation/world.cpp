#include "world.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

class rank_process::process_environment final : public environment {
public:
    process_environment(world& of, rank_process& self) : world_(of), self_(self), chance_(of.scheduler().chance.bits()) {}

    time_point now() const noexcept override { return world_.now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override {
        const auto since = std::chrono::duration_cast<std::chrono::system_clock::duration>(world_.now().time_since_epoch() + wall_offset);
        return std::chrono::system_clock::time_point(std::chrono::hours(24 * 365 * 50)) + since;
    }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return world_.scheduler().clock->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override {
        return world_.net().make_stream(self_, executor, self_.system());
    }
    std::uint64_t random() noexcept override { return chance_.bits(); }
    std::string host() const override { return self_.name(); }
    std::int64_t process_id() const noexcept override { return static_cast<std::int64_t>(self_.number()); }

    duration wall_offset{};

private:
    world& world_;
    rank_process& self_;
    chance chance_;
};

rank_process::rank_process(world& of, std::uint64_t number, std::string name)
    : process(of.scheduler(), number, std::move(name)), world_(of), system_(std::make_shared<process_environment>(of, *this)) {}

rank_process::~rank_process() { kill(); }

std::shared_ptr<environment> rank_process::system() const noexcept { return system_; }
void rank_process::jump_wall_clock(duration by) noexcept { system_->wall_offset += by; }

client rank_process::make_client(client_options options) {
    options.endpoints(world_.etcd().endpoints()).system(system_);
    options.log(logger(log_level::off, {}));
    if (world_.scheduler().trace.printed()) {
        options.log(logger(log_level::debug, [this](log_level, std::string_view text) {
            trace([text] { return std::string(text); });
        }));
    }
    return client(executor(), options);
}

// An operation under way: what is still there at the end hangs.
class world::lasting {
public:
    lasting(world& of, rank_process& by_, std::string what_, time_point deadline_)
        : by(by_), what(std::move(what_)), deadline(deadline_), began(of.now()), world_(of) {
        world_.lasting_.insert(this);
    }
    ~lasting() { world_.lasting_.erase(this); }
    lasting(const lasting&) = delete;
    lasting& operator=(const lasting&) = delete;

    rank_process& by;
    std::string what;
    time_point deadline;
    time_point began;

private:
    world& world_;
};

world::world(world_options options)
    : options_(std::move(options)), kernel_(options_.seed, options_.print), network_(kernel_, options_.rates), cluster_(network_),
      faults_end_(kernel_.now() + options_.faults_for) {
    cluster_.on_revision = [this](const std::vector<etcd::event>& events) {
        for (const auto& each : on_revision) each(events);
    };
    for (std::size_t i = 0; i < options_.processes; ++i)
        ranks_.push_back(std::make_unique<rank_process>(*this, i + 1, "r" + std::to_string(i)));
    if (kernel_.chance.one_in(2)) pace_ = kernel_.chance.one_in(2) ? kernel_.chance.between(10ms, 1s) : kernel_.chance.between(1s, 6s);
    const auto& rates = options_.rates;
    // A short lease is lost by chance where packets are.
    const bool steady = rates.reply_lost == 0 && rates.reply_swallowed == 0 && rates.cut == 0 && rates.slow == 0 && !rates.ranks_pause;
    if (steady && kernel_.chance.one_in(2)) ttl_ = std::chrono::seconds(2 + kernel_.chance.below(4));
    for (const auto& each : ranks_) each->lease = ttl_;
    kernel_.trace.line(now(), "sim", [this] { return "seed " + std::to_string(options_.seed) + ", faults: " + describe(options_.rates); });
}

// Connections hold strands of the processes, so these go last.
world::~world() {
    for (const auto& each : ranks_) each->kill();
    network_.drop_all();
    kernel_.clock->clear();
}

void world::complain(std::string what) {
    kernel_.trace.line(now(), "CHECK", [&] { return what; });
    if (complaints_.size() < 20) complaints_.push_back(std::move(what));
}

void world::spawn(rank_process& in, std::function<asio::awaitable<void>()> life) {
    ++in.lives;
    asio::co_spawn(in.executor(), life(), [this, &in, life](std::exception_ptr failed) { // a coroutine uses the captures of its function
        --in.lives;
        if (!failed) return;
        try {
            std::rethrow_exception(failed);
        } catch (const std::exception& failure) {
            complain(in.name() + " ended with " + failure.what());
        }
    });
}

asio::awaitable<std::optional<error>> world::expect(rank_process& by, std::string what, time_point deadline, std::vector<errc> documented,
                                                    asio::awaitable<void> operation) {
    const lasting self(*this, by, what, deadline);
    const auto lost_before = by.lost_time;
    std::optional<error> failed;
    by.trace([&] { return what; });
    try {
        co_await std::move(operation);
    } catch (const error& failure) {
        failed.emplace(failure);
    }
    by.trace([&] { return what + ": " + (failed ? failed->what() : "done"); });
    const auto latest = deadline + (by.lost_time - lost_before) + 500ms;
    if (now() > latest) complain(by.name() + ": " + what + " ended " + std::to_string((now() - deadline) / 1ms) + " ms after its deadline");
    if (failed && std::find(documented.begin(), documented.end(), failed->reason()) == documented.end())
        complain(by.name() + ": " + what + " ended with an error that it does not document: " + failed->what());
    co_return failed;
}

// A process that was killed has none.
std::size_t world::lives() const noexcept {
    std::size_t all = 0;
    for (const auto& each : ranks_) all += each->killed() ? 0 : static_cast<std::size_t>(each->lives);
    return all;
}

void world::run(duration leftovers) {
    plan_faults();
    const auto end = now() + options_.limit;
    while (lives() != 0 && kernel_.steps() < options_.most_steps && kernel_.step(end)) {}
    for (const auto* each : lasting_) {
        if (!each->by.killed()) complain(each->by.name() + ": " + each->what + " hangs since " + std::to_string((now() - each->began) / 1ms) + " ms");
    }
    if (lives() != 0) complain(std::to_string(lives()) + " processes have not ended");
    if (!complaints_.empty()) return;
    const auto last = std::max(now(), faults_end_) + leftovers;
    while (kernel_.steps() < options_.most_steps && kernel_.step(last)) {}
    check_leftovers();
    for (const auto& each : on_end) each();
}

void world::check_leftovers() {
    for (const auto& each : ranks_) {
        if (each->killed()) continue;
        const auto waiting = detail::parked_coroutines(each->executor());
        if (waiting != 0) complain(each->name() + ": " + std::to_string(waiting) + " coroutines wait for ever");
    }
    network_.forget_closed();
    for (const auto& each : network_.links()) complain("connection " + each->name() + " is still there: " + each->standing());
    const auto keys = cluster_.data().range(etcd::range_request(etcd::prefix({})));
    const auto meant = [this](const std::string& key) {
        return std::any_of(ignored_.begin(), ignored_.end(), [&key](const std::string& prefix) { return key.starts_with(prefix); });
    };
    for (const auto& kv : keys.kvs) {
        if (!meant(kv.key)) complain("key " + kv.key + " is still there");
    }
    for (const auto& each : cluster_.data().leases().leases) complain("lease " + std::to_string(each.value) + " is still there");
}

} // namespace etcdcoll::sim
