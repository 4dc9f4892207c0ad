#include "support.hpp"

#include <etcdcoll/recipes/mutex.hpp>
#include <etcdcoll/recipes/queue.hpp>
#include <etcdcoll/recipes/transaction.hpp>
#include <support/auth_etcd.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

/// `compares`, `done` and `refused`: how long the three lists are.
etcd::txn_request of_sizes(const std::string& p, int compares, int done, int refused) {
    etcd::txn_request request;
    for (int i = 0; i < compares; ++i) request.compares.push_back(etcd::version(p + "none/" + std::to_string(i)) == 0);
    for (int i = 0; i < done; ++i) request.success.emplace_back(etcd::put(p + "some/" + std::to_string(i), ""));
    for (int i = 0; i < refused; ++i) request.failure.emplace_back(etcd::get(p + "some/" + std::to_string(i)));
    return request;
}

asio::awaitable<void> limits(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    const auto full = co_await book.txn(of_sizes(p, 126, 126, 125));
    CHECK(full.succeeded);
    CHECK(full.responses.size() == 126);
    for (const auto& [compares, done, refused] : {std::array{127, 1, 1}, std::array{1, 127, 1}, std::array{1, 1, 126}}) {
        auto too_many = book.txn(of_sizes(p, compares, done, refused));
        const auto end = co_await ending_of(std::move(too_many));
        CHECK(end.reason == errc::invalid_argument);
    }
    CHECK_THROWS_AS(book.txn(etcd::when().otherwise(etcd::put(p + "k", ""))), error);
    CHECK_THROWS_AS(book.txn(etcd::when().otherwise(etcd::when().then(etcd::erase(p + "k")))), error);
    CHECK_THROWS_AS(book.txn(etcd::txn_request(), 0s), error);

    int keys = 125;
    const auto many = [&](transaction& t) -> asio::awaitable<void> {
        for (int i = 0; i < keys; ++i) t.put(p + "some/" + std::to_string(i), "by a transaction");
        const auto one = co_await t.get(p + "other");
        if (!one) t.put(p + "other", "");
    };
    const transaction_body body = many;
    auto too_many = atomically(c, body);
    const auto end = co_await ending_of(std::move(too_many));
    CHECK(end.reason == errc::invalid_argument);
    CHECK(contains(end.what, "126 keys; 125 at most"));
    keys = 124;
    auto at = co_await atomically(c, body);
    CHECK(at.value > 0);
    const auto gone = co_await c.delete_range(p + "other");
    CHECK(gone.deleted == 1);
    at = co_await atomically(book, body);
    CHECK(at.value > 0);
    co_await s.close();
}

asio::awaitable<void> refused_into(receipt_book* book, std::string key, receipt_reply* into) {
    *into = co_await book->txn(etcd::when(etcd::version(key) == 0).then(etcd::erase(key)).otherwise(etcd::get(key)), 10s);
}

// It is refused, the reply is lost, and the key changes before the next copy comes.
asio::awaitable<void> refused(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    const auto before = co_await direct.put(p + "k", "before");
    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    proxy.add(fault_rule("/v3/kv/txn").skip(1).stall_request());
    receipt_reply reply;
    task calling(executor, refused_into(&book, p + "k", &reply));
    co_await wait_for_keys(direct, p + "book/@receipts/", 1);
    const auto after = co_await direct.put(p + "k", "after");
    const auto gone = co_await direct.delete_range(p + "k"); // its compare would hold now
    const auto again = co_await direct.put(p + "k", "again");
    CHECK(gone.deleted == 1);
    proxy.release();
    co_await calling.join();
    CHECK(!reply.succeeded);
    CHECK(reply.recalled);
    CHECK(reply.at > before.header.revision);
    CHECK(reply.at < after.header.revision);
    CHECK(reply.seen >= again.header.revision);
    REQUIRE(reply.responses.size() == 1);
    const auto& found = std::get<etcd::range_response>(reply.responses[0]);
    REQUIRE(found.kvs.size() == 1);
    CHECK(found.kvs[0].value == "again");

    // One that was executed is recalled without its replies.
    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    const auto done = co_await book.txn(etcd::when().then(etcd::get(p + "k"), etcd::erase(p + "k")));
    CHECK(done.succeeded);
    CHECK(done.recalled);
    CHECK(done.responses.empty());
    CHECK(done.seen == done.at);

    // Somebody writes where nobody else may.
    const auto receipts = co_await direct.range(etcd::range_request(etcd::prefix(p + "book/@receipts/")));
    REQUIRE(receipts.kvs.size() == 1);
    const auto spoilt = co_await direct.put(receipts.kvs[0].key, "nonsense");
    CHECK(spoilt.header.revision.value > 0);
    auto broken = book.txn(etcd::when().then(etcd::put(p + "k", "")));
    const auto end = co_await ending_of(std::move(broken));
    CHECK(end.reason == errc::corrupt);
    const auto none = co_await direct.get(p + "k");
    CHECK(!none);
    co_await s.close();
}

