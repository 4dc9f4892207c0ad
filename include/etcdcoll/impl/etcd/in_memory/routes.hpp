#pragma once
// The paths of etcd's gateway.

#include <algorithm>
#include <array>
#include <string_view>

namespace etcdcoll::etcd::model {

enum class service { range, put, delete_range, txn, compaction, grant, revoke, time_to_live, leases, keep_alive, watch, status, member_list, absent };

struct route {
    std::string_view path;
    service what = service::absent; ///< absent: etcd's, but not to be had in memory
};

// By path.
inline constexpr auto routes = std::to_array<route>({
    {"/v3/auth/authenticate"},
    {"/v3/auth/disable"},
    {"/v3/auth/enable"},
    {"/v3/auth/role/add"},
    {"/v3/auth/role/delete"},
    {"/v3/auth/role/get"},
    {"/v3/auth/role/grant"},
    {"/v3/auth/role/list"},
    {"/v3/auth/role/revoke"},
    {"/v3/auth/status"},
    {"/v3/auth/user/add"},
    {"/v3/auth/user/changepw"},
    {"/v3/auth/user/delete"},
    {"/v3/auth/user/get"},
    {"/v3/auth/user/grant"},
    {"/v3/auth/user/list"},
    {"/v3/auth/user/revoke"},
    {"/v3/cluster/member/add"},
    {"/v3/cluster/member/list", service::member_list},
    {"/v3/cluster/member/promote"},
    {"/v3/cluster/member/remove"},
    {"/v3/cluster/member/update"},
    {"/v3/election/campaign"},
    {"/v3/election/leader"},
    {"/v3/election/observe"},
    {"/v3/election/proclaim"},
    {"/v3/election/resign"},
    {"/v3/kv/compaction", service::compaction},
    {"/v3/kv/deleterange", service::delete_range},
    {"/v3/kv/lease/leases", service::leases},
    {"/v3/kv/lease/revoke", service::revoke},
    {"/v3/kv/lease/timetolive", service::time_to_live},
    {"/v3/kv/put", service::put},
    {"/v3/kv/range", service::range},
    {"/v3/kv/txn", service::txn},
    {"/v3/lease/grant", service::grant},
    {"/v3/lease/keepalive", service::keep_alive},
    {"/v3/lease/leases", service::leases},
    {"/v3/lease/revoke", service::revoke},
    {"/v3/lease/timetolive", service::time_to_live},
    {"/v3/lock/lock"},
    {"/v3/lock/unlock"},
    {"/v3/maintenance/alarm"},
    {"/v3/maintenance/defragment"},
    {"/v3/maintenance/downgrade"},
    {"/v3/maintenance/hash"},
    {"/v3/maintenance/hashkv"},
    {"/v3/maintenance/snapshot"},
    {"/v3/maintenance/status", service::status},
    {"/v3/maintenance/transfer-leadership"},
    {"/v3/watch", service::watch},
});

static_assert(std::is_sorted(routes.begin(), routes.end(), [](const route& a, const route& b) { return a.path < b.path; }));

/// None where etcd has no such path.
inline const route* find_route(std::string_view path) noexcept {
    const auto found = std::lower_bound(routes.begin(), routes.end(), path, [](const route& a, std::string_view b) { return a.path < b; });
    return found != routes.end() && found->path == path ? &*found : nullptr;
}

} // namespace etcdcoll::etcd::model
