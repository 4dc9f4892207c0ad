// Elections. Whoever is cancelled leads nobody, and what was proclaimed stays.
#include "sweep.hpp"

#include <etcdcoll/recipes/election.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class electing : public operation_of_session {
public:
    explicit electing(world& of) : operation_of_session(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        office_.emplace(mine, "chief");
    }

protected:
    // Another candidate leads soon, long before a lease could run out.
    asio::awaitable<void> take_over() {
        const auto before = all.now();
        election another(mine, "chief");
        auto led = co_await another.campaign("another", 5s);
        require(all.now() - before < 1s, "the office is free only after " + std::to_string((all.now() - before) / 1ms) + " ms");
        const auto leader = co_await another.leader();
        require(leader && leader->key == led.key(), "another is told to lead");
        co_await led.resign();
        co_await pause(100ms);
        require(stored_below("chief/@election/") == 0, "somebody is a candidate who has gone");
    }
    std::optional<election> office_;
};

class campaign_call final : public electing {
public:
    explicit campaign_call(world& of) : electing(of) {}
    asio::awaitable<void> act() override {
        auto led = co_await office_->campaign("first", 30s);
        led_.emplace(std::move(led));
    }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) {
            require(stored(led_->key())->create_revision == led_->token(), "the token is not of the key");
            led_.reset();
        }
        co_await take_over();
    }

private:
    std::optional<leadership> led_;
};

// The body says what it sees of its own end.
class lead_call final : public electing {
public:
    explicit lead_call(world& of) : electing(of) {}
    asio::awaitable<void> act() override {
        const auto body = [this](leadership& led) { return reign(led); };
        co_await office_->lead("first", body);
    }
    asio::awaitable<void> check(ending how) override {
        require(in_office_ == 0, "the body has not ended");
        require(how != ending::done || times_ == 1, "the body was not run");
        co_await take_over();
    }

private:
    struct presence {
        explicit presence(int& count_) : count(count_) { ++count; }
        presence(const presence&) = delete;
        presence& operator=(const presence&) = delete;
        ~presence() { --count; }
        int& count;
    };
    asio::awaitable<void> reign(leadership& led) {
        const presence here(in_office_);
        co_await led.proclaim("in office");
        co_await pause(5ms);
        ++times_;
    }
    int in_office_ = 0;
    int times_ = 0;
};

class leader_call final : public electing {
public:
    explicit leader_call(world& of) : electing(of) {}
    asio::awaitable<void> act() override { found_ = co_await office_->leader(); }
    asio::awaitable<void> check(ending) override {
        require(!found_, "somebody is told to lead");
        co_await take_over();
    }

private:
    std::optional<etcd::key_value> found_;
};

class leading : public electing {
public:
    explicit leading(world& of) : electing(of) {}
    asio::awaitable<void> prepare() override {
        co_await electing::prepare();
        auto led = co_await office_->campaign("first");
        led_.emplace(std::move(led));
    }

protected:
    std::optional<leadership> led_;
};

// Proclaimed, or never.
class proclaim_call final : public leading {
public:
    explicit proclaim_call(world& of) : leading(of) {}
    static promises promised() { return {.withdraws = true, .lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> act() override { co_await led_->proclaim("second"); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || stored(led_->key())->value == "second", "what was proclaimed is not there");
        co_await led_->proclaim("third");
        require(stored(led_->key())->value == "third", "what was proclaimed last is not there");
        led_.reset();
        co_await take_over();
    }
};

class resign_call final : public leading {
public:
    explicit resign_call(world& of) : leading(of) {}
    static promises promised() { return {.withdraws = true, .lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> act() override { co_await led_->resign(); }
    asio::awaitable<void> check(ending) override { co_await take_over(); }
};

class lost_call final : public leading {
public:
    explicit lost_call(world& of) : leading(of) {}
    static promises promised() { return {.withdraws = true, .others = {"chief/@election/"}}; }
    asio::awaitable<void> act() override {
        later(10ms, [key = led_->key()](auto& there) { there.erase(etcd::delete_range_request(key)); });
        co_await led_->lost();
    }
    asio::awaitable<void> check(ending how) override {
        if (how == ending::done) require(!stored(led_->key()), "the leadership is told to be lost, and is not");
        co_await led_->lost();
        co_await take_over();
    }
};

// Everything that is proclaimed comes, once, in order.
class feed_next final : public leading {
public:
    explicit feed_next(world& of) : leading(of), feed_(etcd, "chief") {}
    static promises promised() { return {.withdraws = true, .others = {"chief/@election/"}}; }
    asio::awaitable<void> act() override {
        later(5ms, [key = led_->key(), lease = mine.lease()](auto& there) { there.put(etcd::put_request(key, "second", lease)); });
        const auto told = co_await feed_.next();
        seen_.push_back(told.value);
    }
    asio::awaitable<void> prepare() override {
        co_await leading::prepare();
        const auto told = co_await feed_.next();
        seen_.push_back(told.value);
    }
    asio::awaitable<void> check(ending) override {
        co_await pause(10ms);
        co_await led_->proclaim("third");
        while (seen_.back() != "third") {
            const auto told = co_await feed_.next();
            seen_.push_back(told.value);
        }
        require(seen_ == std::vector<std::string>{"first", "second", "third"}, "the feed leaves something out");
    }

private:
    leader_feed feed_;
    std::vector<std::string> seen_;
};

} // namespace

TEST_CASE("cancel: election.campaign ends with cancelled or success at every handler") { sweep<campaign_call>("election.campaign"); }
TEST_CASE("cancel: election.lead ends with cancelled or success at every handler") { sweep<lead_call>("election.lead"); }
TEST_CASE("cancel: election.leader ends with cancelled or success at every handler") { sweep<leader_call>("election.leader"); }
// Open: a proclamation that was stopped may be overtaken by the next one. Run with [.open].
TEST_CASE("cancel: leadership.proclaim ends with cancelled or success at every handler", "[.open]") { sweep<proclaim_call>("leadership.proclaim"); }
TEST_CASE("cancel: leadership.resign ends with cancelled or success at every handler") { sweep<resign_call>("leadership.resign"); }
TEST_CASE("cancel: leadership.lost ends with cancelled or success at every handler") { sweep<lost_call>("leadership.lost"); }
TEST_CASE("cancel: leader_feed.next ends with cancelled or success at every handler") { sweep<feed_next>("leader_feed.next"); }

} // namespace etcdcoll::sim
