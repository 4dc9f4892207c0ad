#include "support.hpp"

#include <etcdcoll/recipes/transaction.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

constexpr int accounts = 5;

std::string account(const std::string& p, int number) { return p + "account/" + std::to_string(number); }

asio::awaitable<void> transfer_between(transaction* t, std::string from, std::string to, int amount) {
    const auto here = co_await t->get(from);
    const auto there = co_await t->get(to);
    if (!here || std::stoi(*here) < amount) co_return;
    t->put(from, std::to_string(std::stoi(*here) - amount));
    t->put(to, std::to_string((there ? std::stoi(*there) : 0) + amount));
}

asio::awaitable<void> sum_up(transaction* t, std::string p, int* sum) {
    *sum = 0;
    for (int i = 0; i < accounts; ++i) {
        const auto value = co_await t->get(account(p, i));
        if (value) *sum += std::stoi(*value);
    }
}

asio::awaitable<void> open_accounts(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto done = co_await c.put(account(p, 0), "100"); // the others are absent, which is as good as 0
    CHECK(done.header.revision.value > 0);
}

asio::awaitable<void> check_sum(client c, std::string p) {
    int sum = 0;
    const transaction_body summing = [&](transaction& t) { return sum_up(&t, p, &sum); };
    const auto at = co_await atomically(c, summing);
    CHECK(at.value > 0);
    CHECK(sum == 100);
}

asio::awaitable<void> transfers(std::string p, int rank, fault_proxy* proxy) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(proxy != nullptr ? proxy->endpoint() : test_etcd().endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    for (int i = 0; i < 8; ++i) {
        const int from = (rank + i) % accounts;
        const int to = (rank + 3 * i + 1) % accounts;
        if (from == to) continue;
        const transaction_body moving = [&](transaction& t) { return transfer_between(&t, account(p, from), account(p, to), 1 + rank); };
        if (proxy != nullptr) {
            const auto at = co_await atomically(book, moving);
            CHECK(at.value > 0);
        } else {
            const auto at = co_await atomically(c, moving);
            CHECK(at.value > 0);
        }
        co_await check_sum(c, p);
    }
    co_await s.close();
}

asio::awaitable<void> count_up(transaction* t, std::string key) {
    const auto before = co_await t->get(key);
    t->put(key, std::to_string((before ? std::stoi(*before) : 0) + 1));
}

asio::awaitable<void> count_with_receipts(std::string p, fault_proxy* proxy) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(proxy->endpoint()));
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    const transaction_body counting = [&](transaction& t) { return count_up(&t, p + "counter"); };
    for (int i = 0; i < 6; ++i) {
        const auto at = co_await atomically(book, counting);
        CHECK(at.value > 0);
    }
    co_await s.close();
}

asio::awaitable<void> counted(std::string p, int expected) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto found = co_await c.get(p + "counter");
    REQUIRE(found);
    CHECK(found->value == std::to_string(expected));
}

// What others do in the middle of its first run.
asio::awaitable<void> interrupted(transaction* t, client c, std::string p, int* runs) {
    ++*runs;
    const auto a = co_await t->get(p + "a");
    if (*runs == 1) {
        const auto both = co_await c.txn(etcd::when().then(etcd::put(p + "a", "2"), etcd::put(p + "b", "2")));
        CHECK(both.succeeded);
    }
    const auto b = co_await t->get(p + "b");
    CHECK(a == b); // of one revision, also in a run that is doomed
    t->put(p + "c", a.value_or("none"));
    const auto own = co_await t->get(p + "c");
    CHECK(own == a);
    t->erase(p + "d");
    const auto gone = co_await t->get(p + "d");
    CHECK(!gone);
}

