#pragma once
// The asynchronous client of etcd v3, over its HTTP/JSON gateway.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/etcd/metrics.hpp>
#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>
#include <etcdcoll/etcd/watch.hpp>
#include <etcdcoll/log.hpp>
#include <etcdcoll/tls.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace etcdcoll {

/// How a client reaches etcd. Every setter returns the object, so that options can be chained.
class ETCDCOLL_API client_options {
public:
    client_options();
    ~client_options();
    client_options(const client_options&);
    client_options& operator=(const client_options&);

    /// Comma-separated `[http://|https://]host[:port]`. Default: ETCD_ENDPOINTS, else http://127.0.0.1:2379.
    client_options& endpoints(std::string list);
    /// Asks the cluster for its members that often, and when one has failed; their client URLs are used beside the given endpoints, and no
    /// more once they have left. Default: zero, never.
    client_options& refresh_endpoints(duration interval);
    /// For https endpoints. Without it they are checked against the system's authorities.
    client_options& tls(tls_options settings);
    /// Logs in before the first call. The token is kept, and asked for again when etcd takes it no more. The password appears in no error
    /// and no log line.
    client_options& user(std::string name, std::string password);
    /// How long a call may take in all, repetitions included. Default 8 s: a write that is under way when etcd's leader dies is
    /// answered after 7 s.
    client_options& timeout(duration limit);
    /// How long a call that waits for others (a lock, an election) may take in all. Default 300 s.
    client_options& wait_timeout(duration limit);
    /// How long one attempt of a repeatable call may take before it is made again elsewhere. Default 1.5 s: a new leader is there after 1 to 2 s.
    /// A guarded write that had no answer by then is made again after a third of it (0.5 s at least), once for each endpoint.
    client_options& attempt_timeout(duration limit);
    /// How long a connection may take to come about. Default 1 s; a third of it while there are endpoints that were not tried yet.
    client_options& connect_timeout(duration limit);
    /// Kept connections to each endpoint, at most. Calls beyond wait their turn. Default 64.
    client_options& connections(std::size_t most);
    /// Largest reply, or message of a watch, that is taken into memory. Default 256 MiB.
    client_options& reply_limit(std::size_t bytes);
    /// How much of a watch's events may wait for next(), about. Default 64 MiB.
    client_options& watch_buffer(std::size_t bytes);
    client_options& log(logger sink);
    /// Called on the client's strand at the end of each call: it must neither block nor throw.
    client_options& on_call(std::function<void(const call_report&)> observer);
    /// Time, network and randomness; the system's unless a simulation is given.
    client_options& system(std::shared_ptr<environment> replacement);

    struct values;
    const values& get() const noexcept { return *values_; }

private:
    values& mine();
    std::shared_ptr<values> values_; // copied when it is changed
};

/// What one call changes of the client's options. Trivially destructible, so that it can be built inside a co_await expression.
struct call_options {
    /// Zero: the client's.
    duration timeout = duration::zero();
    /// The transaction carries its own guard (a compare that fails once it has been executed), so it may be repeated. Of no effect on other
    /// calls.
    bool guarded = false;
};

namespace detail {
class client_core;
}

namespace etcd {

/// A handle to one pool of connections and one set of watch streams; copies share them, and the last one closes them. Any thread may use
/// it: each call runs on a strand of the executor, and completes on the caller's executor. Like every I/O object, it must not outlive its
/// execution context.
///
/// Every call:
/// Errors:  invalid_argument and too_large before any I/O; timed_out, connection_failed, tls_failed, unavailable, bad_reply; what etcd answers
///          (refused, unauthenticated, permission_denied, no_space, unsupported, ...); outcome_unknown for a write that may or may not have
///          been executed; too_large for a reply beyond client_options::reply_limit; closed; cancelled.
/// Cancel:  terminal; a write that was sent may have been executed.
/// Cost:    one request; more where an attempt fails and a repetition is harmless.
class ETCDCOLL_API client {
public:
    /// Connects on first use. Throws errc::invalid_argument for options that cannot work.
    explicit client(asio::any_io_executor executor, client_options options = client_options());
    ~client();
    client(const client&) noexcept;
    client& operator=(const client&) noexcept;
    client(client&&) noexcept;
    client& operator=(client&&) noexcept;

    /// Reads a key or a range. Linearizable unless `serializable` is set. Repeated until the deadline.
    asio::awaitable<range_response> range(range_request request, call_options options = {});
    /// Reads one key; nothing when it is absent. Repeated until the deadline.
    asio::awaitable<std::optional<key_value>> get(std::string key, call_options options = {});
    /// Writes one key. Not repeated once a byte of it was sent: `version` counts puts. See txn() for a write that may be repeated.
    asio::awaitable<put_response> put(put_request request, call_options options = {});
    asio::awaitable<put_response> put(std::string key, std::string value, call_options options = {});
    /// Deletes a key or a range. Not repeated once a byte of it was sent: `deleted` would lie.
    asio::awaitable<delete_range_response> delete_range(delete_range_request request, call_options options = {});
    /// All or nothing, at one revision. Repeated when it only reads, or when `options.guarded` says that its compares fail once it has
    /// been executed.
    asio::awaitable<txn_response> txn(txn_request request, call_options options = {});

    /// Forgets the history before `at`: older revisions can be read and watched no more. `physical`: returns when the space is free for new
    /// data. Not repeated once a byte of it was sent. Errors: compacted, when that was done before.
    asio::awaitable<compact_response> compact(revision at, bool physical = false, call_options options = {});

    /// A lease of at least `ttl` (whole seconds, 2 at least). The client chooses the number where `id` is none, so that a repetition finds
    /// its own lease, and the reply has no header then. Repeated until the deadline. Errors: outcome_unknown also where a number of the
    /// caller's exists already and an attempt before has had no answer: the lease may be his.
    asio::awaitable<lease_grant_response> lease_grant(std::chrono::seconds ttl, lease_id id = {}, call_options options = {});
    /// Gives the lease its full time again. `ttl` 0 in the reply: it is gone. Repeated until the deadline.
    asio::awaitable<lease_keep_alive_response> lease_keep_alive(lease_id id, call_options options = {});
    /// Ends the lease and deletes its keys. Errors: not_found for one that is gone already. Repeated until the deadline; the reply
    /// has no header where an attempt before had done it.
    asio::awaitable<lease_revoke_response> lease_revoke(lease_id id, call_options options = {});
    /// What is left of the lease; `ttl` -1: it is gone. Repeated until the deadline.
    asio::awaitable<lease_time_to_live_response> lease_time_to_live(lease_id id, bool keys = false, call_options options = {});

    /// Every lease that there is. Repeated until the deadline.
    asio::awaitable<lease_list_response> lease_list(call_options options = {});

    /// Begins a watch; etcd's answers come with watch::next(). Costs one message on a shared stream.
    etcd::watch watch(watch_request request);

    client_metrics metrics() const noexcept;
    asio::any_io_executor executor() const;

    /// Ends every call with errc::closed (a write that was sent with outcome_unknown) and every watch; later calls fail alike. Returns at once.
    void close() noexcept;

    const std::shared_ptr<etcdcoll::detail::client_core>& core() const noexcept { return core_; } // for the layers above

private:
    std::shared_ptr<etcdcoll::detail::client_core> core_;
};

} // namespace etcd

using etcd::client;

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/client.ipp>
#include <etcdcoll/impl/etcd/client_options.ipp>
#include <etcdcoll/impl/etcd/watch.ipp>
#endif
