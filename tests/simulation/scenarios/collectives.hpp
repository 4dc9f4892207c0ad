#pragma once
// What the scenarios of groups share: the life of a rank.

#include "../group_checker.hpp"

#include <etcdcoll/group.hpp>

namespace etcdcoll::sim {

/// What a client's call may end with where etcd, the network and time are against it; and what else join() documents, leave() and revoke, what is held
/// by a session.
const std::vector<errc>& troubles();
const std::vector<errc>& joining_troubles();
const std::vector<errc>& leaving_troubles();
const std::vector<errc>& holding_troubles();

/// Nothing went wrong but what the client has to overcome by itself: everything has to succeed.
bool only_lossy(const fault_rates& rates);

group_options simulated_group(const world& of, int rank);

asio::awaitable<void> join_group(client through, group_options options, group* into);

/// Works for a while, as long as the run's pace says: so that faults come in between.
asio::awaitable<void> take_time(world& of, rank_process& self);

/// One collective, called the `number`th time: checked by group_checker.
asio::awaitable<std::optional<error>> call_collective(world& of, rank_process& self, std::shared_ptr<group_checker> checker, group* in, std::uint64_t number,
                                                      bool gathers, duration timeout);

} // namespace etcdcoll::sim