asio::awaitable<void> snapshots(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const auto begun = co_await c.txn(etcd::when().then(etcd::put(p + "a", "1"), etcd::put(p + "b", "1"), etcd::put(p + "d", "1")));
    CHECK(begun.succeeded);
    int runs = 0;
    const transaction_body body = [&](transaction& t) { return interrupted(&t, c, p, &runs); };
    const auto before = c.metrics();
    const auto at = co_await atomically(c, body);
    CHECK(runs == 2);
    CHECK(c.metrics().calls - before.calls == 5); // a, the other's, b, the refusal that brings the new values, the commit
    const auto written = co_await c.get(p + "c");
    REQUIRE(written);
    CHECK(written->value == "2");
    CHECK(written->mod_revision == at);
    const auto gone = co_await c.get(p + "d");
    CHECK(!gone);
}

// It reads one key and writes another that it has not read; that one changes meanwhile.
asio::awaitable<void> blind(transaction* t, client c, std::string p, int* runs) {
    ++*runs;
    const auto a = co_await t->get(p + "a");
    CHECK(!a);
    if (*runs == 1) {
        const auto other = co_await c.put(p + "b", "another's");
        CHECK(other.header.revision.value > 0);
    }
    t->put(p + "b", "run " + std::to_string(*runs));
}

asio::awaitable<void> write_conflicts(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    int runs = 0;
    const transaction_body body = [&](transaction& t) { return blind(&t, c, p, &runs); };
    const auto at = co_await atomically(c, body);
    CHECK(at.value > 0);
    CHECK(runs == 2);
    const auto found = co_await c.get(p + "b");
    REQUIRE(found);
    CHECK(found->value == "run 2");
    CHECK(found->version == 2);
}

asio::awaitable<void> throw_midway(transaction* t, std::string p) {
    const auto a = co_await t->get(p + "a");
    t->put(p + "a", "never");
    throw std::runtime_error(a ? "found" : "absent");
}

asio::awaitable<void> nothing_of(transaction* t, std::string p) {
    t->put(p + "blind", "1");
    co_return;
}

asio::awaitable<void> endings(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    std::string thrown;
    const transaction_body throwing = [&](transaction& t) { return throw_midway(&t, p); };
    try {
        const auto at = co_await atomically(c, throwing);
        CHECK(!at);
    } catch (const std::runtime_error& failure) {
        thrown = failure.what();
    }
    CHECK(thrown == "absent");
    const auto never = co_await c.get(p + "a");
    CHECK(!never);

    // Without a read there is nothing to compare, and so no way to send it twice.
    const transaction_body unread = [&](transaction& t) { return nothing_of(&t, p); };
    proxy.add(fault_rule("/v3/kv/txn").drop_reply());
    auto doubtful = atomically(c, unread);
    auto end = co_await ending_of(std::move(doubtful));
    CHECK(end.reason == errc::outcome_unknown);
    auto s = co_await session::open(c, 30s);
    receipt_book book(s, p + "book");
    proxy.add(fault_rule("/v3/kv/txn").times(2).drop_reply());
    const auto at = co_await atomically(book, unread);
    const auto found = co_await c.get(p + "blind");
    REQUIRE(found);
    CHECK(found->version == 2);
    CHECK(found->mod_revision == at);
    co_await s.close();
    auto closed = atomically(book, unread);
    end = co_await ending_of(std::move(closed));
    CHECK(end.reason == errc::closed);
    CHECK_THROWS_AS(atomically(c, transaction_body()), error);
    CHECK_THROWS_AS(atomically(c, unread, 0s), error);
}

asio::awaitable<void> copy_to(transaction* t, std::string from, std::string to) {
    const auto value = co_await t->get(from);
    const auto before = co_await t->get(to);
    if (value) t->put(to, *value + before.value_or(""));
}

// What keeps a second copy from being executed is a key that was there and is written.
asio::awaitable<void> sent_again(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    const auto begun = co_await c.put(p + "a", "1");
    CHECK(begun.header.revision.value > 0);
    const transaction_body body = [&](transaction& t) { return copy_to(&t, p + "a", p + "b"); };
    proxy.add(fault_rule("/v3/kv/txn").cut_request_after(0));
    auto creating = atomically(c, body);
    const auto end = co_await ending_of(std::move(creating));
    CHECK(end.reason == errc::outcome_unknown);
    CHECK(proxy.requests("/v3/kv/txn") == 1);
    const auto created = co_await atomically(c, body);
    proxy.add(fault_rule("/v3/kv/txn").cut_request_after(0));
    const auto written = co_await atomically(c, body);
    CHECK(written > created);
    const auto found = co_await c.get(p + "b");
    REQUIRE(found);
    CHECK(found->value == "11");
}

