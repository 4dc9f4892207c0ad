#include "support.hpp"

#include <etcdcoll/etcd/batch.hpp>
#include <support/auth_etcd.hpp>
#include <support/group.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::batch_fate;

namespace {

asio::awaitable<void> packs(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto lease = co_await c.lease_grant(60s);
    const auto there = co_await c.put(p + "old", "v");
    etcd::batch writes(c);
    for (int i = 0; i < 300; ++i) writes.put(p + std::to_string(i), std::to_string(i), i == 7 ? lease.id : etcd::lease_id::none());
    writes.erase(p + "old").erase(p + "never");
    CHECK(writes.size() == 302);
    const auto done = co_await writes.run();
    CHECK(done.complete());
    done.check();
    CHECK(done.transactions == 3);
    CHECK(writes.size() == 0);
    REQUIRE(done.operations.size() == 302);
    CHECK(done.operations[300].deleted == 1);
    CHECK(done.operations[301].deleted == 0);
    const auto all = co_await c.range(etcd::prefix(p));
    CHECK(all.count == 300);
    for (const auto& kv : all.kvs) {
        const auto& entry = done.operations.at(std::stoul(kv.value));
        CHECK(kv.key == p + kv.value);
        CHECK(kv.mod_revision == entry.revision);
        CHECK(kv.version == 1);
        CHECK(kv.lease == (kv.value == "7" ? lease.id : etcd::lease_id::none()));
        CHECK(entry.revision > there.header.revision);
        CHECK(!entry.failure);
    }
    const auto nothing = co_await writes.run();
    CHECK(nothing.complete());
    CHECK(nothing.transactions == 0);
    writes.put(p + "again", "1");
    const auto again = co_await writes.run();
    CHECK(again.transactions == 1);
    const auto revoked = co_await c.lease_revoke(lease.id);
    CHECK(revoked.header.revision.value > 0);
}

asio::awaitable<void> large_ones(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint(), 30s));
    etcd::batch writes(c);
    writes.transactions_in_flight(2);
    const std::size_t sizes[] = {1'572'800 - 16 - p.size() - 1, 700'000, 700'000, 700'000, 10, 0};
    char name = 'a';
    for (const auto size : sizes) writes.put(p + name++, std::string(size, 'x'));
    const auto done = co_await writes.run();
    done.check();
    CHECK(done.transactions == 3);
    const auto all = co_await c.range(etcd::prefix(p));
    REQUIRE(all.kvs.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) CHECK(all.kvs[i].value.size() == sizes[i]);
}

asio::awaitable<void> one_key_in_order(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::batch writes(c);
    for (int i = 0; i < 10; ++i) {
        writes.put(p + "same", std::to_string(i));
        for (int j = 0; j < 50; ++j) writes.put(p + "other" + std::to_string(i) + "/" + std::to_string(j), "v");
    }
    writes.erase(p + "same").put(p + "same", "last");
    const auto done = co_await writes.run();
    done.check();
    CHECK(done.transactions == 4 + 11); // 501 first writes, and the others of one key
    std::int64_t before = 0;
    for (std::size_t i = 0; i < 10; ++i) {
        CHECK(done.operations[i * 51].revision.value > before);
        before = done.operations[i * 51].revision.value;
    }
    CHECK(done.operations[510].revision.value > before);
    CHECK(done.operations[510].deleted == 1);
    CHECK(done.operations[511].revision > done.operations[510].revision);
    const auto same = co_await c.get(p + "same");
    REQUIRE(same);
    CHECK(same->value == "last");
    CHECK(same->version == 1);
}

