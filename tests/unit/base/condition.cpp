#include <catch2/catch_test_macros.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>
#include <vector>

using namespace etcdcoll;
using namespace std::chrono_literals;
using detail::condition;

namespace {

asio::awaitable<void> wait_on(condition* of, time_point deadline, std::string name, std::vector<std::string>* log) {
    try {
        const bool notified = co_await of->wait_until(deadline);
        log->push_back(name + (notified ? " notified" : " late"));
    } catch (const error& failure) {
        log->push_back(name + " " + failure.code().message());
    }
}

struct fixture {
    asio::io_context io{1};
    std::shared_ptr<environment> system = environment::system();
    std::vector<std::string> log;

    void finish() {
        io.run_for(10s);
        REQUIRE(io.stopped());
        io.restart();
    }
};

} // namespace

TEST_CASE("condition: a notification wakes all who wait, and none who comes later") {
    fixture f;
    condition changed(f.io.get_executor(), f.system);
    asio::co_spawn(f.io, wait_on(&changed, time_point::max(), "a", &f.log), asio::detached);
    asio::co_spawn(f.io, wait_on(&changed, f.system->now() + 60s, "b", &f.log), asio::detached);
    f.io.poll();
    CHECK(f.log.empty());
    changed.notify_all();
    asio::co_spawn(f.io, wait_on(&changed, f.system->now(), "c", &f.log), asio::detached);
    f.finish();
    CHECK(f.log == std::vector<std::string>{"a notified", "b notified", "c late"});
}

TEST_CASE("condition: a wait ends at its deadline, also one that has passed") {
    fixture f;
    condition changed(f.io.get_executor(), f.system);
    const auto deadline = f.system->now() + 20ms;
    asio::co_spawn(f.io, wait_on(&changed, deadline, "soon", &f.log), asio::detached);
    asio::co_spawn(f.io, wait_on(&changed, time_point::min(), "past", &f.log), asio::detached);
    f.finish();
    CHECK(f.log == std::vector<std::string>{"past late", "soon late"});
    CHECK(f.system->now() >= deadline);
}

TEST_CASE("condition: a cancelled wait throws errc::cancelled, and the others go on") {
    fixture f;
    condition changed(f.io.get_executor(), f.system);
    asio::cancellation_signal stop;
    asio::co_spawn(f.io, wait_on(&changed, f.system->now() + 60s, "a", &f.log), asio::bind_cancellation_slot(stop.slot(), asio::detached));
    asio::co_spawn(f.io, wait_on(&changed, time_point::max(), "b", &f.log), asio::detached);
    f.io.poll();
    stop.emit(asio::cancellation_type::terminal);
    f.io.poll();
    CHECK(f.log == std::vector<std::string>{"a cancelled"});
    changed.notify_all();
    f.finish();
    CHECK(f.log == std::vector<std::string>{"a cancelled", "b notified"});
}

TEST_CASE("condition: its end wakes those who wait") {
    fixture f;
    std::optional<condition> changed;
    changed.emplace(f.io.get_executor(), f.system);
    asio::co_spawn(f.io, wait_on(&*changed, f.system->now() + 60s, "a", &f.log), asio::detached);
    f.io.poll();
    changed.reset();
    f.finish();
    CHECK(f.log == std::vector<std::string>{"a notified"});
}

TEST_CASE("condition: an io_context that ends while coroutines wait leaks nothing") {
    fixture f;
    auto changed = std::make_unique<condition>(f.io.get_executor(), f.system);
    {
        asio::io_context io(1);
        condition other(io.get_executor(), f.system);
        asio::co_spawn(io, wait_on(&other, f.system->now() + 60s, "a", &f.log), asio::detached);
        asio::co_spawn(io, wait_on(&other, time_point::max(), "b", &f.log), asio::detached);
        io.poll();
        other.notify_all();
    }
    CHECK(f.log.empty());
}

TEST_CASE("timer: calls its function once for each arm, never after disarm or its end") {
    fixture f;
    int called = 0;
    auto clock = f.system->make_timer(f.io.get_executor());
    clock->arm(f.system->now(), [&called] { called += 1; });
    clock->arm(f.system->now(), [&called] { called += 10; });
    f.finish();
    CHECK(called == 10);
    clock->arm(f.system->now(), [&called] { called += 100; });
    clock->disarm();
    f.finish();
    clock->arm(f.system->now(), [&called] { called += 100; });
    clock.reset();
    f.finish();
    CHECK(called == 10);
}

TEST_CASE("timer: its function may arm it again, and may end it") {
    fixture f;
    int called = 0;
    auto clock = f.system->make_timer(f.io.get_executor());
    clock->arm(f.system->now(), [&] {
        ++called;
        clock->arm(f.system->now(), [&] {
            ++called;
            clock.reset();
        });
    });
    f.finish();
    CHECK(called == 2);
}
