// Queues and double barriers. No item is lost or doubled, nobody is waited for who has gone.
#include "sweep.hpp"

#include <etcdcoll/recipes/double_barrier.hpp>
#include <etcdcoll/recipes/queue.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class queueing : public operation_of_session {
public:
    explicit queueing(world& of) : operation_of_session(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        items_.emplace(mine, "k/jobs");
    }
    // What was taken, and then what is still there, is what was pushed.
    asio::awaitable<void> check(ending) override {
        co_await pause(100ms); // an item may be on its way back
        for (;;) {
            auto item = co_await items_->try_pop();
            if (!item) break;
            taken_.push_back(std::move(*item));
        }
        const auto left = co_await items_->size();
        require(left == 0, "an empty queue has items");
        require(taken_ == pushed_, "of " + std::to_string(pushed_.size()) + " items " + std::to_string(taken_.size()) + " came, or others, or in another order");
    }

protected:
    asio::awaitable<void> push(std::string item) {
        pushed_.push_back(item);
        co_await items_->push(std::move(item));
    }
    std::optional<etcdcoll::queue> items_;
    std::vector<std::string> pushed_;
    std::vector<std::string> taken_;
};

// In the queue, or never.
class push_call final : public queueing {
public:
    explicit push_call(world& of) : queueing(of) {}
    static promises promised() { return {.withdraws = true, .lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> act() override { co_await items_->push("a"); }
    asio::awaitable<void> check(ending how) override {
        co_await pause(100ms);
        const auto there = stored_below("k/jobs/@queue/");
        require(there == 1 || (there == 0 && how != ending::done), std::to_string(there) + " items are there");
        if (there == 1) pushed_.push_back("a");
        co_await push("b");
        co_await queueing::check(how);
    }
};

class pop_call : public queueing {
public:
    explicit pop_call(world& of) : queueing(of) {}
    asio::awaitable<void> prepare() override {
        co_await queueing::prepare();
        co_await push("a");
        co_await push("b");
    }
    asio::awaitable<void> act() override {
        auto item = co_await items_->pop();
        taken_.push_back(std::move(item));
    }
};

class try_pop_call final : public pop_call {
public:
    explicit try_pop_call(world& of) : pop_call(of) {}
    asio::awaitable<void> act() override {
        auto item = co_await items_->try_pop();
        require(item.has_value(), "the queue is told to be empty");
        if (item) taken_.push_back(std::move(*item));
    }
};

// From an empty queue, until somebody pushes.
class waiting_pop final : public queueing {
public:
    explicit waiting_pop(world& of) : queueing(of) {}
    asio::awaitable<void> act() override {
        pushed_.emplace_back("a");
        all.spawn(self, [this] { return push_later(*items_); });
        auto item = co_await items_->pop(30s);
        taken_.push_back(std::move(item));
    }

private:
    asio::awaitable<void> push_later(etcdcoll::queue items) {
        co_await pause(10ms);
        co_await items.push("a");
    }
};

class size_call final : public queueing {
public:
    explicit size_call(world& of) : queueing(of) {}
    asio::awaitable<void> prepare() override {
        co_await queueing::prepare();
        co_await push("a");
    }
    asio::awaitable<void> act() override { size_ = co_await items_->size(); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || size_ == 1, "the queue has another size");
        co_await queueing::check(how);
    }

private:
    std::int64_t size_ = 0;
};

// Another process enters and leaves until this one has gone.
class meeting : public operation_of_session {
public:
    explicit meeting(world& of) : operation_of_session(of) {}
    ~meeting() override { *over_ = true; }
    static promises promised() { return {.processes = 2, .others = {"meet/"}, .litters = true}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        here_.emplace(mine, "meet", 2, "this");
        all.spawn(all.rank(1), [&all = all, over = over_] { return meets(all, over); });
    }
    // Both are released together once more, soon.
    asio::awaitable<void> check(ending) override {
        const auto before = all.now();
        for (bool entered = false; !entered;) {
            here_.emplace(mine, "meet", 2, "this again");
            try {
                co_await here_->enter(20s);
                entered = true;
            } catch (const error& why) { // the other was released with the one that was cancelled
                if (why.reason() != errc::group_full) throw;
            }
        }
        co_await here_->leave(20s);
        require(all.now() - before < 4s, "the others were let in only after " + std::to_string((all.now() - before) / 1ms) + " ms");
    }

protected:
    std::optional<double_barrier> here_;

private:
    static asio::awaitable<void> meets(world& of, std::shared_ptr<bool> over) {
        auto etcd = of.rank(1).make_client();
        const auto mine = co_await session::open(etcd);
        while (!*over) {
            double_barrier other(mine, "meet", 2, "other");
            bool entered = true;
            try {
                co_await other.enter(1s);
            } catch (const error& why) { // nobody came, or the one that was cancelled with another one
                if (why.reason() != errc::timed_out && why.reason() != errc::group_full) throw;
                entered = false;
            }
            if (!entered) continue;
            co_await other.leave(15s); // who dies is gone when its lease has run out
        }
    }
    std::shared_ptr<bool> over_ = std::make_shared<bool>(false);
};

class enter_call final : public meeting {
public:
    explicit enter_call(world& of) : meeting(of) {}
    asio::awaitable<void> act() override { co_await here_->enter(20s); }
};

class leave_call final : public meeting {
public:
    explicit leave_call(world& of) : meeting(of) {}
    static promises promised() {
        auto result = meeting::promised();
        result.lossy = {errc::outcome_unknown};
        return result;
    }
    asio::awaitable<void> prepare() override {
        co_await meeting::prepare();
        co_await here_->enter(20s);
    }
    asio::awaitable<void> act() override { co_await here_->leave(20s); }
};

} // namespace

TEST_CASE("cancel: queue.push ends with cancelled or success at every handler") { sweep<push_call>("queue.push"); }
TEST_CASE("cancel: queue.pop ends with cancelled or success at every handler") { sweep<pop_call>("queue.pop"); }
TEST_CASE("cancel: queue.pop that waits ends with cancelled or success at every handler") { sweep<waiting_pop>("queue.pop that waits"); }
TEST_CASE("cancel: queue.try_pop ends with cancelled or success at every handler") { sweep<try_pop_call>("queue.try_pop"); }
TEST_CASE("cancel: queue.size ends with cancelled or success at every handler") { sweep<size_call>("queue.size"); }
TEST_CASE("cancel: double_barrier.enter ends with cancelled or success at every handler") { sweep<enter_call>("double_barrier.enter"); }
TEST_CASE("cancel: double_barrier.leave ends with cancelled or success at every handler") { sweep<leave_call>("double_barrier.leave"); }

} // namespace etcdcoll::sim
