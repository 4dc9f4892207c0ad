#include "collectives.hpp"

#include "list.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

const std::vector<errc> of_client = {errc::timed_out, errc::connection_failed, errc::unavailable, errc::outcome_unknown, errc::lease_lost};

std::vector<errc> and_also(std::vector<errc> more) {
    more.insert(more.end(), of_client.begin(), of_client.end());
    return more;
}

const std::vector<errc> of_joining = and_also({errc::rank_taken, errc::group_full});
const std::vector<errc> of_leaving = and_also({errc::not_found});
const std::vector<errc> of_holding = and_also({errc::closed});

} // namespace

const std::vector<errc>& troubles() { return of_client; }
const std::vector<errc>& joining_troubles() { return of_joining; }
const std::vector<errc>& leaving_troubles() { return of_leaving; }
const std::vector<errc>& holding_troubles() { return of_holding; }

bool only_lossy(const fault_rates& rates) {
    return !rates.partitions && !rates.members_pause && !rates.members_die && !rates.leader_changes && !rates.ranks_stall && !rates.ranks_die;
}

group_options simulated_group(const world& of, int rank) {
    group_options options;
    options.name("train").rank(rank).size(static_cast<int>(of.size())).ttl(of.ttl()).timeout(60s).join_timeout(60s);
    return options;
}

asio::awaitable<void> join_group(client through, group_options options, group* into) {
    auto joined = co_await group::join(std::move(through), std::move(options));
    *into = std::move(joined);
}

namespace {

std::string block_of(std::int64_t epoch, std::uint64_t number, int rank) {
    std::string text = std::to_string(epoch) + "/" + std::to_string(number) + "/" + std::to_string(rank);
    text.append(static_cast<std::size_t>(rank) * number % 40, '.');
    return text;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

asio::awaitable<void> gather(world& of, group* in, std::uint64_t number, collective_options options) {
    const auto mine = block_of(in->epoch(), number, in->rank());
    const auto all = co_await in->allgather_bytes(bytes_of(mine), options);
    for (int rank = 0; rank < in->size(); ++rank) {
        const auto expected = block_of(in->epoch(), number, rank);
        const auto& got = all.at(static_cast<std::size_t>(rank));
        const std::string text(reinterpret_cast<const char*>(got.data()), got.size());
        if (text != expected) of.complain("allgather " + std::to_string(number) + ": block " + std::to_string(rank) + " is " + text + ", not " + expected);
    }
}

} // namespace

asio::awaitable<void> take_time(world& of, rank_process& self) {
    const auto pace = of.pace();
    if (pace == duration::zero()) co_return;
    const auto until = of.now() + duration(static_cast<duration::rep>(self.system()->random() % static_cast<std::uint64_t>(pace.count())));
    co_await detail::sleep_until(self.executor(), self.system(), until);
}

asio::awaitable<std::optional<error>> call_collective(world& of, rank_process& self, std::shared_ptr<group_checker> checker, group* in, std::uint64_t number,
                                                      bool gathers, duration timeout) {
    static const std::vector<errc> documented = {errc::timed_out, errc::rank_lost, errc::aborted, errc::collective_mismatch, errc::lease_lost};
    const auto epoch = in->epoch();
    const auto rank = in->rank();
    collective_options options;
    options.timeout = timeout;
    co_await take_time(of, self);
    checker->called(epoch, number, rank);
    const auto began = of.now();
    const bool lossy = only_lossy(of.net().rates());
    auto operation = gathers ? gather(of, in, number, options) : in->barrier(options);
    auto what = (gathers ? "allgather " : "barrier ") + std::to_string(number) + " of epoch " + std::to_string(epoch);
    auto failed = co_await of.expect(self, std::move(what), of.now() + timeout, documented, std::move(operation));
    if (!failed) checker->left(epoch, number, rank);
    // Where there was time enough, and no member was out of reach.
    const bool for_nobody = failed && lossy && of.now() - began >= 9s && std::string_view(failed->what()).find("all ranks have arrived") != std::string_view::npos;
    if (for_nobody) of.complain(self.name() + " waited for nobody: " + failed->what());
    co_return failed;
}

namespace {

constexpr std::uint64_t rounds = 20;

// I4, where nothing goes wrong: what a collective costs does not grow with the ranks. Counted from the moment in which the first rank is through the first, when all have joined.
class cost_checker {
public:
    cost_checker(world& of, bool gathers) : world_(of), publications_(gathers && of.size() > 1 ? 1 : 0), counts_(of.net().rates() == fault_rates()) {}

