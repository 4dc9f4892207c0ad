#include "kernel.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <utility>

namespace etcdcoll::sim {

asio::execution_context& process_executor::query(asio::execution::context_t) const noexcept { return *process_; }

kernel::kernel(std::uint64_t seed, std::function<void(const std::string&)> print) : chance(seed), trace(std::move(print)) {}

kernel::~kernel() { ready_.clear(); }

void kernel::at(time_point when, std::function<void()> function) { clock->at(std::max(when, now()), std::move(function)); }

bool kernel::step(time_point limit) {
    ++steps_;
    if (ready_.empty()) {
        const auto next = clock->next();
        if (!next || *next > limit) return false;
        trace.mix(static_cast<std::uint64_t>(next->time_since_epoch().count()));
        clock->advance_to(*next);
        return true;
    }
    const auto chosen = chance.below(ready_.size());
    auto work = std::move(ready_[chosen]);
    ready_[chosen] = std::move(ready_.back());
    ready_.pop_back();
    trace.mix(work.of->number());
    work.what->run();
    return true;
}

process::process(kernel& of, std::uint64_t number, std::string name) : kernel_(of), number_(number), name_(std::move(name)) {}

process::~process() { kill(); }

asio::any_io_executor process::executor() noexcept { return process_executor(*this); }

void process::post(std::unique_ptr<task> what) {
    if (killed_) return;
    if (paused_) {
        waiting_.push_back(std::move(what));
    } else {
        kernel_.ready_.push_back({this, std::move(what)});
    }
}

void process::resume() {
    if (!std::exchange(paused_, false)) return;
    for (auto& each : std::exchange(waiting_, {})) kernel_.ready_.push_back({this, std::move(each)});
}

// Coroutines that wait are destroyed by their service, those that are about to run with their tasks. What destructors post is dropped.
void process::kill() {
    if (std::exchange(killed_, true)) return;
    std::vector<kernel::ready> kept;
    std::vector<kernel::ready> gone;
    for (auto& each : std::exchange(kernel_.ready_, {})) (each.of == this ? gone : kept).push_back(std::move(each));
    kernel_.ready_ = std::move(kept);
    gone.clear();
    std::exchange(waiting_, {}).clear();
    shutdown();
}

} // namespace etcdcoll::sim
