#pragma once
// The care of an etcd cluster: how each member is, alarms, defragmentation, hashes, snapshots, leadership, downgrades.

#include <etcdcoll/etcd/client.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace etcdcoll::etcd {

enum class alarm_kind { none, no_space, corrupt };

struct alarm {
    alarm() = default;
    alarm(member_id member_, alarm_kind kind_) : member(member_), kind(kind_) {}

    member_id member;
    alarm_kind kind = alarm_kind::none;
};

struct alarm_response {
    response_header header; ///< empty from etcd 3.4
    std::vector<alarm> alarms;
};

/// From etcd 3.6.
struct downgrade_info {
    bool enabled = false;
    std::string target_version;
};

struct status_response {
    response_header header;
    std::string version; ///< of the member's binary
    std::int64_t db_size = 0;
    std::int64_t db_size_in_use = 0; ///< what defragment() would leave
    member_id leader;                ///< none: the member knows no leader
    std::uint64_t raft_index = 0;
    std::uint64_t raft_term = 0;
    std::uint64_t raft_applied_index = 0;
    std::vector<std::string> errors; ///< alarms, and "etcdserver: no leader"
    bool is_learner = false;
    std::string storage_version;    ///< from etcd 3.6
    std::int64_t db_size_quota = 0; ///< from etcd 3.6, where one is set
    etcd::downgrade_info downgrade_info;
};

/// etcd says nothing more of its success.
struct defragment_response {
    response_header header; ///< empty from every version so far
};

struct move_leader_response {
    response_header header; ///< empty from every version so far
};

struct hash_response {
    response_header header;
    std::uint32_t hash = 0;
};

struct hash_kv_response {
    response_header header;
    std::uint32_t hash = 0;
    revision compact_revision; ///< where the history that was hashed begins; -1: it was never compacted
    revision hash_revision;    ///< from etcd 3.6
};

struct snapshot_response {
    std::uint64_t bytes = 0; ///< of the file, the checksum at its end included
    std::string version;     ///< of the storage; from etcd 3.6
};

enum class downgrade_action { validate, enable, cancel };

struct downgrade_response {
    response_header header;
    std::string version; ///< that the cluster runs now
};

/// The calls of etcd's Maintenance service, through the connections of a client. Copies are as good as the original.
///
/// `endpoint` ("http://10.0.0.1:2379") names the member that is meant; it need not be one of the client's. Without one it is whichever
/// member the client talks to at the moment. Of rpc.proto this leaves out SnapshotResponse.header, of which each message of the stream has
/// one, and the kind and member in an AlarmRequest that asks (GET): alarm_list() tells them of each alarm.
/// Reads are repeated until the deadline, but for snapshot(). A write is sent once.
/// Errors:  those of client; invalid_argument for an endpoint that is no URL, for an alarm without a kind or a member.
/// Cancel:  terminal; a write that was sent may have been executed.
/// Cost:    one request.
class ETCDCOLL_API maintenance {
public:
    explicit maintenance(client through);

    /// How the member is; it answers without the others.
    asio::awaitable<status_response> status(std::string endpoint = {}, call_options options = {});

    /// Every alarm of the cluster.
    asio::awaitable<alarm_response> alarm_list(std::string endpoint = {}, call_options options = {});
    asio::awaitable<alarm_response> alarm_activate(alarm raised, std::string endpoint = {}, call_options options = {});
    /// `raised`: one of alarm_list(). Returns the alarm, or none where it was not raised. After no_space: first make room (compact,
    /// defragment), else it comes back.
    asio::awaitable<alarm_response> alarm_disarm(alarm raised, std::string endpoint = {}, call_options options = {});

    /// Gives free pages of the member's database back to its file system. The member answers nobody meanwhile: one member after the other.
    /// Takes 300 s at most unless `options.timeout` says otherwise.
    asio::awaitable<defragment_response> defragment(std::string endpoint = {}, call_options options = {});

    /// Of the member's whole database file: members compare equal only where nothing is being written. Takes 300 s at most unless
    /// `options.timeout` says otherwise; so does hash_kv().
    asio::awaitable<hash_response> hash(std::string endpoint = {}, call_options options = {});
    /// Of all keys up to `at` (0: the newest): equal on all members that were compacted at the same revision. Errors: unsupported by
    /// etcd 3.4; compacted.
    asio::awaitable<hash_kv_response> hash_kv(revision at = {}, std::string endpoint = {}, call_options options = {});

    /// Saves the member's database as the file `to`, as `etcdctl snapshot save` does: complete, checked against etcd's SHA-256 (which is its
    /// last 32 bytes) and on the disk when it returns, or not there at all. It grows as `<to>.part-` and six letters, a file of its own for
    /// each call (a process that is killed leaves it behind); an older `to` is replaced at the end. Asked for once: what breaks off is not
    /// begun anew. `options.timeout` limits how long nothing may come, not how long it takes.
    ///
    /// Errors:  timed_out, connection_failed, unavailable; bad_reply for a stream that ends early or a checksum that differs; file_failed.
    /// Cancel:  terminal; the unfinished file is removed.
    /// Cost:    one connection of its own; the file's bytes and a third more; about 1 MiB of memory. Writing the file holds up the client's
    ///          other calls, as long as the disk takes for 4 MiB at a time.
    asio::awaitable<snapshot_response> snapshot(std::string to, std::string endpoint = {}, call_options options = {});

    /// Makes `to` the leader. Must be said to the present leader: `endpoint`, where the client has several. Errors: refused by who is none.
    asio::awaitable<move_leader_response> move_leader(member_id to, std::string endpoint = {}, call_options options = {});

    /// Lets members of the minor version before join, so that they can be replaced one by one. `version`: "3.5.0"; with cancel it is
    /// ignored. Errors: unsupported by etcd 3.4; refused. etcd 3.5 may answer a success only after 7 s with a time-out: outcome_unknown.
    asio::awaitable<downgrade_response> downgrade(downgrade_action action, std::string version, std::string endpoint = {},
                                                  call_options options = {});

private:
    client client_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/maintenance.ipp>
#endif
