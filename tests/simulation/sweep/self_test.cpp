// The sweep finds what it is there to find.
#include "sweep.hpp"

#include <etcdcoll/impl/etcd/client_core.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class wrong : public operation {
public:
    explicit wrong(world& of) : operation(of) {}
    static promises promised() { return {}; }
    asio::awaitable<void> act() override { co_await pause(5ms); }
};

class deaf final : public wrong {
public:
    explicit deaf(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await pause(5ms);
    }
};

class nameless final : public wrong {
public:
    explicit nameless(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        co_await asio::post(asio::use_awaitable);
        co_await asio::post(asio::use_awaitable);
    }
};

class jumpy final : public wrong {
public:
    explicit jumpy(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await pause(5ms);
    }
};

asio::awaitable<void> write_late(client through, rank_process* in) {
    co_await detail::sleep_until(in->executor(), in->system(), in->system()->now() + 1s);
    const auto written = co_await through.put("k/late", "");
    static_cast<void>(written);
}

class busy_afterwards final : public wrong {
public:
    explicit busy_afterwards(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        asio::co_spawn(self.executor(), write_late(etcd, &self), asio::detached);
        co_await pause(5ms);
    }
};

asio::awaitable<void> wait_for_ever(client through) { co_await detail::sleep_until(through.executor(), through.core()->system(), time_point::max()); }

class forgetful final : public wrong {
public:
    explicit forgetful(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        asio::co_spawn(self.executor(), wait_for_ever(etcd), asio::detached);
        co_await pause(5ms);
    }
};

class untidy final : public wrong {
public:
    explicit untidy(world& of) : wrong(of) {}
    asio::awaitable<void> act() override {
        const auto written = co_await etcd.put("litter", "");
        static_cast<void>(written);
    }
};

class unusable final : public wrong {
public:
    explicit unusable(world& of) : wrong(of) {}
    asio::awaitable<void> check(ending how) override {
        require(how == ending::done, "it does not work any more");
        co_return;
    }
};

template <class Operation> std::string found() { return find_broken_promise(row_of<Operation>("wrong"), 1).value_or("nothing"); }

} // namespace

TEST_CASE("sweep: finds nothing where nothing is wrong") { CHECK(found<wrong>() == "nothing"); }

TEST_CASE("sweep: finds what does not end at once") { CHECK_THAT(found<deaf>(), Catch::Matchers::ContainsSubstring("does not end at once")); }

TEST_CASE("sweep: finds errors that are none of the library") { CHECK_THAT(found<nameless>(), Catch::Matchers::ContainsSubstring("no error of the library")); }

TEST_CASE("sweep: finds what hears a type that it does not take") { CHECK_THAT(found<jumpy>(), Catch::Matchers::ContainsSubstring("ended with cancelled")); }

TEST_CASE("sweep: finds writes after the end") { CHECK_THAT(found<busy_afterwards>(), Catch::Matchers::ContainsSubstring("key k/late changes")); }

TEST_CASE("sweep: finds coroutines that are left") { CHECK_THAT(found<forgetful>(), Catch::Matchers::ContainsSubstring("coroutines wait for ever")); }

TEST_CASE("sweep: finds keys that are left") { CHECK_THAT(found<untidy>(), Catch::Matchers::ContainsSubstring("key litter is still there")); }

TEST_CASE("sweep: finds what cannot be used any more") { CHECK_THAT(found<unusable>(), Catch::Matchers::ContainsSubstring("does not work any more")); }

} // namespace etcdcoll::sim
