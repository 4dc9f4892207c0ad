// Locks. Whoever is cancelled stands in nobody's way.
#include "sweep.hpp"

#include <etcdcoll/recipes/mutex.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class locking : public operation_of_session {
public:
    explicit locking(world& of) : operation_of_session(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        lock_.emplace(mine, "job");
    }

protected:
    // Another contender has it soon, long before a lease could run out.
    asio::awaitable<void> take_it() {
        const auto before = all.now();
        mutex another(mine, "job");
        auto hold = co_await another.lock(5s);
        require(all.now() - before < 1s, "the lock is free only after " + std::to_string((all.now() - before) / 1ms) + " ms");
        require(hold.key() == first_in_line(), "who has the lock is not the first in line");
        co_await hold.unlock();
        co_await pause(100ms);
        require(stored_below("job/@mutex/") == 0, "somebody stands in line who has gone");
    }
    void require_held(const mutex_hold& hold) {
        require(hold.key() == first_in_line(), "who has the lock is not the first in line");
        require(stored(hold.key())->create_revision == hold.token(), "the token is not of the key");
    }
    std::optional<mutex> lock_;
    std::optional<mutex_hold> hold_;

private:
    std::string first_in_line() const {
        etcd::range_request request(etcd::prefix("job/@mutex/"));
        request.sort_target = etcd::sort_target::create;
        request.sort_order = etcd::sort_order::ascend;
        const auto found = data().range(request);
        return found.kvs.empty() ? std::string() : found.kvs.front().key;
    }
};

class lock_call : public locking {
public:
    explicit lock_call(world& of) : locking(of) {}
    asio::awaitable<void> act() override {
        auto hold = co_await lock_->lock(30s);
        hold_.emplace(std::move(hold));
    }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) {
            require_held(*hold_);
            hold_.reset();
        }
        co_await take_it();
    }
};

// Behind one that has it for a while.
class waiting_lock final : public lock_call {
public:
    explicit waiting_lock(world& of) : lock_call(of) {}
    asio::awaitable<void> prepare() override {
        co_await lock_call::prepare();
        auto hold = co_await lock_->lock();
        first_ = std::make_shared<mutex_hold>(std::move(hold));
    }
    asio::awaitable<void> act() override {
        all.spawn(self, [this, first = first_] { return give_up(first); });
        return lock_call::act();
    }

private:
    asio::awaitable<void> give_up(std::shared_ptr<mutex_hold> first) {
        co_await pause(10ms);
        co_await first->unlock();
    }
    std::shared_ptr<mutex_hold> first_;
};

class try_lock_call : public locking {
public:
    explicit try_lock_call(world& of) : locking(of) {}
    asio::awaitable<void> act() override { hold_ = co_await lock_->try_lock(); }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) {
            require(hold_.has_value(), "the lock was free, and was not taken");
            require_held(*hold_);
            hold_.reset();
        }
        co_await take_it();
    }
};

class vain_try_lock final : public locking {
public:
    explicit vain_try_lock(world& of) : locking(of) {}
    asio::awaitable<void> prepare() override {
        co_await locking::prepare();
        auto hold = co_await lock_->lock();
        hold_.emplace(std::move(hold));
    }
    asio::awaitable<void> act() override { second_ = co_await lock_->try_lock(); }
    asio::awaitable<void> check(ending) override {
        require(!second_, "two have the lock");
        require_held(*hold_);
        hold_.reset();
        co_await take_it();
    }

private:
    std::optional<mutex_hold> second_;
};

class of_a_hold : public locking {
public:
    explicit of_a_hold(world& of) : locking(of) {}
    asio::awaitable<void> prepare() override {
        co_await locking::prepare();
        auto hold = co_await lock_->lock();
        hold_.emplace(std::move(hold));
    }
};

// Given up all the same.
class unlock_call final : public of_a_hold {
public:
    explicit unlock_call(world& of) : of_a_hold(of) {}
    static promises promised() { return {.withdraws = true, .lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> act() override { co_await hold_->unlock(); }
    asio::awaitable<void> check(ending) override {
        co_await take_it();
        std::optional<error> why;
        try {
            co_await hold_->unlock();
        } catch (const error& failure) {
            why.emplace(failure);
        }
        require(why && why->reason() == errc::closed, "a lock that was given up can be given up again");
    }
};

class lost_call final : public of_a_hold {
public:
    explicit lost_call(world& of) : of_a_hold(of) {}
    static promises promised() { return {.withdraws = true, .others = {"job/@mutex/"}}; }
    asio::awaitable<void> act() override {
        later(10ms, [key = hold_->key()](auto& there) { there.erase(etcd::delete_range_request(key)); });
        co_await hold_->lost();
    }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) require(!stored(hold_->key()), "the lock is told to be lost, and is not");
        co_await hold_->lost();
        co_await take_it();
    }
};

class holder_call final : public of_a_hold {
public:
    explicit holder_call(world& of) : of_a_hold(of) {}
    asio::awaitable<void> act() override { found_ = co_await lock_->holder(); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || (found_ && found_->key == hold_->key()), "another is told to hold the lock");
        require_held(*hold_);
        hold_.reset();
        co_await take_it();
    }

private:
    std::optional<etcd::key_value> found_;
};

} // namespace

TEST_CASE("cancel: mutex.lock ends with cancelled or success at every handler") { sweep<lock_call>("mutex.lock"); }
TEST_CASE("cancel: mutex.lock that waits ends with cancelled or success at every handler") { sweep<waiting_lock>("mutex.lock that waits"); }
TEST_CASE("cancel: mutex.try_lock ends with cancelled or success at every handler") { sweep<try_lock_call>("mutex.try_lock"); }
TEST_CASE("cancel: mutex.try_lock in vain ends with cancelled or success at every handler") { sweep<vain_try_lock>("mutex.try_lock in vain"); }
TEST_CASE("cancel: mutex_hold.unlock ends with cancelled or success at every handler") { sweep<unlock_call>("mutex_hold.unlock"); }
TEST_CASE("cancel: mutex_hold.lost ends with cancelled or success at every handler") { sweep<lost_call>("mutex_hold.lost"); }
TEST_CASE("cancel: mutex.holder ends with cancelled or success at every handler") { sweep<holder_call>("mutex.holder"); }

} // namespace etcdcoll::sim
