#pragma once
// One run: a cluster, the network, processes with their clients, the faults, and what is checked of all of it.

#include "cluster.hpp"
#include "faults.hpp"

#include <etcdcoll/etcd/client.hpp>

#include <deque>
#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

namespace etcdcoll::sim {

class world;

/// A process with what its clients get from the system.
class rank_process final : public process {
public:
    rank_process(world& of, std::uint64_t number, std::string name);
    ~rank_process();

    /// The system as this process sees it.
    std::shared_ptr<environment> system() const noexcept;
    /// The wall clock says something else from now on.
    void jump_wall_clock(duration by) noexcept;
    client make_client(client_options options = client_options());
    /// How long it has been paused in all: operations may end so much later.
    duration lost_time{};
    /// How long it may be paused without harm; the scenario's, its lease.
    duration lease = std::chrono::seconds(10);
    /// What has been spawned in it and has not ended.
    int lives = 0;

private:
    class process_environment;
    world& world_;
    std::shared_ptr<process_environment> system_;
};

struct world_options {
    std::uint64_t seed = 1;
    fault_rates rates;
    std::size_t processes = 0;
    duration faults_for = std::chrono::seconds(30); ///< then everything works again
    duration limit = std::chrono::minutes(15);      ///< of the whole run
    std::uint64_t most_steps = 20'000'000;
    std::function<void(const std::string&)> print;
};

class world {
public:
    explicit world(world_options options);
    ~world();

    sim::kernel& scheduler() noexcept { return kernel_; }
    sim::network& net() noexcept { return network_; }
    sim::cluster& etcd() noexcept { return cluster_; }
    rank_process& rank(std::size_t i) { return *ranks_[i]; }
    std::size_t size() const noexcept { return ranks_.size(); }
    time_point now() const noexcept { return kernel_.now(); }

    /// Begins what a process does. What it throws is a fault, but for errors in expect().
    void spawn(rank_process& in, std::function<asio::awaitable<void>()> life);
    /// Runs until all lives have ended, and then until what they left has run out; complains about what hangs and what is left.
    void run(duration leftovers);
    /// Complains about what is left of connections, coroutines, keys and leases. When all lives have ended, and everything has run out; run() does it.
    void check_leftovers();

    /// A promise that was broken. The first ones are kept.
    void complain(std::string what);
    const std::vector<std::string>& complaints() const noexcept { return complaints_; }

    /// Runs one operation of a process: it has to end by `deadline` and half a second, with success or one of these errors, the text of which has
    /// to say something. Returns the error; nothing: it has worked.
    asio::awaitable<std::optional<error>> expect(rank_process& by, std::string what, time_point deadline, std::vector<errc> documented,
                                                 asio::awaitable<void> operation);

    /// How long a process works between two calls, at most: by the seed nothing, or enough for every fault to come in between.
    duration pace() const noexcept { return pace_; }
    /// The time to live of leases in this run.
    std::chrono::seconds ttl() const noexcept { return ttl_; }
    /// Keys that the scenario leaves on purpose.
    void ignore_keys(std::string prefix) { ignored_.push_back(std::move(prefix)); }
    /// Called with all events of each revision, in order.
    std::vector<std::function<void(const std::vector<etcd::event>&)>> on_revision;
    /// Called at the end, when nothing is left to do.
    std::vector<std::function<void()>> on_end;

private:
    class lasting;
    std::size_t lives() const noexcept;
    void plan_faults();
    void fault_at(duration least, duration most, std::function<void()> fault);
    void pause_rank(rank_process& which, duration how_long);

    world_options options_;
    sim::kernel kernel_;
    sim::network network_;
    sim::cluster cluster_;
    std::set<lasting*> lasting_; // operations under way; outlives their frames
    std::vector<std::unique_ptr<rank_process>> ranks_;
    std::vector<std::string> complaints_;
    std::vector<std::string> ignored_;
    duration pace_{};
    std::chrono::seconds ttl_{10};
    time_point faults_end_;
};

} // namespace etcdcoll::sim
