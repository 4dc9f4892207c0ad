#include "support.hpp"

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/pages.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <set>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

std::string numbered(const std::string& p, int i) {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%06d", i);
    return p + digits;
}

asio::awaitable<void> fill(client c, std::string p, int n, std::size_t bytes) {
    etcd::batch writes(c);
    for (int i = 0; i < n; ++i) writes.put(numbered(p, i), std::string(bytes, 'v'));
    const auto done = co_await writes.run();
    done.check();
}

asio::awaitable<void> many(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    client c(executor, quiet(proxy.endpoint()));
    constexpr int n = 100'000;
    co_await fill(direct, p, n, 10);
    etcd::pages all(c, etcd::prefix(p), 1000);
    CHECK(!all.revision());
    CHECK(all.count() == 0);
    int next = 0;
    std::size_t largest = 0;
    for (;;) {
        const auto page = co_await all.next();
        if (page.empty()) break;
        CHECK(page.size() <= 1000);
        largest = std::max(largest, proxy.last_response_size("/v3/kv/range"));
        for (const auto& kv : page)
            if (kv.key != numbered(p, next++)) FAIL("key " << kv.key);
        if (next == 1000) {
            // What is written from here on is in no page.
            const auto more = co_await direct.put(numbered(p, 50'000) + "+", "late");
            CHECK(more.header.revision > all.revision());
            const auto fewer = co_await direct.delete_range(numbered(p, 60'000));
            CHECK(fewer.deleted == 1);
        }
    }
    CHECK(next == n);
    CHECK(all.count() == n);
    CHECK(all.done());
    CHECK(largest > 0);
    CHECK(largest < 400'000);
    CHECK(proxy.requests("/v3/kv/range") == n / 1000);
    const auto still_over = co_await all.next();
    CHECK(still_over.empty());
    const auto gone = co_await direct.delete_range(etcd::prefix(p));
    CHECK(gone.deleted == n);
}

asio::awaitable<void> sizes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const std::string binary("\xff\xff\0", 3);
    for (const char* name : {"a", "a\x01", "b", "c", "d"}) {
        const auto done = co_await c.put(p + binary + name, name);
        CHECK(done.header.revision.value > 0);
    }
    for (std::size_t size = 1; size <= 6; ++size) {
        etcd::pages all(c, etcd::prefix(p), size);
        all.keys_only(size % 2 == 0);
        std::vector<std::string> keys;
        for (;;) {
            const auto page = co_await all.next();
            if (page.empty()) break;
            CHECK(page.size() <= size);
            for (const auto& kv : page) {
                keys.push_back(kv.key.substr((p + binary).size()));
                CHECK(kv.value == (size % 2 == 0 ? "" : keys.back()));
            }
        }
        CHECK(keys == std::vector<std::string>{"a", "a\x01", "b", "c", "d"});
        CHECK(all.count() == 5);
    }
    etcd::pages none(c, etcd::prefix(p + "nothing"));
    const auto empty = co_await none.next();
    CHECK(empty.empty());
    CHECK(none.done());
    CHECK(none.revision().value > 0);
    etcd::pages one(c, p + binary + "a", 1);
    const auto single = co_await one.next();
    CHECK(single.size() == 1);
    CHECK(one.done());
    etcd::pages tail(c, etcd::key_range(p + binary + "b", p + binary + "d"), 1);
    std::size_t within = 0;
    for (;;) {
        const auto page = co_await tail.next();
        if (page.empty()) break;
        within += page.size();
    }
    CHECK(within == 2);
}

asio::awaitable<void> large_values(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint(), 30s));
    co_await fill(c, p, 60, 300'000);
    etcd::pages all(c, etcd::prefix(p), 20);
    int next = 0;
    bool first = true;
    for (;;) {
        const auto page = co_await all.next();
        if (page.empty()) break;
        CHECK(page.size() <= (first ? 20 : 13)); // 4 MiB, as soon as it is known what they hold
        first = false;
        for (const auto& kv : page) CHECK(kv.key == numbered(p, next++));
    }
    CHECK(next == 60);
    const auto gone = co_await c.delete_range(etcd::prefix(p));
    CHECK(gone.deleted == 60);
}

// A page of 40 keys never arrives.
asio::awaitable<void> beyond_the_limit(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()).reply_limit(64 * 1024));
    co_await fill(c, p, 40, 10'000);
    etcd::pages list(c, etcd::prefix(p), 40);
    std::size_t seen = 0;
    for (;;) {
        const auto page = co_await list.next();
        if (page.empty()) break;
        seen += page.size();
    }
    CHECK(seen == 40);
}

asio::awaitable<void> smaller_on_failure(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    auto options = quiet(proxy.endpoint(), 4s);
    options.attempt_timeout(300ms);
    client c(executor, options);
    co_await fill(direct, p, 40, 10);
    const auto many_keys = [](std::string_view request) { return request.find("\"limit\":40,") != std::string_view::npos || request.find("\"limit\":40}") != std::string_view::npos; };
    proxy.add(fault_rule("/v3/kv/range").when(many_keys).times(fault_rule::always).stall_response(100));
    etcd::pages all(c, etcd::prefix(p), 40);
    int next = 0;
    const auto page = co_await all.next();
    CHECK(page.size() == 5);
    for (const auto& kv : page) CHECK(kv.key == numbered(p, next++));
    proxy.clear_rules();
    for (;;) {
        const auto more = co_await all.next();
        if (more.empty()) break;
        for (const auto& kv : more) CHECK(kv.key == numbered(p, next++));
    }
    CHECK(next == 40);
}

asio::awaitable<void> compacted_meanwhile(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    co_await fill(c, p, 10, 1);
    etcd::pages all(c, etcd::prefix(p), 4);
    const auto first = co_await all.next();
    REQUIRE(first.size() == 4);
    const auto more = co_await c.put(p + "z", "later");
    const auto done = co_await c.compact(more.header.revision);
    CHECK(done.header.revision.value > 0);
    const auto gone = co_await ending_of(all.next());
    CHECK(gone.reason == errc::compacted);
    // As the doc has it.
    etcd::key_range rest(first.back().key + '\0', etcd::prefix(p).end);
    etcd::pages newest(c, rest, 100);
    const auto others = co_await newest.next();
    REQUIRE(others.size() == 7);
    CHECK(others.back().value == "later");
    CHECK(newest.revision() == more.header.revision);
}

asio::awaitable<void> goes_on_after_errors(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint(), 200ms));
    client direct(executor, quiet(test_etcd().endpoint()));
    co_await fill(direct, p, 10, 1);
    etcd::pages all(c, etcd::prefix(p), 5);
    const auto first = co_await all.next();
    REQUIRE(first.size() == 5);
    proxy.refuse();
    proxy.cut_all(close_how::rst);
    const auto broken = co_await ending_of(all.next());
    CHECK(broken.reason == errc::connection_failed);
    proxy.accept_again();
    const auto second = co_await all.next();
    REQUIRE(second.size() == 5);
    CHECK(second.front().key == numbered(p, 5));
    CHECK(all.done());
}