asio::awaitable<void> fates(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint(), 500ms));
    client direct(executor, quiet(test_etcd().endpoint()));
    etcd::batch writes(c);
    writes.transactions_in_flight(1);
    for (int i = 0; i < 128; ++i) writes.put(p + "a" + std::to_string(i), "1");
    for (int i = 0; i < 128; ++i) writes.put(p + "b" + std::to_string(i), "1");
    for (int i = 0; i < 127; ++i) writes.put(p + "c" + std::to_string(i), "1");
    writes.put(p + "d", "1", etcd::lease_id{12345}); // refused, with its transaction
    writes.put(p + "a0", "2").put(p + "b0", "2").put(p + "c0", "2");
    proxy.add(fault_rule("/v3/kv/txn").skip(1).drop_reply());
    const auto done = co_await writes.run();
    CHECK(!done.complete());
    CHECK(done.transactions == 4);
    const auto all_are = [&done](std::size_t from, std::size_t to, batch_fate fate, errc why) {
        for (std::size_t i = from; i < to; ++i) {
            const auto& one = done.operations[i];
            if (one.fate != fate || (one.failure ? one.failure->reason() : errc{}) != why) return false;
        }
        return true;
    };
    CHECK(all_are(0, 128, batch_fate::written, errc{}));
    CHECK(all_are(128, 256, batch_fate::unknown, errc::outcome_unknown));
    CHECK(all_are(256, 384, batch_fate::not_written, errc::not_found));
    CHECK(all_are(384, 385, batch_fate::written, errc{}));
    CHECK(all_are(385, 386, batch_fate::not_written, errc::outcome_unknown)); // behind one of unknown fate it is not sent
    CHECK(all_are(386, 387, batch_fate::not_written, errc::not_found));
    try {
        done.check();
        FAIL("check() must throw");
    } catch (const error& failure) {
        CHECK(failure.reason() == errc::outcome_unknown);
    }
    const auto a0 = co_await direct.get(p + "a0");
    REQUIRE(a0);
    CHECK(a0->value == "2");
    const auto b0 = co_await direct.get(p + "b0");
    REQUIRE(b0);
    CHECK(b0->value == "1");
    const auto c0 = co_await direct.get(p + "c0");
    CHECK(!c0);
}

asio::awaitable<void> bounded_flight(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    proxy.add(fault_rule("/v3/kv/txn").times(fault_rule::always).delay_request(50ms));
    etcd::batch writes(c);
    for (int i = 0; i < 128 * 8; ++i) writes.put(p + std::to_string(i), "1");
    const auto begun = std::chrono::steady_clock::now();
    const auto done = co_await writes.run();
    const auto took = std::chrono::steady_clock::now() - begun;
    done.check();
    CHECK(done.transactions == 8);
    CHECK(took >= 100ms); // two rounds of four
    CHECK(c.metrics().connects == 4);
}

// Each lease costs some more bytes, which no key or value shows.
asio::awaitable<void> leased(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint(), 30s));
    const auto lease = co_await c.lease_grant(60s);
    etcd::batch writes(c);
    for (int i = 100; i < 228; ++i) writes.put(p + std::to_string(i), std::string(1'572'800 / 128 - 16 - p.size() - 3, 'x'), lease.id);
    const auto done = co_await writes.run();
    done.check();
    CHECK(done.transactions == 2);
    const auto revoked = co_await c.lease_revoke(lease.id);
    CHECK(revoked.header.revision.value > 0);
}

// So does the user's name.
asio::awaitable<void> named() {
    const auto executor = co_await asio::this_coro::executor;
    const auth_etcd server;
    const std::string name(500, 'n');
    server.as_root("/v3/auth/user/add", R"({"name":")" + name + R"(","password":"p"})");
    server.as_root("/v3/auth/user/grant", R"({"user":")" + name + R"(","role":"root"})");
    client c(executor, quiet(server.endpoint(), 30s).user(name, "p"));
    etcd::batch writes(c);
    for (const char* key : {"1", "2"}) writes.put(key, std::string(1'572'800 / 2 - 16 - 1, 'x'));
    const auto done = co_await writes.run();
    done.check();
    CHECK(done.transactions == 2);
}