// No copy arrives in time, but the first one later.
asio::awaitable<void> made_void(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    queue q(s, p + "q");
    co_await q.push("stays");
    {
        stolen_request late(proxy, "/v3/kv/txn");
        proxy.add(fault_rule("/v3/kv/txn").times(fault_rule::always).skip(1).cut_request_after(0));
        auto writing = book.txn(etcd::when().then(etcd::put(p + "k", "")), 300ms);
        const auto end = co_await ending_of(std::move(writing));
        CHECK(end.reason == errc::outcome_unknown);
        proxy.clear_rules();
        co_await wait_for_keys(direct, p + "book/@receipts/", 1); // void
        const auto reply = co_await late.arrive(test_etcd().client_port());
        CHECK(contains(reply, "200 OK"));
        const auto none = co_await direct.get(p + "k");
        CHECK(!none);
    }
    // What would be undone has not been done: the item neither moves nor is there twice.
    const auto before = co_await direct.range(etcd::range_request(etcd::prefix(p + "q/")));
    REQUIRE(before.kvs.size() == 2); // the item, and the receipt of its push
    stolen_request late(proxy, "/v3/kv/txn");
    proxy.add(fault_rule("/v3/kv/txn").times(fault_rule::always).skip(1).cut_request_after(0));
    auto popping = q.try_pop(300ms);
    const auto end = co_await ending_of(std::move(popping));
    CHECK(end.reason == errc::outcome_unknown);
    etcd::watch_request of_receipts(etcd::prefix(p + "q/@receipts/"), etcd::revision(before.header.revision.value + 1));
    auto changes = direct.watch(of_receipts);
    proxy.clear_rules();
    const auto made = co_await changes.next();
    CHECK(made.events.at(0).kv.value == "void");
    const auto reply = co_await late.arrive(test_etcd().client_port());
    CHECK(contains(reply, "200 OK"));
    const auto after = co_await direct.range(etcd::range_request(etcd::prefix(p + "q/@queue/")));
    REQUIRE(after.kvs.size() == 1);
    CHECK(after.kvs[0].version == 1);
    const auto item = co_await q.pop(5s);
    CHECK(item == "stays");
    co_await s.close();
}

// Seven copies in a row are lost: that takes longer than a call of this client may.
asio::awaitable<void> patient(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint(), 200ms));
    client direct(executor, quiet(test_etcd().endpoint()));
    auto s = co_await session::open(direct, 30s);
    auto own = co_await session::open(c, 30s);
    receipt_book book(own, p + "book");
    mutex m(own, p + "lock");
    queue q(own, p + "q");
    proxy.add(fault_rule("/v3/kv/txn").times(7).cut_request_after(0));
    const auto done = co_await book.txn(etcd::when().then(etcd::put(p + "k", "")), 20s);
    CHECK(done.succeeded);
    proxy.add(fault_rule("/v3/kv/txn").times(7).cut_request_after(0));
    auto hold = co_await m.lock(20s);
    CHECK(hold.token().value > 0);
    proxy.add(fault_rule("/v3/kv/range").times(7).cut_request_after(0));
    co_await q.push("", 20s);
    const transaction_body body = [&](transaction& t) -> asio::awaitable<void> {
        const auto value = co_await t.get(p + "k");
        t.put(p + "k", value.value_or("") + "1");
    };
    proxy.add(fault_rule("/v3/kv/txn").times(7).cut_request_after(0));
    const auto at = co_await atomically(c, body, 20s);
    CHECK(at > done.at);
    co_await s.close();
}

/// What one client has called, and how that ended.
struct calls {
    int denied = 0;
    int lines = 0;
};

// The right goes while the lock is held: that is not asked for again and again.
asio::awaitable<void> denied(auth_etcd* etcd) {
    const auto executor = co_await asio::this_coro::executor;
    calls seen;
    detail::condition told(executor, environment::system());
    const auto count = [&](const call_report& report) {
        if (report.failure == errc::permission_denied) ++seen.denied, told.notify_all();
    };
    const auto line = [&](log_level, std::string_view text) { seen.lines += text.find("permission denied") != std::string_view::npos ? 1 : 0; };
    auto options = quiet(etcd->endpoint());
    options.user(auth_etcd::user, auth_etcd::password).on_call(count).log(logger(log_level::warning, line));
    client c(executor, options);
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, etcd->prefix() + "book");
    auto writing = book.txn(etcd::when().then(etcd::put("forbidden", "")));
    const auto end = co_await ending_of(std::move(writing));
    CHECK(end.reason == errc::permission_denied);
    CHECK(seen.denied == 1);
    const auto after = co_await book.txn(etcd::when().then(etcd::put(etcd->prefix() + "k", "")));
    CHECK(after.succeeded);
    const auto receipts = co_await c.range(etcd::range_request(etcd::prefix(etcd->prefix() + "book/")));
    CHECK(receipts.count == 1); // the one of the refused transaction was used again
    mutex m(s, etcd->prefix() + "lock");
    {
        auto hold = co_await m.lock(5s);
        etcd->revoke(etcd->prefix());
        CHECK(hold.token().value > 0);
    }
    while (seen.denied < 2) co_await told.wait();
    // It would have come again after 4 ms, 8 ms ...
    const bool more = co_await told.wait_until(std::chrono::steady_clock::now() + 400ms);
    CHECK(!more);
    CHECK(seen.denied == 2);
    CHECK(seen.lines == 1);
    c.close();
}

} // namespace

TEST_CASE("receipt_book: takes what etcd takes, less its own, and only reads in the failure branch") { run(limits(unique_prefix())); }
TEST_CASE("receipt_book: recalls a refusal whose reply was lost, and reads anew") { run(refused(unique_prefix())); }
TEST_CASE("receipt_book: what was of unknown outcome is made void: its late copy does nothing, and nothing is undone") { run(made_void(unique_prefix())); }
TEST_CASE("receipt_book: the deadline of a recipe's call may be beyond that of the client's calls") { run(patient(unique_prefix())); }
TEST_CASE("receipt_book: what goes on in the background ends at a refusal") {
    auth_etcd etcd;
    run(denied(&etcd));
}