// etcd is there again when half of the time has gone.
asio::awaitable<void> long_outage(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    co_await fill(direct, p, 10, 1);
    auto options = quiet(proxy.endpoint(), 3s);
    int calls = 0;
    options.on_call([&proxy, &calls](const call_report&) {
        if (++calls == 1) proxy.accept_again();
    });
    client c(executor, options);
    proxy.refuse();
    etcd::pages all(c, etcd::prefix(p), 5);
    const auto begun = std::chrono::steady_clock::now();
    const auto page = co_await all.next();
    CHECK(std::chrono::steady_clock::now() - begun >= 1s);
    CHECK(page.size() == 5);
    CHECK(calls == 2);
}

// A sorted range is read to its end by etcd, for each page.
asio::awaitable<void> unsorted(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    co_await fill(c, p, 10, 1);
    const auto sorted = proxy.add(fault_rule("/v3/kv/range").when([](std::string_view request) { return request.find("sort_order") != std::string_view::npos; }));
    etcd::range_request request(etcd::prefix(p));
    request.sort_order = etcd::sort_order::ascend;
    etcd::pages all(c, request, 5);
    for (int next = 0; next < 10;) {
        const auto page = co_await all.next();
        REQUIRE(page.size() == 5);
        for (const auto& kv : page) CHECK(kv.key == numbered(p, next++));
    }
    CHECK(all.done());
    CHECK(proxy.hits(sorted) == 0);
}

