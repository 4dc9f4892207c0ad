// Sessions and batches.
#include "sweep.hpp"

#include <etcdcoll/etcd/batch.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class open_call final : public operation {
public:
    explicit open_call(world& of) : operation(of) {}
    static promises promised() { return {}; }
    asio::awaitable<void> act() override {
        auto opened = co_await session::open(etcd, 5s);
        mine_ = std::move(opened);
    }
    asio::awaitable<void> check(ending how) override {
        if (how != ending::done) mine_ = co_await session::open(etcd, 5s);
        etcd::put_request request("leased", "1", mine_.lease());
        const auto written = co_await etcd.put(std::move(request));
        static_cast<void>(written);
        co_await pause(12s);
        require(stored("leased").has_value(), "the session is not kept alive");
    }

private:
    session mine_;
};

class lost_call final : public operation_of_session {
public:
    explicit lost_call(world& of) : operation_of_session(of) {}
    static promises promised() { return {}; }
    asio::awaitable<void> act() override {
        later(20ms, [lease = mine.lease()](auto& there) { there.revoke(lease); });
        co_await mine.lost();
    }
    asio::awaitable<void> check(ending) override { co_await mine.lost(); }
};

class close_call final : public operation_of_session {
public:
    explicit close_call(world& of) : operation_of_session(of) {}
    static promises promised() { return {.others = {"leased"}}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        data().put(etcd::put_request("leased", "1", mine.lease()));
    }
    asio::awaitable<void> act() override { co_await mine.close(); }
    asio::awaitable<void> check(ending how) override {
        std::optional<error> why;
        try {
            co_await mine.lost();
        } catch (const error& failure) {
            why.emplace(failure);
        }
        require(why && why->reason() == errc::closed, "the session is not closed");
        co_await mine.close();
        require(how != ending::done || !stored("leased"), "its keys are still there");
        co_await pause(12s);
        require(!stored("leased"), "its lease is kept alive");
    }
};

class batch_call final : public operation {
public:
    explicit batch_call(world& of) : operation(of), writes_(etcd) {
        of.on_revision.push_back([&of, told = written_](const std::vector<etcd::event>& events) {
            for (const auto& each : events) {
                if (each.type == etcd::event::kind::put && ++(*told)[each.kv.value] > 1) of.complain(each.kv.value + " is written twice");
            }
        });
    }
    static promises promised() { return {}; } // what a worker has sent is on its way
    asio::awaitable<void> prepare() override {
        writes_.transactions_in_flight(2);
        for (int i = 0; i < writes; ++i) writes_.put("k/" + std::to_string(i % keys), std::to_string(i));
        co_return;
    }
    asio::awaitable<void> act() override { result_ = co_await writes_.run(); }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) check_fates();
        require(writes_.size() == 0, "the batch is not empty");
        writes_.put("k/more", "more");
        auto more = co_await writes_.run();
        require(more.complete() && more.transactions == 1, "the batch does not work any more");
    }

private:
    static constexpr int writes = 300;
    static constexpr int keys = 270; // some are written twice, one after the other

    void check_fates() {
        for (int i = 0; i < writes; ++i) {
            const auto fate = result_.operations.at(static_cast<std::size_t>(i)).fate;
            const bool there = written_->contains(std::to_string(i));
            require(fate == etcd::batch_fate::unknown || there == (fate == etcd::batch_fate::written), "write " + std::to_string(i) + " is told wrongly");
        }
    }

    etcd::batch writes_;
    etcd::batch_result result_;
    std::shared_ptr<std::map<std::string, int>> written_ = std::make_shared<std::map<std::string, int>>();
};

} // namespace

TEST_CASE("cancel: session.open ends with cancelled or success at every handler") { sweep<open_call>("session.open"); }
TEST_CASE("cancel: session.lost ends with cancelled or success at every handler") { sweep<lost_call>("session.lost"); }
TEST_CASE("cancel: session.close ends with cancelled or success at every handler") { sweep<close_call>("session.close"); }
TEST_CASE("cancel: batch.run ends with cancelled or success at every handler") { sweep<batch_call>("batch.run"); }

} // namespace etcdcoll::sim