asio::awaitable<void> never_twice(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint(), 2s));
    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    etcd::batch writes(c);
    writes.put(p, "v");
    const call_options each{.guarded = true};
    const auto done = co_await writes.run(each);
    REQUIRE(done.operations.size() == 1);
    CHECK(done.operations[0].fate == batch_fate::unknown);
    CHECK(proxy.requests("/v3/kv/txn") == 1);
    const auto there = co_await c.get(p);
    REQUIRE(there);
    CHECK(there->version == 1);
}

asio::awaitable<void> run_to_its_end(etcd::batch* writes) {
    const auto done = co_await writes->run();
    FAIL("not cancelled, with " << done.transactions << " transactions");
}

asio::awaitable<void> cancelled(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    meeting answered(2);
    auto options = quiet(proxy.endpoint());
    options.on_call([executor, &answered](const call_report& report) {
        if (std::string_view(report.call) == "txn") asio::co_spawn(executor, answered.wait(), asio::detached);
    });
    client c(executor, options);
    client direct(executor, quiet(test_etcd().endpoint()));
    etcd::batch writes(c);
    writes.transactions_in_flight(1);
    for (int i = 0; i < 300; ++i) writes.put(p + std::to_string(i), "v");
    const auto held = proxy.add(fault_rule("/v3/kv/txn").stall_response());
    asio::cancellation_signal signal;
    std::optional<errc> how;
    meeting ended(2);
    const auto tell = [&how, &ended, executor](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const error& why) {
            how = why.reason();
        } catch (const boost::system::system_error& why) {
            if (why.code() == asio::error::operation_aborted) how = errc::cancelled;
        }
        asio::co_spawn(executor, ended.wait(), asio::detached);
    };
    const auto before = co_await direct.range(p + "0");
    auto sent = direct.watch(etcd::watch_request(p + "0", etcd::revision{before.header.revision.value + 1}));
    asio::co_spawn(executor, run_to_its_end(&writes), asio::bind_cancellation_slot(signal.slot(), tell));
    const auto written = co_await sent.next(); // the first transaction was executed, its reply is held back
    CHECK(written.events.size() == 1);
    signal.emit(asio::cancellation_type::terminal);
    co_await ended.wait();
    CHECK(how == errc::cancelled);
    CHECK(writes.size() == 0);
    CHECK(proxy.wait_for_stalled(1, 10s));
    proxy.release();
    co_await answered.wait();
    const auto turn = co_await c.range(etcd::prefix(p)); // the worker had its turn before
    CHECK(turn.count == 128);
    CHECK(proxy.hits(held) == 1);
    CHECK(proxy.requests("/v3/kv/txn") == 1);
}

} // namespace

TEST_CASE("batch: packs operations, and tells the revision of each") { run(packs(unique_prefix())); }

TEST_CASE("batch: no transaction is larger than etcd takes") { run(large_ones(unique_prefix()), 60s); }

TEST_CASE("batch: operations on one key keep their order") { run(one_key_in_order(unique_prefix())); }

TEST_CASE("batch: says of each operation whether it was written, was not, or may have been") { run(fates(unique_prefix())); }

TEST_CASE("batch: keeps no more transactions under way than it was told") { run(bounded_flight(unique_prefix())); }

TEST_CASE("batch: what leases and a user's name add to a transaction is counted") {
    run(leased(unique_prefix()), 60s);
    run(named(), 60s);
}

TEST_CASE("batch: no transaction is sent twice, whatever the call's options say") { run(never_twice(unique_prefix())); }

TEST_CASE("batch: a run that is cancelled sends nothing more") { run(cancelled(unique_prefix())); }

TEST_CASE("batch: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client c(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::batch writes(c);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return writes.put("", "v"); }) == errc::invalid_argument);
    CHECK(reason([&] { return writes.erase(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return writes.put("k", std::string(1'572'800, 'x')); }) == errc::too_large);
    CHECK(reason([&] { return writes.transactions_in_flight(0); }) == errc::invalid_argument);
    CHECK(writes.size() == 0);
    CHECK(c.metrics().calls == 0);
}
