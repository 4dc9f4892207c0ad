// What reads, computes and writes: all of it, or nothing.
#include "sweep.hpp"

#include <etcdcoll/recipes/modify.hpp>
#include <etcdcoll/recipes/receipt_book.hpp>
#include <etcdcoll/recipes/transaction.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

// Two accounts with ten together, whatever is moved.
class transferring : public operation_of_session {
public:
    explicit transferring(world& of) : operation_of_session(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> prepare() override {
        co_await operation_of_session::prepare();
        store("k/a", "10");
        book_.emplace(mine, "k/book");
    }

protected:
    int balance(const std::string& key) const {
        const auto found = stored(key);
        return found ? std::stoi(found->value) : 0;
    }
    void require_moved(ending how) {
        const auto a = balance("k/a");
        const auto b = balance("k/b");
        require(a + b == 10, "money is lost or made");
        require(b == 1 || (b == 0 && how != ending::done), "it was moved " + std::to_string(b) + " times");
    }
    std::optional<receipt_book> book_;
    etcd::revision at_;
};

class receipt_call final : public transferring {
public:
    explicit receipt_call(world& of) : transferring(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> act() override { reply_ = co_await book_->txn(transfer()); }
    asio::awaitable<void> check(ending how) override {
        co_await pause(100ms);
        require_moved(how);
        const auto moved = balance("k/b") == 1;
        const auto again = co_await book_->txn(transfer());
        require(again.succeeded == !moved, "the book does not work any more");
        require_moved(ending::done);
    }

private:
    static etcd::txn_request transfer() { return etcd::when(etcd::version("k/b") == 0).then(etcd::put("k/a", "9"), etcd::put("k/b", "1")); }
    receipt_reply reply_;
};

class atomically_call : public transferring {
public:
    explicit atomically_call(world& of) : transferring(of) {}
    asio::awaitable<void> act() override { at_ = co_await atomically(etcd, transfer()); }
    asio::awaitable<void> check(ending how) override {
        co_await pause(100ms);
        require_moved(how);
        require(how != ending::done || stored("k/b")->mod_revision == at_, "it was committed at another revision");
        co_await client_works();
    }

protected:
    transaction_body transfer() {
        return [this](transaction& t) { return move_one(t); };
    }

private:
    asio::awaitable<void> move_one(transaction& t) {
        const auto a = co_await t.get("k/a");
        const auto b = co_await t.get("k/b");
        t.put("k/a", std::to_string(std::stoi(a.value()) - 1));
        t.put("k/b", std::to_string(std::stoi(b.value_or("0")) + 1));
    }
};

class booked_atomically final : public atomically_call {
public:
    explicit booked_atomically(world& of) : atomically_call(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> act() override { at_ = co_await atomically(*book_, transfer()); }
};

// Somebody else is faster, once: it is run again.
class late_atomically final : public atomically_call {
public:
    explicit late_atomically(world& of) : atomically_call(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}, .others = {"k/a"}}; }
    asio::awaitable<void> act() override {
        later(1500us, [](auto& there) { there.txn(etcd::when(etcd::version("k/b") == 0).then(etcd::put("k/a", "10"))); });
        return atomically_call::act();
    }
};

class modify_call : public transferring {
public:
    explicit modify_call(world& of) : transferring(of) {}
    asio::awaitable<void> act() override { at_ = co_await modify(etcd, "k/a", one_less()); }
    asio::awaitable<void> check(ending how) override {
        co_await pause(100ms);
        const auto a = balance("k/a");
        require(a == 9 || (a == 10 && how != ending::done), "it was modified to " + std::to_string(a));
        const auto again = co_await modify(*book_, "k/a", one_less());
        require(again == stored("k/a")->mod_revision && balance("k/a") == a - 1, "it cannot be modified any more");
    }

protected:
    static modification one_less() {
        return [](const std::optional<etcd::key_value>& before) { return std::optional(std::to_string(std::stoi(before.value().value) - 1)); };
    }
};

class booked_modify final : public modify_call {
public:
    explicit booked_modify(world& of) : modify_call(of) {}
    static promises promised() { return {.withdraws = true}; }
    asio::awaitable<void> act() override { at_ = co_await modify(*book_, "k/a", one_less()); }
};

} // namespace

TEST_CASE("cancel: receipt_book.txn ends with cancelled or success at every handler") { sweep<receipt_call>("receipt_book.txn"); }
TEST_CASE("cancel: atomically ends with cancelled or success at every handler") { sweep<atomically_call>("atomically"); }
TEST_CASE("cancel: atomically with a receipt ends with cancelled or success at every handler") { sweep<booked_atomically>("atomically with a receipt"); }
TEST_CASE("cancel: atomically that runs again ends with cancelled or success at every handler") { sweep<late_atomically>("atomically that runs again"); }
TEST_CASE("cancel: modify ends with cancelled or success at every handler") { sweep<modify_call>("modify"); }
TEST_CASE("cancel: modify with a receipt ends with cancelled or success at every handler") { sweep<booked_modify>("modify with a receipt"); }

} // namespace etcdcoll::sim
