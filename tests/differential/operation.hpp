#pragma once
// One operation on an etcd, as data: drawn at random, executed by any subject, left out by the shrinker, and printed.

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/etcd/watch.hpp>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace etcdcoll::test {

struct compaction {
    etcd::revision at;
};
struct lease_grant {
    etcd::lease_id id;
    std::int64_t ttl;
};
struct lease_revoke {
    etcd::lease_id id;
};
struct lease_keep_alive {
    etcd::lease_id id;
};
struct lease_time_to_live {
    etcd::lease_id id;
    bool keys;
};
struct lease_list {};

using operation = std::variant<etcd::put_request, etcd::range_request, etcd::delete_range_request, etcd::txn_request, compaction, lease_grant,
                               lease_revoke, lease_keep_alive, lease_time_to_live, lease_list, etcd::watch_request>;

/// Numbers near this one stand for revisions: newest_revision - 2 is two before the newest one at the time of the operation. So a sequence keeps its
/// meaning when a part of it is left out.
inline constexpr std::int64_t newest_revision = std::int64_t(1) << 40;

/// With all such numbers replaced.
operation resolved(operation what, std::int64_t newest);

/// On one line.
std::string text(const operation& what);

/// The same with a little less in it, each in another way; nothing for what has no parts.
std::vector<operation> simpler(const operation& what);

/// In quotes, with everything but printable ASCII escaped; what is long is cut.
std::string quoted(const std::string& bytes);
std::string text(const etcd::key_range& keys);

} // namespace etcdcoll::test
