// When which fault happens.
#include "world.hpp"

#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

// Again and again, as long as there are faults.
void world::fault_at(duration least, duration most, std::function<void()> fault) {
    const auto when = now() + kernel_.chance.between(least, most);
    if (when >= faults_end_) return;
    kernel_.at(when, [this, least, most, fault = std::move(fault)] {
        fault();
        fault_at(least, most, fault);
    });
}

void world::pause_rank(rank_process& which, duration how_long) {
    if (which.paused() || which.killed()) return;
    kernel_.trace.line(now(), which.name(), [&] { return "paused for " + std::to_string(how_long / 1ms) + " ms"; });
    which.pause();
    kernel_.after(how_long, [&which, how_long] {
        which.lost_time += how_long;
        which.resume();
    });
}

void world::plan_faults() {
    auto& chance = kernel_.chance;
    const auto& rates = options_.rates;
    const auto some_rank = [this]() -> rank_process& { return *ranks_[kernel_.chance.below(ranks_.size())]; };
    const auto some_member = [this]() -> member& { return cluster_.at(kernel_.chance.below(cluster::size)); };

    if (rates.partitions) {
        fault_at(50ms, 4s, [=, this, &chance] {
            auto& one = some_rank();
            auto& other = some_member();
            const auto ways = 1 + chance.below(3);
            kernel_.trace.line(now(), "net", [&] { return one.name() + " - " + other.host() + " blocked, ways " + std::to_string(ways); });
            network_.block(one, other, (ways & 1) != 0, (ways & 2) != 0);
            kernel_.after(chance.between(200ms, 6s), [this, &one, &other] { network_.unblock(one, other); });
        });
    }
    if (rates.members_pause) {
        fault_at(200ms, 6s, [=, this, &chance] {
            auto& which = some_member();
            if (!which.up || which.paused) return;
            cluster_.pause(which);
            kernel_.after(chance.between(500ms, 8s), [this, &which] { cluster_.resume(which); });
        });
    }
    if (rates.members_die) {
        fault_at(200ms, 8s, [=, this, &chance] {
            auto& which = some_member();
            if (!which.up) return;
            cluster_.kill(which);
            kernel_.after(chance.between(500ms, 5s), [this, &which] { cluster_.restart(which); });
        });
    }
    if (rates.leader_changes) {
        fault_at(100ms, 8s, [=, this, &chance] {
            if (chance.one_in(2)) {
                cluster_.depose();
                return;
            }
            auto& which = some_member();
            cluster_.isolate(which);
            kernel_.after(chance.between(500ms, 9s), [this, &which] { cluster_.rejoin(which); });
        });
    }
    if (rates.compactions) {
        fault_at(20ms, 1s, [this, &chance] {
            auto& data = cluster_.data();
            const auto back = static_cast<std::int64_t>(chance.one_in(2) ? 0 : chance.below(20));
            const auto at = data.current().value - back;
            if (at <= data.compacted().value || !cluster_.led()) return;
            kernel_.trace.line(now(), "etcd", [&] { return "compacted at " + std::to_string(at); });
            data.compact({at});
        });
    }
    if (rates.ranks_pause) {
        fault_at(100ms, 5s, [=, this, &chance] {
            auto& which = some_rank();
            pause_rank(which, chance.between(10ms, which.lease / 3));
        });
    }
    if (rates.ranks_stall) {
        fault_at(500ms, 20s, [=, this, &chance] {
            auto& which = some_rank();
            pause_rank(which, which.lease + chance.between(100ms, 6s));
        });
    }
    if (rates.ranks_die) {
        fault_at(500ms, 30s, [=, this] {
            auto& which = some_rank();
            if (which.killed()) return;
            kernel_.trace.line(now(), which.name(), [] { return std::string("dies"); });
            which.kill();
        });
    }
    if (rates.wall_clock_jumps) {
        fault_at(100ms, 3s, [=, this, &chance] { some_rank().jump_wall_clock(chance.between(-100h, 100h)); });
    }
    kernel_.at(faults_end_, [this] {
        cluster_.heal();
        network_.rates() = fault_rates();
        for (const auto& one : ranks_) {
            for (std::size_t i = 0; i < cluster::size; ++i) network_.unblock(*one, cluster_.at(i));
        }
    });
}

} // namespace etcdcoll::sim
