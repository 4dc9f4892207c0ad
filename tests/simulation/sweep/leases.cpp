// The client's calls about leases. One that was granted all the same runs out.
#include "sweep.hpp"

#include <catch2/catch_test_macros.hpp>

namespace etcdcoll::sim {

namespace {

using namespace std::chrono_literals;

class of_a_lease : public operation {
public:
    explicit of_a_lease(world& of) : operation(of) {}
    static promises promised() { return {}; }
    asio::awaitable<void> prepare() override {
        const auto granted = data().grant(20, {}, all.now());
        lease_ = granted.id;
        data().put(etcd::put_request("leased", "1", lease_));
        co_return;
    }

protected:
    etcd::lease_id lease_;
};

class grant_call final : public operation {
public:
    explicit grant_call(world& of) : operation(of) {}
    static promises promised() { return {}; }
    asio::awaitable<void> act() override { granted_ = co_await etcd.lease_grant(5s); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        if (how != ending::done) co_return;
        const auto again = co_await etcd.lease_grant(5s);
        require(granted_.id != again.id && granted_.ttl == 5s, "the lease is not a new one");
    }

private:
    etcd::lease_grant_response granted_;
};

class keep_alive_call final : public of_a_lease {
public:
    explicit keep_alive_call(world& of) : of_a_lease(of) {}
    asio::awaitable<void> act() override { kept_ = co_await etcd.lease_keep_alive(lease_); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require(how != ending::done || kept_.ttl == 20s, "the lease was not kept alive");
    }

private:
    etcd::lease_keep_alive_response kept_;
};

class revoke_call final : public of_a_lease {
public:
    explicit revoke_call(world& of) : of_a_lease(of) {}
    asio::awaitable<void> act() override { revoked_ = co_await etcd.lease_revoke(lease_); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require(how != ending::done || !stored("leased"), "the lease was not revoked");
    }

private:
    etcd::lease_revoke_response revoked_;
};

class time_to_live_call final : public of_a_lease {
public:
    explicit time_to_live_call(world& of) : of_a_lease(of) {}
    asio::awaitable<void> act() override { left_ = co_await etcd.lease_time_to_live(lease_, true); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require(how != ending::done || (left_.granted_ttl == 20s && left_.keys.size() == 1), "the lease is another");
    }

private:
    etcd::lease_time_to_live_response left_;
};

class list_call final : public of_a_lease {
public:
    explicit list_call(world& of) : of_a_lease(of) {}
    asio::awaitable<void> act() override { all_ = co_await etcd.lease_list(); }
    asio::awaitable<void> check(ending how) override {
        co_await client_works();
        require(how != ending::done || all_.leases == std::vector{lease_}, "the lease is not listed");
    }

private:
    etcd::lease_list_response all_;
};

} // namespace

TEST_CASE("cancel: client.lease_grant ends with cancelled or success at every handler") { sweep<grant_call>("client.lease_grant"); }
TEST_CASE("cancel: client.lease_keep_alive ends with cancelled or success at every handler") { sweep<keep_alive_call>("client.lease_keep_alive"); }
TEST_CASE("cancel: client.lease_revoke ends with cancelled or success at every handler") { sweep<revoke_call>("client.lease_revoke"); }
TEST_CASE("cancel: client.lease_time_to_live ends with cancelled or success at every handler") { sweep<time_to_live_call>("client.lease_time_to_live"); }
TEST_CASE("cancel: client.lease_list ends with cancelled or success at every handler") { sweep<list_call>("client.lease_list"); }

} // namespace etcdcoll::sim
