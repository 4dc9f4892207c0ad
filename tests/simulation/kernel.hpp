#pragma once
// Processes that run on one thread: who is next is the seed's choice, and time passes only when nobody has anything to do.

#include "randomness.hpp"
#include "trace.hpp"

#include <etcdcoll/environment.hpp>
#include <etcdcoll/impl/etcd/in_memory/virtual_clock.hpp>

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace etcdcoll::sim {

/// Something that a process has to do.
class task {
public:
    virtual ~task() = default;
    virtual void run() = 0;
};

class process;

/// Runs handlers in a process, one at a time, those that are ready in any order: as an io_context with several threads may.
class process_executor {
public:
    explicit process_executor(process& of) noexcept : process_(&of) {}

    asio::execution_context& query(asio::execution::context_t) const noexcept;
    asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        return at_once_ ? asio::execution::blocking_t(asio::execution::blocking.possibly) : asio::execution::blocking_t(asio::execution::blocking.never);
    }
    // A strand that is running may then run a handler at once. This executor itself never does.
    process_executor require(asio::execution::blocking_t::possibly_t) const noexcept { return {*process_, true}; }
    process_executor require(asio::execution::blocking_t::never_t) const noexcept { return {*process_, false}; }
    template <class Function> void execute(Function&& function) const;
    friend bool operator==(const process_executor& a, const process_executor& b) noexcept { return a.process_ == b.process_ && a.at_once_ == b.at_once_; }
    friend bool operator!=(const process_executor& a, const process_executor& b) noexcept { return !(a == b); }

private:
    process_executor(process& of, bool at_once) noexcept : process_(&of), at_once_(at_once) {}

    process* process_;
    bool at_once_ = true;
};

class kernel {
public:
    kernel(std::uint64_t seed, std::function<void(const std::string&)> print);
    ~kernel();
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;

    time_point now() const noexcept { return clock->now(); }
    /// Calls `function` at that time, from outside of every process.
    void at(time_point when, std::function<void()> function);
    void after(duration how_long, std::function<void()> function) { at(now() + how_long, std::move(function)); }

    /// Does one thing; false when there is nothing left, or only what is due after `limit`.
    bool step(time_point limit = time_point::max());
    std::uint64_t steps() const noexcept { return steps_; }

    const std::shared_ptr<etcd::model::virtual_clock> clock = std::make_shared<etcd::model::virtual_clock>();
    sim::chance chance;
    sim::trace trace;

private:
    friend class process;
    struct ready {
        process* of;
        std::unique_ptr<task> what;
    };
    std::vector<ready> ready_;
    std::uint64_t steps_ = 0;
};

/// One simulated process.
class process : private asio::execution_context {
public:
    process(kernel& of, std::uint64_t number, std::string name);
    ~process();

    const std::string& name() const noexcept { return name_; }
    std::uint64_t number() const noexcept { return number_; }
    asio::any_io_executor executor() noexcept;

    /// It does nothing until resume(): stopped, or starved.
    void pause() noexcept { paused_ = true; }
    void resume();
    bool paused() const noexcept { return paused_; }
    /// Everything that it was doing is gone, where it stood.
    void kill();
    bool killed() const noexcept { return killed_; }

    void post(std::unique_ptr<task> what);
    void trace(const std::function<std::string()>& text) { kernel_.trace.line(kernel_.now(), name_, text); }
    kernel& owner() noexcept { return kernel_; }

private:
    friend class process_executor;
    kernel& kernel_;
    std::uint64_t number_;
    std::string name_;
    std::vector<std::unique_ptr<task>> waiting_; // while it is paused
    bool paused_ = false;
    bool killed_ = false;
};

template <class Function> void process_executor::execute(Function&& function) const {
    struct function_task final : task {
        explicit function_task(Function&& f) : function(std::forward<Function>(f)) {}
        void run() override {
            auto mine = std::move(function);
            mine();
        }
        std::decay_t<Function> function;
    };
    process_->post(std::make_unique<function_task>(std::forward<Function>(function)));
}

} // namespace etcdcoll::sim