    void through(std::uint64_t number) {
        if (number == 1 && began_ == 0) {
            began_ = world_.etcd().calls();
            since_ = world_.now();
        }
        if (number == rounds) {
            ended_ = world_.etcd().calls();
            until_ = world_.now();
        }
    }
    void compare() const {
        if (!counts_) return;
        const auto ranks = world_.size();
        const auto renewals = 1 + static_cast<std::uint64_t>((until_ - since_) * 3 / world_.ttl());
        const auto notices = static_cast<std::uint64_t>((until_ - since_) / 10s); // the log lines of those who wait
        const auto most = (rounds - 1) * (ranks + publications_) + ranks * (3 + renewals + notices); // and those who leave already
        const auto calls = ended_ - began_;
        if (calls > most) world_.complain("I4: " + std::to_string(calls) + " requests of " + std::to_string(ranks) + " ranks, " + std::to_string(most) + " at most");
    }
    // One event a collective, and one for each rank that comes, says that it leaves, and goes.
    void events(const rank_process& of, std::uint64_t seen) const {
        const auto most = rounds + 3 * world_.size();
        if (counts_ && seen > most) world_.complain("I4: " + of.name() + " was sent " + std::to_string(seen) + " events, " + std::to_string(most) + " at most");
    }

private:
    world& world_;
    std::uint64_t publications_;
    bool counts_; // nothing goes wrong in this run
    std::uint64_t began_ = 0;
    std::uint64_t ended_ = 0;
    time_point since_;
    time_point until_;
};

asio::awaitable<void> rank_life(world& of, rank_process& self, std::shared_ptr<group_checker> checker, std::shared_ptr<cost_checker> cost, int rank, bool gathers, bool must_work) {
    const auto etcd = self.make_client();
    group joined;
    const auto options = simulated_group(of, rank);
    auto joining = join_group(etcd, options, &joined);
    const auto refused = co_await of.expect(self, "join", of.now() + 60s, joining_troubles(), std::move(joining));
    if (refused) {
        if (must_work) of.complain(self.name() + " could not join: " + refused->what());
        co_return;
    }
    for (std::uint64_t number = 1; number <= rounds; ++number) {
        const auto failed = co_await call_collective(of, self, checker, &joined, number, gathers, 60s);
        cost->through(number);
        if (!failed) continue;
        if (must_work) of.complain(self.name() + " failed: " + failed->what());
        break;
    }
    cost->events(self, etcd.metrics().watch_events);
    const auto deadline = of.now() + 16s;
    const auto unclear = co_await of.expect(self, "leave", deadline, leaving_troubles(), joined.leave());
    if (unclear && must_work) of.complain(self.name() + " could not leave: " + unclear->what());
}

void begin(world& of, bool gathers) {
    const auto checker = group_checker::follow(of, "train", static_cast<int>(of.size()));
    const auto cost = std::make_shared<cost_checker>(of, gathers);
    of.on_end.push_back([cost] { cost->compare(); });
    const bool must_work = only_lossy(of.net().rates());
    for (std::size_t i = 0; i < of.size(); ++i) {
        auto& self = of.rank(i);
        of.spawn(self, [&of, &self, checker, cost, rank = static_cast<int>(i), gathers, must_work] {
            return rank_life(of, self, checker, cost, rank, gathers, must_work);
        });
    }
}

std::size_t some_ranks(chance& of) {
    constexpr std::size_t sizes[] = {1, 2, 3, 4, 7, 8, 16};
    return sizes[of.below(std::size(sizes))];
}

} // namespace

scenario barrier_scenario() {
    return {"barrier", "20 barriers of a group", some_ranks, [](world& of) { begin(of, false); }};
}

scenario allgather_scenario() {
    return {"allgather", "20 allgathers of a group", some_ranks, [](world& of) { begin(of, true); }};
}

} // namespace etcdcoll::sim
