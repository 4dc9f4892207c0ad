// The client's calls.
#include "sweep.hpp"

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

// Executed once at most, whatever became of the call.
void require_once(operation& of, const std::optional<etcd::key_value>& found, ending how) {
    of.require(how != ending::done || found, "it was done, and nothing is written");
    of.require(!found || (found->value == "1" && found->version == 1), "it was executed more than once");
}

class reading : public operation {
public:
    explicit reading(world& of, client_options options = client_options()) : operation(of, std::move(options)) {}
    static promises promised() { return {}; }
    asio::awaitable<void> prepare() override {
        store("k/a", "1");
        store("k/b", "2");
        co_return;
    }
};

class range_call final : public reading {
public:
    explicit range_call(world& of) : reading(of) {}
    asio::awaitable<void> act() override { found_ = co_await etcd.range(etcd::prefix("k/")); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || found_.kvs.size() == 2, "the range is not what is there");
        co_await client_works();
    }

private:
    etcd::range_response found_;
};

class get_call final : public reading {
public:
    explicit get_call(world& of) : reading(of) {}
    asio::awaitable<void> act() override { found_ = co_await etcd.get("k/a"); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || (found_ && found_->value == "1"), "the value is not what is there");
        co_await client_works();
    }

private:
    std::optional<etcd::key_value> found_;
};

// Another call has the only connection to each of the members.
class waiting_call final : public reading {
public:
    explicit waiting_call(world& of) : reading(of, client_options().connections(1)) {}
    asio::awaitable<void> prepare() override {
        co_await reading::prepare();
        for (int i = 0; i < 6; ++i) all.spawn(self, [through = etcd] { return read(through); });
    }
    asio::awaitable<void> act() override { found_ = co_await etcd.get("k/a"); }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || (found_ && found_->value == "1"), "the value is not what is there");
        co_await client_works();
    }

private:
    static asio::awaitable<void> read(client through) {
        const auto found = co_await through.get("k/b");
        static_cast<void>(found);
    }
    std::optional<etcd::key_value> found_;
};

class put_call final : public operation {
public:
    explicit put_call(world& of) : operation(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> act() override { done_ = co_await etcd.put("k/put", "1"); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require_once(*this, stored("k/put"), how);
    }

private:
    etcd::put_response done_;
};

class delete_range_call final : public operation {
public:
    explicit delete_range_call(world& of) : operation(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> prepare() override {
        store("k/d", "1");
        co_await client_works(); // over a connection that is there
    }
    asio::awaitable<void> act() override { done_ = co_await etcd.delete_range("k/d"); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        if (how == ending::done) require(done_.deleted == 1 && !stored("k/d"), "the key was not deleted");
    }

private:
    etcd::delete_range_response done_;
};

template <bool Guarded> class txn_call final : public operation {
public:
    explicit txn_call(world& of) : operation(of) {}
    static promises promised() {
        promises result;
        if (!Guarded) result.lossy = {errc::outcome_unknown};
        return result;
    }
    asio::awaitable<void> act() override {
        auto request = etcd::when(etcd::version("k/txn") == 0).then(etcd::put("k/txn", "1")).otherwise(etcd::get("k/txn"));
        const call_options options{.guarded = Guarded};
        done_ = co_await etcd.txn(std::move(request), options);
    }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require_once(*this, stored("k/txn"), how);
    }

private:
    etcd::txn_response done_;
};

class compact_call final : public operation {
public:
    explicit compact_call(world& of) : operation(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}}; }
    asio::awaitable<void> prepare() override {
        for (int i = 0; i < 4; ++i) store("k/c", std::to_string(i));
        co_return;
    }
    asio::awaitable<void> act() override {
        const etcd::revision at{3};
        done_ = co_await etcd.compact(at);
    }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        const auto compacted = data().compacted().value;
        require(compacted == 3 || (how != ending::done && compacted <= 0), "it is compacted at " + std::to_string(compacted));
    }

private:
    etcd::compact_response done_;
};

} // namespace

TEST_CASE("cancel: client.range ends with cancelled or success at every handler") { sweep<range_call>("client.range"); }
TEST_CASE("cancel: client.get ends with cancelled or success at every handler") { sweep<get_call>("client.get"); }
TEST_CASE("cancel: client.get that waits for a connection ends with cancelled or success at every handler") { sweep<waiting_call>("client.get that waits"); }
TEST_CASE("cancel: client.put ends with cancelled or success at every handler") { sweep<put_call>("client.put"); }
TEST_CASE("cancel: client.delete_range ends with cancelled or success at every handler") { sweep<delete_range_call>("client.delete_range"); }
TEST_CASE("cancel: client.txn ends with cancelled or success at every handler") { sweep<txn_call<false>>("client.txn"); }
TEST_CASE("cancel: client.txn with a guard ends with cancelled or success at every handler") { sweep<txn_call<true>>("client.txn, guarded"); }
TEST_CASE("cancel: client.compact ends with cancelled or success at every handler") { sweep<compact_call>("client.compact"); }

} // namespace etcdcoll::sim
