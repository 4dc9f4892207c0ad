// Groups whose members come, go, die, abort and disagree, and whose name is used again and again.
#include "collectives.hpp"
#include "list.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// Joins and leaves, with as many barriers in between as the rank's own chance says: the others then lose it.
asio::awaitable<void> comes_and_goes(world& of, rank_process& self, std::shared_ptr<group_checker> checker, int rank, int times) {
    const auto etcd = self.make_client();
    for (int i = 0; i < times; ++i) {
        group joined;
        const auto options = simulated_group(of, rank).join_timeout(20s);
        auto joining = join_group(etcd, options, &joined);
        const auto refused = co_await of.expect(self, "join", of.now() + 20s, joining_troubles(), std::move(joining));
        if (refused) continue;
        const auto calls = 1 + self.system()->random() % 4;
        for (std::uint64_t number = 1; number <= calls; ++number) {
            const auto failed = co_await call_collective(of, self, checker, &joined, number, false, 15s);
            if (failed) break;
        }
        const auto unclear = co_await of.expect(self, "leave", of.now() + 16s, leaving_troubles(), joined.leave());
        static_cast<void>(unclear);
    }
}

// As many epochs as fit in: each ends by an abort, a mismatch, a rank that just goes, or in order.
asio::awaitable<void> lives_through_epochs(world& of, rank_process& self, std::shared_ptr<group_checker> checker, int rank, int epochs) {
    const auto etcd = self.make_client();
    for (int i = 0; i < epochs; ++i) {
        group joined;
        const auto options = simulated_group(of, rank).join_timeout(30s);
        auto joining = join_group(etcd, options, &joined);
        const auto refused = co_await of.expect(self, "join", of.now() + 30s, joining_troubles(), std::move(joining));
        if (refused) continue;
        const auto end = self.system()->random() % 5;
        // Where ranks take their time, some give up before the others come.
        const auto patience = of.pace() == duration::zero() ? 10s : std::chrono::milliseconds(300 + self.system()->random() % 9700);
        bool failed = false;
        for (std::uint64_t number = 1; number <= 3 && !failed; ++number) {
            const bool other = end == 1 && number == 3; // than the rest may call
            const auto why = co_await call_collective(of, self, checker, &joined, number, other, patience);
            failed = why.has_value();
        }
        if (end == 0 && !failed) {
            const auto told = co_await of.expect(self, "abort", of.now() + 16s, troubles(), joined.abort("enough"));
            static_cast<void>(told);
        }
        if (end == 2) continue; // destroyed without a word
        const auto unclear = co_await of.expect(self, "leave", of.now() + 16s, leaving_troubles(), joined.leave());
        static_cast<void>(unclear);
    }
}

template <class Life> void begin(world& of, Life life, int times) {
    const auto checker = group_checker::follow(of, "train", static_cast<int>(of.size()));
    for (std::size_t i = 0; i < of.size(); ++i) {
        auto& self = of.rank(i);
        of.spawn(self, [&of, &self, checker, life, rank = static_cast<int>(i), times] { return life(of, self, checker, rank, times); });
    }
}

std::size_t few(chance& of) { return 1 + of.below(5); }

} // namespace

scenario join_leave_scenario() {
    return {"join_leave", "ranks that join, call a few barriers and leave, each as often as it likes", few, [](world& of) { begin(of, comes_and_goes, 4); }};
}

scenario epochs_scenario() {
    return {"epochs", "epochs that end by abort, mismatch, loss or in order, one after the other", few, [](world& of) { begin(of, lives_through_epochs, 4); }};
}

} // namespace etcdcoll::sim
