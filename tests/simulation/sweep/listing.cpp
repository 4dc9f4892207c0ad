// What lists a range, and keeps the list: a cancelled call loses nothing of it.
#include "sweep.hpp"

#include <etcdcoll/etcd/list_watch.hpp>
#include <etcdcoll/etcd/pages.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

constexpr int keys_there = 5;

std::string key_of(int number) { return "k/" + std::to_string(number); }

class pages_next : public operation {
public:
    explicit pages_next(world& of) : operation(of), pages_(etcd, etcd::prefix("k/"), 2) {}
    static promises promised() { return {}; }
    asio::awaitable<void> prepare() override {
        for (int i = 0; i < keys_there; ++i) store(key_of(i), "");
        co_return;
    }
    asio::awaitable<void> act() override {
        const auto page = co_await pages_.next();
        take(page);
    }
    asio::awaitable<void> check(ending) override {
        for (;;) {
            const auto page = co_await pages_.next();
            if (page.empty()) break;
            take(page);
        }
        require(next_ == keys_there && pages_.done(), std::to_string(next_) + " keys were listed");
        co_await client_works();
    }

protected:
    void take(const std::vector<etcd::key_value>& page) {
        for (const auto& kv : page) require(kv.key == key_of(next_++), "the pages bring " + kv.key);
    }
    etcd::pages pages_;
    int next_ = 0;
};

class later_page final : public pages_next {
public:
    explicit later_page(world& of) : pages_next(of) {}
    asio::awaitable<void> prepare() override {
        co_await pages_next::prepare();
        const auto page = co_await pages_.next();
        take(page);
    }
};

// Keeps the list as a user would.
class listing : public operation {
public:
    explicit listing(world& of) : operation(of), list_(etcd, etcd::prefix("k/")) {}
    static promises promised() { return {.others = {"k/"}}; }
    asio::awaitable<void> prepare() override {
        for (int i = 0; i < 3; ++i) store(key_of(i), "1");
        co_return;
    }
    asio::awaitable<void> check(ending) override {
        co_await pause(10ms);
        store(key_of(1), "3");
        while (at_ < data().current()) {
            const auto news = co_await list_.next();
            take(news);
        }
        require(known_ == expected_, "the list is not what is there");
    }

protected:
    asio::awaitable<void> next() {
        const auto news = co_await list_.next();
        take(news);
    }
    void take(const etcd::list_watch_response& news) {
        require(news.complete || at_ < news.revision, "a change comes again");
        at_ = news.revision;
        if (news.complete) known_.clear();
        for (const auto& kv : news.kvs) known_[kv.key] = kv.value;
        for (const auto& each : news.events) known_[each.kv.key] = each.kv.value;
    }
    etcd::list_watch list_;
    etcd::revision at_;
    std::map<std::string, std::string> known_;
    std::map<std::string, std::string> expected_ = {{key_of(0), "1"}, {key_of(1), "3"}, {key_of(2), "1"}};
};

class first_list final : public listing {
public:
    explicit first_list(world& of) : listing(of) {}
    asio::awaitable<void> act() override { return next(); }
};

class next_change final : public listing {
public:
    explicit next_change(world& of) : listing(of) {}
    asio::awaitable<void> prepare() override {
        co_await listing::prepare();
        co_await next();
    }
    asio::awaitable<void> act() override {
        later(5ms, [](auto& there) { there.put(etcd::put_request(key_of(2), "1")); });
        return next();
    }
};

// The changes that it waits for are compacted away before the watch has begun: it lists again.
class list_again final : public listing {
public:
    explicit list_again(world& of) : listing(of) {}
    asio::awaitable<void> prepare() override {
        co_await listing::prepare();
        co_await next();
        store(key_of(2), "2");
        store(key_of(2), "1");
        data().compact(data().current());
    }
    asio::awaitable<void> act() override { return next(); }
};

} // namespace

TEST_CASE("cancel: pages.next ends with cancelled or success at every handler") { sweep<pages_next>("pages.next"); }
TEST_CASE("cancel: pages.next of a later page ends with cancelled or success at every handler") { sweep<later_page>("pages.next, a later page"); }
TEST_CASE("cancel: list_watch.next ends with cancelled or success at every handler") { sweep<first_list>("list_watch.next"); }
TEST_CASE("cancel: list_watch.next of a change ends with cancelled or success at every handler") { sweep<next_change>("list_watch.next, a change"); }
TEST_CASE("cancel: list_watch.next after a compaction ends with cancelled or success at every handler") { sweep<list_again>("list_watch.next, compacted"); }

} // namespace etcdcoll::sim
