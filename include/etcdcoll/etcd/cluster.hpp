#pragma once
// The members of an etcd cluster: who they are, and adding, moving and removing one.

#include <etcdcoll/etcd/client.hpp>

#include <string>
#include <vector>

namespace etcdcoll::etcd {

struct member {
    member_id id;
    std::string name; ///< empty until it has started for the first time
    std::vector<std::string> peer_urls;
    std::vector<std::string> client_urls; ///< empty until it has started for the first time
    bool is_learner = false;              ///< receives everything, has no vote
};

/// What etcd answers here has no `header.revision`.
struct member_list_response {
    response_header header;
    std::vector<etcd::member> members;
};

struct member_add_response {
    response_header header;
    etcd::member member;               ///< the new one
    std::vector<etcd::member> members; ///< all, the new one included
};

/// The calls of etcd's Cluster service, through the connections of a client. Copies are as good as the original.
///
/// member_list() is repeated until the deadline. A change is sent once: after outcome_unknown, member_list() tells.
/// Errors:  those of client; not_found for a member that is none, already_exists for peer URLs that are taken, refused, unavailable while
///          the cluster is too unwell for the change.
/// Cancel:  terminal; a change that was sent may have been executed.
/// Cost:    one request.
class ETCDCOLL_API cluster {
public:
    explicit cluster(client through);

    /// Linearizable unless told otherwise; etcd 3.4 always answers with what the member itself knows.
    asio::awaitable<member_list_response> member_list(bool linearizable = true, call_options options = {});
    /// Lets a member join that listens to its peers at `peer_urls`. It has to be started afterwards, with `--initial-cluster-state existing`.
    asio::awaitable<member_add_response> member_add(std::vector<std::string> peer_urls, bool is_learner = false, call_options options = {});
    /// Its process ends by itself, or has to be ended; it cannot come back but by member_add().
    asio::awaitable<member_list_response> member_remove(member_id id, call_options options = {});
    /// Gives a member other peer URLs. Not for a learner: every etcd so far then lists it as a voter, and promotes it no more.
    asio::awaitable<member_list_response> member_update(member_id id, std::vector<std::string> peer_urls, call_options options = {});
    /// Gives a learner its vote. Errors: refused while it has not caught up.
    asio::awaitable<member_list_response> member_promote(member_id id, call_options options = {});

private:
    client client_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/cluster.ipp>
#endif
