#include "sweep_run.hpp"

#include <etcdcoll/impl/etcd/client_core.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto longest = 10min;  // of anything
constexpr auto on_its_way = 5ms; // what was sent arrives, and is executed
constexpr auto background = 3s;
constexpr auto silence = 10s;    // longer than a call may take, repetitions included
constexpr auto remains = 30s;    // until every lease has run out

world_options options_of(const sweep_row& what, std::uint64_t seed, std::function<void(const std::string&)> print) {
    world_options options;
    options.seed = seed;
    options.processes = what.promised.processes;
    options.print = std::move(print);
    return options;
}

// These hold the operation while they run.
asio::awaitable<void> run_prepare(std::shared_ptr<operation> what) { co_await what->prepare(); }
asio::awaitable<void> run_check(std::shared_ptr<operation> what, ending how) { co_await what->check(how); }

asio::awaitable<void> run_act(std::shared_ptr<operation> what, bool let_through) {
    if (let_through) {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    }
    co_await what->act();
}

std::string text_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& why) {
        return why.what();
    }
}

} // namespace

sweep_run::sweep_run(const sweep_row& what, const sweep_pass& how, std::uint64_t stop_after, std::uint64_t seed,
                     std::function<void(const std::string&)> print)
    : what_(what), how_(how), stop_after_(stop_after), world_(options_of(what, seed, std::move(print))) {
    world_.on_revision.push_back([this](const std::vector<etcd::event>& events) { note(events); });
}

sweep_run::~sweep_run() = default;

void sweep_run::note(const std::vector<etcd::event>& events) {
    if (world_.now() <= quiet_from_) return;
    for (const auto& each : events) {
        const auto mine = [&each](const std::string& prefix) { return each.kv.key.starts_with(prefix); };
        const auto& others = what_.promised.others;
        if (std::any_of(others.begin(), others.end(), mine)) continue;
        world_.complain("key " + each.kv.key + " changes " + std::to_string((world_.now() - ended_at_) / 1ms) + " ms after the end");
    }
}

bool sweep_run::step(time_point limit) {
    const bool more = world_.scheduler().step(limit);
    if (!losing_) return more;
    const auto& links = world_.net().links();
    losing_ = std::none_of(links.begin(), links.end(), [](const auto& line) { return line->is == link::state::broken; });
    if (!losing_) world_.net().rates().reply_lost = 0;
    return more;
}

void sweep_run::run_until(time_point when) {
    while (step(when)) {}
}

void sweep_run::finish(const bool& done, duration limit, const std::string& what) {
    const auto end = world_.now() + limit;
    while (!done && step(end)) {}
    if (!done) world_.complain(what + " hangs");
}

void sweep_run::go() {
    prepare();
    if (complaints().empty()) act();
    if (complaints().empty() && !how_.kills) judge();
    if (complaints().empty() && !how_.kills) use();
    if (complaints().empty()) clear_up();
}

void sweep_run::prepare() {
    operation_ = what_.make(world_);
    alive_ = operation_;
    client_alive_ = operation_->etcd.core();
    bool done = false;
    asio::co_spawn(operation_->self.executor(), run_prepare(operation_), [this, &done](const std::exception_ptr& failed) {
        done = true;
        if (failed) world_.complain("it cannot be prepared: " + text_of(failed));
    });
    finish(done, longest, "the preparation");
    run_until(world_.now());
}

void sweep_run::act() {
    auto& self = operation_->self;
    const auto where = how_.on_strand ? operation_->etcd.core()->strand() : self.executor();
    losing_ = how_.loses_reply;
    if (losing_) world_.net().rates().reply_lost = 1000;
    began_ = world_.now();
    auto done = [this](const std::exception_ptr& failed) {
        ended_ = true;
        ended_at_ = world_.now();
        failure_ = failed;
    };
    asio::co_spawn(where, run_act(operation_, how_.let_through), asio::bind_cancellation_slot(signal_.slot(), std::move(done)));
    std::uint64_t handlers = 0;
    while (!ended_ && handlers < stop_after_ && step(began_ + longest)) ++handlers;
    stopped_ = !ended_;
    if (stopped_) stop();
    if (!ended_ && !how_.kills) finish(ended_, longest, "the operation");
    losing_ = false;
    world_.net().rates().reply_lost = 0;
}

