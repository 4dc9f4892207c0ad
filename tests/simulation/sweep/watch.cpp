// Watches: whatever is cancelled, no event is lost, none comes twice.
#include "sweep.hpp"

#include <etcdcoll/etcd/list_watch.hpp>
#include <etcdcoll/etcd/namespaced.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

// The key is written before the watch is asked for the first time, while it is asked, and afterwards; whoever asks has to see all of it.
class watching : public operation {
public:
    explicit watching(world& of) : operation(of), changes_(etcd.watch({etcd::prefix("k/w"), data().current()})) {}
    static promises promised() { return {.others = {"k/"}}; }

    asio::awaitable<void> prepare() override {
        store("k/w", "1");
        const auto first = co_await changes_.next();
        take(first.events);
    }

protected:
    void write_meanwhile() {
        later(2ms, [](auto& there) { there.put(etcd::put_request("k/w", "2")); });
    }
    void take(const std::vector<etcd::event>& events) {
        for (const auto& each : events) seen_ += each.kv.value;
    }
    // Also what is written only now.
    asio::awaitable<void> see_the_rest() {
        co_await pause(10ms);
        store("k/w", "3");
        while (seen_.size() < 3) {
            const auto more = co_await changes_.next_within(5s);
            require(more.has_value(), "the watch brings " + seen_ + " and nothing more");
            if (!more) break;
            take(more->events);
        }
        require(seen_ == "123", "the watch brought " + seen_);
    }

    etcd::watch changes_;
    std::string seen_;
};

class next_call final : public watching {
public:
    explicit next_call(world& of) : watching(of) {}
    asio::awaitable<void> act() override {
        write_meanwhile();
        const auto news = co_await changes_.next();
        take(news.events);
    }
    asio::awaitable<void> check(ending) override { co_await see_the_rest(); }
};

class next_within_call final : public watching {
public:
    explicit next_within_call(world& of) : watching(of) {}
    asio::awaitable<void> act() override {
        write_meanwhile();
        const auto news = co_await changes_.next_within(5s);
        if (news) take(news->events);
    }
    asio::awaitable<void> check(ending) override { co_await see_the_rest(); }
};

class progress_call final : public watching {
public:
    explicit progress_call(world& of) : watching(of) {}
    asio::awaitable<void> act() override {
        write_meanwhile();
        const etcd::revision at_least(data().current().value + 1);
        reached_ = co_await changes_.progress(at_least);
    }
    asio::awaitable<void> check(ending how) override {
        const auto written = stored("k/w");
        if (how == ending::done) {
            require(reached_ == written->mod_revision, "the watch is at another revision");
            const auto news = co_await changes_.next_within(0s);
            require(news.has_value(), "the watch has not brought what it says that it has");
            if (news) take(news->events);
        }
        co_await see_the_rest();
    }

private:
    etcd::revision reached_;
};

class namespaced_next final : public operation {
public:
    explicit namespaced_next(world& of) : operation(of), view_(etcd, "k/"), changes_(view_.watch(etcd::prefix("w"))) {}
    static promises promised() { return {.others = {"k/"}}; }
    asio::awaitable<void> act() override {
        later(8ms, [](auto& there) { there.put(etcd::put_request("k/w", "1")); });
        const auto news = co_await changes_.next();
        take(news);
    }
    asio::awaitable<void> check(ending) override {
        co_await pause(20ms);
        store("k/w", "2");
        while (seen_.size() < 2) {
            const auto news = co_await changes_.next();
            take(news);
        }
        require(seen_ == "12", "the watch brought " + seen_);
    }

private:
    void take(const etcd::watch_response& news) {
        for (const auto& each : news.events) {
            require(each.kv.key == "w", "the view shows key " + each.kv.key);
            seen_ += each.kv.value;
        }
    }
    etcd::namespaced view_;
    etcd::namespaced_watch changes_;
    std::string seen_;
};

class namespaced_progress final : public operation {
public:
    explicit namespaced_progress(world& of) : operation(of), view_(etcd, "k/"), changes_(view_.watch({etcd::prefix("w"), data().current()})) {}
    static promises promised() { return {}; }
    asio::awaitable<void> act() override { reached_ = co_await changes_.progress(); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || reached_ == data().current(), "the watch is at another revision");
        store("k/w", "1");
        const auto news = co_await changes_.next();
        require(news.events.size() == 1 && news.events.front().kv.key == "w", "the view shows another change");
    }

private:
    etcd::namespaced view_;
    etcd::namespaced_watch changes_;
    etcd::revision reached_;
};

} // namespace

TEST_CASE("cancel: watch.next ends with cancelled or success at every handler") { sweep<next_call>("watch.next"); }
TEST_CASE("cancel: watch.next_within ends with cancelled or success at every handler") { sweep<next_within_call>("watch.next_within"); }
TEST_CASE("cancel: watch.progress ends with cancelled or success at every handler") { sweep<progress_call>("watch.progress"); }
TEST_CASE("cancel: namespaced_watch.next ends with cancelled or success at every handler") { sweep<namespaced_next>("namespaced_watch.next"); }
TEST_CASE("cancel: namespaced_watch.progress ends with cancelled or success at every handler") { sweep<namespaced_progress>("namespaced_watch.progress"); }

} // namespace etcdcoll::sim
