// The recipes on an io_context that two threads run: handles are shared by all coroutines.

#include "support.hpp"

#include <etcdcoll/impl/recipes/receipts.hpp>
#include <etcdcoll/recipes/double_barrier.hpp>
#include <etcdcoll/recipes/election.hpp>
#include <etcdcoll/recipes/modify.hpp>
#include <etcdcoll/recipes/mutex.hpp>
#include <etcdcoll/recipes/queue.hpp>
#include <etcdcoll/recipes/transaction.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <thread>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

// Catch's checks are for one thread.
struct tally {
    std::atomic<int> left = 0;
    std::atomic<int> done = 0;
    std::atomic<int> wrong = 0;
    std::atomic<int> inside = 0;
    std::atomic<std::int64_t> sum = 0;
    std::int64_t token = 0; // under the lock that is tested: the thread sanitizer looks on
};

constexpr int coroutines = 8;
constexpr int rounds = 5;

/// What one coroutine does; its failures count as wrong, and the last one out closes the session.
using work = asio::awaitable<void> (*)(session* s, std::string p, int number, tally* count);

asio::awaitable<void> worker(work what, std::shared_ptr<session> s, std::string p, int number, tally* count) {
    try {
        co_await what(s.get(), p, number, count);
    } catch (const std::exception&) {
        ++count->wrong;
    }
    const bool last = --count->left == 0;
    if (last) co_await s->close();
}

asio::awaitable<void> begin(work what, std::string p, tally* count) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    auto opened = co_await session::open(c, 30s);
    const auto s = std::make_shared<session>(std::move(opened));
    count->left = coroutines;
    for (int i = 0; i < coroutines; ++i) asio::co_spawn(executor, worker(what, s, p, i, count), asio::detached);
}

void on_two_threads(work what, tally& count) {
    static_cast<void>(test_etcd());
    asio::io_context io(2);
    count.left = 1;
    asio::co_spawn(io, begin(what, unique_prefix(), &count), asio::detached);
    std::thread other([&io] { io.run_for(25s); });
    io.run_for(25s);
    other.join();
    CHECK(count.left == 0);
    CHECK(count.wrong == 0);
    CHECK(io.stopped());
}

void enter(tally* count, etcd::revision token) {
    if (++count->inside != 1 || token.value <= count->token) ++count->wrong;
    count->token = token.value;
}

void leave(tally* count) {
    ++count->done;
    --count->inside;
}

asio::awaitable<void> lock_all(session* s, std::string p, int number, tally* count) {
    mutex m(*s, p + "lock");
    for (int i = 0; i < rounds; ++i) {
        auto hold = co_await m.lock(20s);
        enter(count, hold.token());
        leave(count);
        if ((number + i) % 2 == 0) co_await hold.unlock(); // else in the background
    }
}

asio::awaitable<void> act(leadership* mine, tally* count) {
    enter(count, mine->token());
    co_await mine->proclaim("here");
    leave(count);
}

asio::awaitable<void> lead_all(session* s, std::string p, int, tally* count) {
    election e(*s, p + "e");
    const auto body = [count](leadership& mine) { return act(&mine, count); };
    for (int i = 0; i < rounds; ++i) {
        co_await e.lead("there", body, 20s);
    }
}

asio::awaitable<void> push_and_pop(session* s, std::string p, int number, tally* count) {
    queue q(*s, p + "q");
    for (int i = 0; i < rounds; ++i) {
        if (number % 2 == 0) {
            co_await q.push(std::to_string(number * rounds + i), 20s);
        } else {
            const auto item = co_await q.pop(20s);
            count->sum += std::stoi(item);
            ++count->done;
        }
    }
}

asio::awaitable<void> meet(session* s, std::string p, int number, tally* count) {
    double_barrier b(*s, p + "b", coroutines, std::to_string(number));
    for (int i = 0; i < rounds; ++i) {
        ++count->inside;
        co_await b.enter(20s);
        if (count->inside != coroutines * (i + 1)) ++count->wrong;
        co_await b.leave(20s);
        ++count->done;
    }
}

asio::awaitable<void> add_one(transaction* t, std::string key) {
    const auto before = co_await t->get(key);
    t->put(key, std::to_string((before ? std::stoi(*before) : 0) + 1));
}

asio::awaitable<void> write_all(session* s, std::string p, int number, tally* count) {
    receipt_book book(*s, p + "book");
    const modification up = [](const std::optional<etcd::key_value>& before) {
        return std::optional<std::string>(std::to_string((before ? std::stoi(before->value) : 0) + 1));
    };
    const auto key = p + "counter";
    const transaction_body body = [key](transaction& t) { return add_one(&t, key); };
    for (int i = 0; i < rounds; ++i) {
        etcd::revision at;
        if (number % 2 == 0) {
            at = co_await modify(book, key, up);
        } else {
            at = co_await atomically(book, body);
        }
        if (!at) ++count->wrong;
        ++count->done;
    }
    auto& c = book.state()->client();
    const auto found = co_await c.get(key);
    std::int64_t highest = count->sum;
    const std::int64_t value = found ? std::stoi(found->value) : 0;
    while (highest < value && !count->sum.compare_exchange_weak(highest, value)) {
    }
}

} // namespace

TEST_CASE("mutex: one holds it at a time, on two threads") {
    tally count;
    on_two_threads(lock_all, count);
    CHECK(count.done == coroutines * rounds);
}
TEST_CASE("election: one leads at a time, on two threads") {
    tally count;
    on_two_threads(lead_all, count);
    CHECK(count.done == coroutines * rounds);
}
TEST_CASE("queue: each item is taken once, on two threads") {
    tally count;
    on_two_threads(push_and_pop, count);
    CHECK(count.done == coroutines / 2 * rounds);
    std::int64_t pushed = 0;
    for (int number = 0; number < coroutines; number += 2)
        for (int i = 0; i < rounds; ++i) pushed += number * rounds + i;
    CHECK(count.sum == pushed);
}
TEST_CASE("double_barrier: all enter before one goes on, on two threads") {
    tally count;
    on_two_threads(meet, count);
    CHECK(count.done == coroutines * rounds);
}
TEST_CASE("transaction: no write is lost, on two threads") {
    tally count;
    on_two_threads(write_all, count);
    CHECK(count.done == coroutines * rounds);
    CHECK(count.sum == coroutines * rounds);
}
