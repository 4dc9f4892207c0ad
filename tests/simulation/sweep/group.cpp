// A member that is cancelled while it joins, calls or leaves: the other one hears of it, and both can meet again.
#include "group_operation.hpp"
#include "sweep.hpp"

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

// The rank is free again at once, and not only when a lease has run out.
class join_call final : public operation_of_group {
public:
    explicit join_call(world& of) : operation_of_group(of) {}
    asio::awaitable<void> prepare() override { co_return; }
    asio::awaitable<void> act() override { return join(); }
    asio::awaitable<void> check(ending how) override {
        if (how != ending::done) {
            const auto before = all.now();
            co_await join();
            require(all.now() - before < 8s, "the rank is free only after " + std::to_string((all.now() - before) / 1ms) + " ms");
        }
        co_await meet_again();
        co_await mine_.leave();
    }
};

template <collective_call Call> class collective final : public operation_of_group {
public:
    explicit collective(world& of) : operation_of_group(of, Call) {}
    asio::awaitable<void> act() override { return call(); }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) {
            co_await meet_again();
        } else {
            co_await see_it_aborted();
            co_await mine_.leave();
            co_await join();
            co_await meet_again();
        }
        co_await mine_.leave();
    }

private:
    // When it was not counted it may go on.
    asio::awaitable<void> see_it_aborted() {
        std::optional<error> why;
        try {
            co_await call();
        } catch (const error& failure) {
            why.emplace(failure);
        }
        require(!why || why->reason() == errc::aborted, std::string("the group is not aborted: ") + (why ? why->what() : ""));
    }
};

class abort_call final : public operation_of_group {
public:
    explicit abort_call(world& of) : operation_of_group(of) {}
    asio::awaitable<void> act() override { co_await mine_.abort("enough"); }
    asio::awaitable<void> check(ending) override {
        try {
            co_await mine_.abort("enough");
        } catch (const error& why) { // the other one has begun anew
            if (why.reason() != errc::lease_lost) throw;
        }
        co_await mine_.leave();
        co_await join();
        co_await meet_again();
        co_await mine_.leave();
    }
};

class leave_call final : public operation_of_group {
public:
    explicit leave_call(world& of) : operation_of_group(of) {}
    asio::awaitable<void> act() override { co_await mine_.leave(); }
    asio::awaitable<void> check(ending) override {
        std::optional<error> why;
        try {
            co_await mine_.barrier();
        } catch (const error& failure) {
            why.emplace(failure);
        }
        require(why && why->reason() == errc::closed, "the group is not left");
        co_await mine_.leave();
        co_await pause(12s); // where it was cancelled, the lease has to run out first
        co_await join();
        co_await meet_again();
        co_await mine_.leave();
    }
};

} // namespace

// Open: after a lost reply a stopped join can leave the others in an epoch that breaks. Run with [.open].
TEST_CASE("cancel: group.join ends with cancelled or success at every handler", "[.open]") { sweep<join_call>("group.join"); }
TEST_CASE("cancel: group.barrier ends with cancelled or success at every handler") { sweep<collective<call_barrier>>("group.barrier"); }
TEST_CASE("cancel: group.allgather_bytes ends with cancelled or success at every handler") { sweep<collective<call_allgather_bytes>>("group.allgather_bytes"); }
TEST_CASE("cancel: group.allgather ends with cancelled or success at every handler") { sweep<collective<call_allgather>>("group.allgather"); }
TEST_CASE("cancel: group.abort ends with cancelled or success at every handler") { sweep<abort_call>("group.abort"); }
TEST_CASE("cancel: group.leave ends with cancelled or success at every handler") { sweep<leave_call>("group.leave"); }

} // namespace etcdcoll::sim
