#pragma once
// What is swept: one public awaitable, what it needs before, and what has to be true of it afterwards.

#include <simulation/world.hpp>

#include <etcdcoll/session.hpp>

#include <memory>
#include <string>
#include <vector>

namespace etcdcoll::sim {

/// How an operation has ended: with a result, with errc::cancelled, or with an error that it documents for a lost reply.
enum class ending { done, cancelled, failed };

/// What an operation documents beyond what all of them promise.
struct promises {
    std::size_t processes = 1;
    bool withdraws = false;          ///< after its end it takes something back, in the background
    std::vector<errc> lossy = {};         ///< what it may end with when a reply is lost
    std::vector<std::string> others = {}; ///< beginnings of keys that others write while it runs
    bool litters = false;            ///< leaves keys without a lease where its process dies
};

/// Made anew for each run, in rank 0. What it holds goes with it, as its caller's variables would. Keys below k/ may stay.
class operation {
public:
    explicit operation(world& of, client_options options = client_options());
    virtual ~operation();
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

    virtual asio::awaitable<void> prepare();
    /// The operation, in one await.
    virtual asio::awaitable<void> act() = 0;
    /// Uses what is left, as its documentation says that it can be used.
    virtual asio::awaitable<void> check(ending how);

    /// Complains unless it holds.
    void require(bool holds, const std::string& what);

    world& all;
    rank_process& self;
    client etcd;

protected:
    /// What is in the store, without a request.
    std::optional<etcd::key_value> stored(const std::string& key) const;
    std::size_t stored_below(const std::string& prefix) const;
    void store(const std::string& key, const std::string& value);
    etcd::model::store& data() const { return all.etcd().data(); }
    /// Somebody changes the store a while later, whether this is still there or not.
    void later(duration how_long, std::function<void(etcd::model::store&)> change);
    asio::awaitable<void> pause(duration how_long);
    asio::awaitable<void> client_works();
};

/// The lease of an operation: lost only where it says so.
class operation_of_session : public operation {
public:
    explicit operation_of_session(world& of) : operation(of) {}
    asio::awaitable<void> prepare() override;
    session mine;
};

} // namespace etcdcoll::sim