// The caller's executor is the place for it: without a strand that is wherever no handler runs.
void sweep_run::emit() {
    if (!how_.on_strand) {
        signal_.emit(how_.type);
        return;
    }
    asio::post(operation_->etcd.core()->strand(), [this] { signal_.emit(how_.type); });
}

void sweep_run::stop() {
    world_.scheduler().trace.line(world_.now(), "sweep", [this] { return std::string("stops it: ") + how_.name; });
    if (how_.kills) {
        auto& self = operation_->self;
        operation_.reset();
        self.kill();
        if (!alive_.expired()) world_.complain("its coroutine is not destroyed with the process");
        if (!client_alive_.expired()) world_.complain("the client is not destroyed with the process");
        signal_.emit(how_.type);
        return;
    }
    emit();
    if (how_.twice) emit();
    if (how_.type != asio::cancellation_type::terminal) return;
    const auto now = world_.now();
    while (!ended_ && step(now)) {}
    if (!ended_) world_.complain("it does not end at once when it is cancelled");
}

void sweep_run::judge() {
    if (!ended_) return;
    emit(); // it has ended, and hears nothing of this
    ending_ = ending::done;
    if (!failure_) return;
    const bool may_be_cancelled = stopped_ && (how_.type == asio::cancellation_type::terminal || how_.let_through);
    try {
        std::rethrow_exception(failure_);
    } catch (const error& why) {
        const auto& lossy = what_.promised.lossy;
        if (why.reason() == errc::cancelled && may_be_cancelled) {
            ending_ = ending::cancelled;
        } else if (how_.loses_reply && std::find(lossy.begin(), lossy.end(), why.reason()) != lossy.end()) {
            ending_ = ending::failed;
        } else {
            world_.complain(std::string("it ended with ") + why.what());
        }
    } catch (const std::exception& why) {
        world_.complain(std::string("it ended with what is no error of the library: ") + why.what());
    }
}

// Sometimes at once, sometimes after a while in which nothing happens.
void sweep_run::use() {
    const bool at_once = stop_after_ % 2 == 0;
    if (!at_once) be_quiet(what_.promised.withdraws ? duration(background) : duration(on_its_way));
    bool done = false;
    asio::co_spawn(operation_->self.executor(), run_check(operation_, *ending_), [this, &done](const std::exception_ptr& failed) {
        done = true;
        if (failed) world_.complain("afterwards: " + text_of(failed));
    });
    finish(done, longest, "what is done afterwards");
    if (at_once && complaints().empty()) be_quiet(background);
}

// Nothing is written that was not on its way.
void sweep_run::be_quiet(duration grace) {
    quiet_from_ = world_.now() + grace;
    run_until(quiet_from_ + silence);
    quiet_from_ = time_point::max();
}

void sweep_run::clear_up() {
    operation_.reset();
    const auto living = [this] {
        bool some = false;
        for (std::size_t i = 0; i < world_.size(); ++i) some = some || (!world_.rank(i).killed() && world_.rank(i).lives != 0);
        return some;
    };
    const auto end = world_.now() + longest;
    while (living() && step(end)) {}
    if (living()) world_.complain("the others hang");
    run_until(world_.now() + remains);
    if (how_.kills && what_.promised.litters) world_.ignore_keys({});
    world_.check_leftovers();
    if (!alive_.expired()) world_.complain("a coroutine of it is left");
    if (!client_alive_.expired()) world_.complain("something holds its client");
    const auto timers = world_.scheduler().clock->size();
    if (timers != timers_of_cluster_) world_.complain(std::to_string(timers - timers_of_cluster_) + " timers are left");
}

} // namespace etcdcoll::sim
