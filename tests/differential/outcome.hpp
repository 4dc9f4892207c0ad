#pragma once
// What an operation has answered, as text: every field that all etcds of one version answer alike.

#include "operation.hpp"

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>

#include <string>

namespace etcdcoll::test {

struct outcome {
    std::string text;
    std::int64_t seconds_left = 0; ///< of a lease, which no two servers tell in the same moment
};

bool alike(const outcome& a, const outcome& b);

outcome outcome_of(const etcd::range_response& reply);
outcome outcome_of(const etcd::put_response& reply);
outcome outcome_of(const etcd::delete_range_response& reply);
outcome outcome_of(const etcd::txn_response& reply);
outcome outcome_of(const etcd::compact_response& reply);
outcome outcome_of(const etcd::lease_grant_response& reply);
outcome outcome_of(const etcd::lease_revoke_response& reply);
outcome outcome_of(const etcd::lease_keep_alive_response& reply);
outcome outcome_of(const etcd::lease_time_to_live_response& reply);
outcome outcome_of(const etcd::lease_list_response& reply);
outcome outcome_of_refusal(int code, const std::string& message);

std::string text(const etcd::event& one);

} // namespace etcdcoll::test