asio::awaitable<void> compact_midway(transaction* t, client c, std::string p, int* runs) {
    ++*runs;
    const auto a = co_await t->get(p + "a");
    if (*runs == 1) {
        const auto later = co_await c.put(p + "b", "1");
        const auto forgotten = co_await c.compact(later.header.revision);
        CHECK(forgotten.header.revision.value > 0);
    }
    const auto b = co_await t->get(p + "b");
    CHECK(b);
    t->put(p + "c", a.value_or("") + b.value_or(""));
}

asio::awaitable<void> compacted(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    command::local_etcd etcd;
    client c(executor, quiet(etcd.endpoint()));
    int runs = 0;
    const transaction_body body = [&](transaction& t) { return compact_midway(&t, c, p, &runs); };
    const auto at = co_await atomically(c, body);
    CHECK(runs == 2);
    const auto found = co_await c.get(p + "c");
    REQUIRE(found);
    CHECK(found->mod_revision == at);
}

// Another writes each time between the read and the commit.
asio::awaitable<void> be_late(transaction* t, client c, std::string p) {
    const auto a = co_await t->get(p + "a");
    const auto other = co_await c.put(p + "a", "another's");
    CHECK(other.header.revision.value > 0);
    t->put(p + "a", a.value_or("") + "mine");
}

asio::awaitable<void> never_first(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    const transaction_body body = [&](transaction& t) { return be_late(&t, c, p); };
    ending end;
    for (int tries = 0; tries < 10 && !contains(end.what, "in each of"); ++tries) { // the deadline may also come while a request is under way
        auto trying = atomically(c, body, 600ms);
        end = co_await ending_of(std::move(trying));
        CHECK(end.took < 3s);
        CHECK(!end.what.empty());
    }
    CHECK(end.reason == errc::timed_out);
    CHECK(contains(end.what, "atomically \"" + p + "a\": timed out after 600 ms: in each of "));
    CHECK(end.context.call == "atomically");
    CHECK(end.context.key == p + "a");
    const auto found = co_await c.get(p + "a");
    REQUIRE(found);
    CHECK(found->value == "another's");
}

} // namespace

TEST_CASE("transaction: a commit that could be executed twice is not sent twice") { run(sent_again(unique_prefix())); }
TEST_CASE("transaction: ends by its deadline when another is always faster") { run(never_first(unique_prefix())); }
TEST_CASE("transaction: transfers between accounts keep their sum, for every reader") {
    const auto p = unique_prefix();
    run(open_accounts(p));
    run_ranks(6, [&](int rank) { return transfers(p, rank, nullptr); }, 60s);
}
TEST_CASE("transaction: with receipts, transfers keep their sum though replies are lost") {
    const auto p = unique_prefix();
    run(open_accounts(p));
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.3, 3, "/v3/kv/txn");
    run_ranks(4, [&](int rank) { return transfers(p, rank, &proxy); }, 60s);
}
TEST_CASE("transaction: with receipts, each is executed once though replies are lost") {
    const auto p = unique_prefix();
    auto proxy = proxy_of(test_etcd());
    proxy.random_reply_loss(0.3, 5, "/v3/kv/txn");
    run_ranks(6, [&](int) { return count_with_receipts(p, &proxy); }, 60s);
    run(counted(p, 36));
}
TEST_CASE("transaction: a run sees one revision and its own writes, and is repeated with one request") { run(snapshots(unique_prefix())); }
TEST_CASE("transaction: what it writes without having read it is not taken from under another") { run(write_conflicts(unique_prefix())); }
TEST_CASE("transaction: a body that throws writes nothing, and what cannot be known is said") { run(endings(unique_prefix())); }
TEST_CASE("transaction: a snapshot that was compacted away is taken anew") { run(compacted(unique_prefix())); }