asio::awaitable<void> behind_a_lagging_member(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    co_await fill(c, p, 10, 1);
    const std::string words = R"({"code":11,"message":"etcdserver: mvcc: required revision is a future revision"})";
    const auto lagging = proxy.add(fault_rule("/v3/kv/range")
                                       .when([](std::string_view request) { return request.find("\"serializable\":true") != std::string_view::npos; })
                                       .skip(1)
                                       .times(fault_rule::always)
                                       .reply_with("HTTP/1.1 400 Bad Request\r\nContent-Length: " + std::to_string(words.size()) + "\r\n\r\n" + words));
    etcd::range_request request(etcd::prefix(p));
    request.serializable = true;
    etcd::pages all(c, request, 2);
    for (int next = 0; next < 10;) {
        const auto page = co_await all.next();
        REQUIRE(page.size() == 2);
        for (const auto& kv : page) CHECK(kv.key == numbered(p, next++));
    }
    CHECK(proxy.hits(lagging) == 1);
    // A future one for all members too is told.
    etcd::range_request future(etcd::prefix(p));
    future.revision = revision{all.revision().value + 1'000'000};
    future.serializable = true;
    etcd::pages never(c, future, 2);
    const auto early = co_await ending_of(never.next());
    CHECK(early.reason == errc::refused);
}

} // namespace

TEST_CASE("pages: 100,000 keys come in replies of bounded size, all of one revision") { run(many(unique_prefix()), 120s); }

TEST_CASE("pages: every page size gives every key once, in order") { run(sizes(unique_prefix())); }

TEST_CASE("pages: large values make smaller pages") { run(large_values(unique_prefix()), 120s); }

TEST_CASE("pages: a page beyond the client's limit is asked for again as a smaller one") { run(beyond_the_limit(unique_prefix())); }

TEST_CASE("pages: a page that takes too long is asked for again as a smaller one") { run(smaller_on_failure(unique_prefix())); }

TEST_CASE("pages: an outage may last as long as the call") { run(long_outage(unique_prefix())); }

TEST_CASE("pages: etcd is asked for no order, which it would sort everything for") { run(unsorted(unique_prefix())); }

TEST_CASE("pages: a member that lags behind the first page does not end a serializable listing") { run(behind_a_lagging_member(unique_prefix())); }

TEST_CASE("pages: what is compacted meanwhile is told, and the rest can be read") { run(compacted_meanwhile(unique_prefix())); }

TEST_CASE("pages: a request that fails is made again by the next call") { run(goes_on_after_errors(unique_prefix())); }

TEST_CASE("pages: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client c(io.get_executor(), quiet("http://127.0.0.1:1"));
    const auto reason = [&c](const etcd::range_request& request, std::size_t size) {
        try {
            etcd::pages made(c, request, size);
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    etcd::range_request request("k");
    CHECK(reason(request, 1) == errc{});
    CHECK(reason(request, 0) == errc::invalid_argument);
    CHECK(reason(request, std::size_t{1} << 40) == errc::invalid_argument);
    CHECK(reason("", 1) == errc::invalid_argument);
    request.count_only = true;
    CHECK(reason(request, 1) == errc::invalid_argument);
    request.count_only = false;
    request.sort_order = etcd::sort_order::descend;
    CHECK(reason(request, 1) == errc::invalid_argument);
    request.sort_order = etcd::sort_order::ascend;
    CHECK(reason(request, 1) == errc{});
    request.sort_target = etcd::sort_target::mod;
    CHECK(reason(request, 1) == errc::invalid_argument);
}
