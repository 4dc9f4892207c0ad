// A rank dies in an allgather that it has arrived at, and the last one arrives before its watch has told it so.
#include "collectives.hpp"
#include "list.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// What the ranks that live wait for, by the keys.
struct story {
    bool arrived = false; // the first rank at the second allgather
    bool gone = false;    // with its lease
};

std::shared_ptr<story> follow(world& of) {
    const auto seen = std::make_shared<story>();
    of.on_revision.push_back([&of, seen](const std::vector<etcd::event>& events) {
        for (const auto& each : events) {
            const bool put = each.type == etcd::event::kind::put;
            const bool second = each.kv.value.find("\"seq\":2") != std::string::npos;
            if (put && second && each.kv.key.ends_with("/arrive/0") && !std::exchange(seen->arrived, true)) {
                of.scheduler().after(1ms, [&of] { of.rank(0).kill(); });
            }
            if (!put && each.kv.key.ends_with("/w/member/0")) seen->gone = true;
        }
    });
    return seen;
}

asio::awaitable<void> gathers(world& of, rank_process& self, std::shared_ptr<group_checker> checker, std::shared_ptr<story> seen, int rank) {
    const auto etcd = self.make_client();
    group joined;
    const auto options = simulated_group(of, rank);
    auto joining = join_group(etcd, options, &joined);
    const auto refused = co_await of.expect(self, "join", of.now() + 60s, joining_troubles(), std::move(joining));
    if (refused) co_return;
    const auto first = co_await call_collective(of, self, checker, &joined, 1, true, 60s);
    if (first) co_return;
    const bool last = rank == static_cast<int>(of.size()) - 1;
    while (last && !seen->gone && of.now() < time_point(24h + 300s)) {
        co_await detail::sleep_until(self.executor(), self.system(), of.now() + 10ms);
    }
    const auto second = co_await call_collective(of, self, checker, &joined, 2, true, 60s);
    if (!second && seen->arrived) of.complain(self.name() + " has gathered the block of a rank that was lost before the last one arrived");
    const auto unclear = co_await of.expect(self, "leave", of.now() + 16s, leaving_troubles(), joined.leave());
    static_cast<void>(unclear);
}

std::size_t few(chance& of) { return 2 + of.below(3); }

} // namespace

scenario gather_loss_scenario() {
    return {"gather_loss", "a rank dies in an allgather, and the last to arrive does not know it yet", few, [](world& of) {
                of.etcd().lag(3s);
                const auto checker = group_checker::follow(of, "train", static_cast<int>(of.size()));
                const auto seen = follow(of);
                for (std::size_t i = 0; i < of.size(); ++i) {
                    auto& self = of.rank(i);
                    of.spawn(self, [&of, &self, checker, seen, rank = static_cast<int>(i)] { return gathers(of, self, checker, seen, rank); });
                }
            }};
}

} // namespace etcdcoll::sim
