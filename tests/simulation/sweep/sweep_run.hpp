#pragma once
// One run of a sweep: an operation that is stopped after its k-th handler, or ends before that.

#include "sweep.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <exception>
#include <optional>

namespace etcdcoll::sim {

/// One way of stopping an operation.
struct sweep_pass {
    const char* name;
    asio::cancellation_type type = asio::cancellation_type::terminal;
    bool on_strand = false;   ///< the caller runs on the client's strand, not beside it
    bool twice = false;       ///< the signal comes again in the same moment
    bool let_through = false; ///< the caller's coroutine takes every type of cancellation
    bool kills = false;       ///< everything in the process is destroyed instead
    bool loses_reply = false; ///< the first reply that the operation causes
};

class sweep_run {
public:
    sweep_run(const sweep_row& what, const sweep_pass& how, std::uint64_t stop_after, std::uint64_t seed, std::function<void(const std::string&)> print);
    ~sweep_run();

    void go();
    /// False: the operation had fewer handlers.
    bool stopped() const noexcept { return stopped_; }
    std::optional<ending> ended() const noexcept { return ending_; }
    const std::vector<std::string>& complaints() const noexcept { return world_.complaints(); }

private:
    void prepare();
    void act();
    void stop();
    void emit();
    void judge();
    void use();
    void be_quiet(duration grace);
    void clear_up();
    bool step(time_point limit);
    void run_until(time_point when);
    void finish(const bool& done, duration limit, const std::string& what);
    void note(const std::vector<etcd::event>& events);

    const sweep_row& what_;
    const sweep_pass& how_;
    std::uint64_t stop_after_;
    world world_;
    const std::size_t timers_of_cluster_ = world_.scheduler().clock->size();
    asio::cancellation_signal signal_;
    std::shared_ptr<operation> operation_; // until the run lets go of it
    std::weak_ptr<operation> alive_;
    std::weak_ptr<etcdcoll::detail::client_core> client_alive_;
    std::exception_ptr failure_;
    std::optional<ending> ending_;
    time_point began_;
    time_point ended_at_;
    time_point quiet_from_ = time_point::max(); // until when nothing may be written
    bool losing_ = false;
    bool ended_ = false;
    bool stopped_ = false;
};

} // namespace etcdcoll::sim
