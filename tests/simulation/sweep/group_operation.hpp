#pragma once
// A group of two, of which one is swept and the other sees what comes of it.

#include "operation.hpp"

#include <simulation/group_checker.hpp>

#include <etcdcoll/group.hpp>

namespace etcdcoll::sim {

/// What both ranks call, again and again.
using collective_call = asio::awaitable<void> (*)(group*);
asio::awaitable<void> call_barrier(group* in);
asio::awaitable<void> call_allgather_bytes(group* in);
asio::awaitable<void> call_allgather(group* in);
/// With blocks that have to be read from keys of their own.
asio::awaitable<void> call_large_allgather(group* in);

/// Rank 1, in a process of its own: meets rank 0 in as many epochs as it takes, until it is told that it is over.
class other_rank {
public:
    other_rank(world& of, collective_call call) : all_(of), call_(call) {}
    asio::awaitable<void> live();

    bool over = false;
    int meetings = 0; ///< that it has left

private:
    asio::awaitable<bool> join(client through, group* into);
    asio::awaitable<bool> meet(group* in);

    world& all_;
    collective_call call_;
};

class operation_of_group : public operation {
public:
    explicit operation_of_group(world& of, collective_call both_call = call_barrier);
    ~operation_of_group() override;
    static promises promised();
    /// Both are in.
    asio::awaitable<void> prepare() override;

protected:
    asio::awaitable<void> call() { return call_(&mine_); }
    /// Calls it, and sees that rank 1 comes out of it, too.
    asio::awaitable<void> meet_again();
    asio::awaitable<void> join();
    group mine_;

private:
    collective_call call_;
    std::shared_ptr<other_rank> other_;
};

} // namespace etcdcoll::sim
