// A client's view: each call is the client's, with other keys.
#include "sweep.hpp"

#include <etcdcoll/etcd/namespaced.hpp>

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

class viewing : public operation {
public:
    explicit viewing(world& of) : operation(of), view_(etcd, "k/") {}
    static promises promised() { return {}; }
    asio::awaitable<void> prepare() override {
        store("k/a", "1");
        store("other", "1");
        all.ignore_keys("other");
        co_return;
    }
    asio::awaitable<void> check(ending how) override {
        require(how != ending::done || good_, "the view shows something else than what is there");
        const auto found = co_await view_.get("kept");
        require(!found, "the view shows what is not there");
        co_await client_works();
    }

protected:
    etcd::namespaced view_;
    bool good_ = false;
};

class range_call final : public viewing {
public:
    explicit range_call(world& of) : viewing(of) {}
    asio::awaitable<void> act() override {
        const auto found = co_await view_.range(etcd::from("a"));
        good_ = found.kvs.size() == 1 && found.kvs.front().key == "a";
    }
};

class get_call final : public viewing {
public:
    explicit get_call(world& of) : viewing(of) {}
    asio::awaitable<void> act() override {
        const auto found = co_await view_.get("a");
        good_ = found && found->key == "a";
    }
};

class writing : public viewing {
public:
    explicit writing(world& of) : viewing(of) {}
    static promises promised() { return {.lossy = {errc::outcome_unknown}}; }
};

class put_call final : public writing {
public:
    explicit put_call(world& of) : writing(of) {}
    asio::awaitable<void> act() override {
        const auto done = co_await view_.put("b", "1");
        good_ = stored("k/b").has_value() && done.header.revision == stored("k/b")->mod_revision;
    }
};

class delete_range_call final : public writing {
public:
    explicit delete_range_call(world& of) : writing(of) {}
    asio::awaitable<void> act() override {
        const auto done = co_await view_.delete_range("a");
        good_ = done.deleted == 1 && !stored("k/a");
    }
};

class txn_call final : public writing {
public:
    explicit txn_call(world& of) : writing(of) {}
    asio::awaitable<void> act() override {
        auto request = etcd::when(etcd::version("b") == 0).then(etcd::put("b", "1"), etcd::get("a"));
        const auto done = co_await view_.txn(std::move(request));
        good_ = done.succeeded && std::get<etcd::range_response>(done.responses.at(1)).kvs.front().key == "a";
    }
};

class time_to_live_call final : public viewing {
public:
    explicit time_to_live_call(world& of) : viewing(of) {}
    asio::awaitable<void> prepare() override {
        co_await viewing::prepare();
        const auto granted = data().grant(20, {}, all.now());
        lease_ = granted.id;
        data().put(etcd::put_request("k/leased", "1", lease_));
        data().put(etcd::put_request("leased", "1", lease_));
    }
    asio::awaitable<void> act() override {
        const auto left = co_await view_.lease_time_to_live(lease_, true);
        good_ = left.keys == std::vector<std::string>{"leased"};
    }

private:
    etcd::lease_id lease_;
};

} // namespace

TEST_CASE("cancel: namespaced.range ends with cancelled or success at every handler") { sweep<range_call>("namespaced.range"); }
TEST_CASE("cancel: namespaced.get ends with cancelled or success at every handler") { sweep<get_call>("namespaced.get"); }
TEST_CASE("cancel: namespaced.put ends with cancelled or success at every handler") { sweep<put_call>("namespaced.put"); }
TEST_CASE("cancel: namespaced.delete_range ends with cancelled or success at every handler") { sweep<delete_range_call>("namespaced.delete_range"); }
TEST_CASE("cancel: namespaced.txn ends with cancelled or success at every handler") { sweep<txn_call>("namespaced.txn"); }
TEST_CASE("cancel: namespaced.lease_time_to_live ends with cancelled or success at every handler") { sweep<time_to_live_call>("namespaced.lease_time_to_live"); }

} // namespace etcdcoll::sim
