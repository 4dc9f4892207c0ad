#pragma once
// The elections that etcd's server keeps (v3election): one leader at a time, in the order of candidature.

#include <etcdcoll/etcd/client.hpp>

#include <memory>
#include <optional>
#include <string>

namespace etcdcoll::etcd {

/// Proves one leadership: proclaim() and resign() need it, and a transaction that only the leader may do compares
/// `create_revision(key) == rev`.
struct leader_key {
    leader_key() = default;
    leader_key(std::string name_, std::string key_, revision rev_, lease_id lease_)
        : name(std::move(name_)), key(std::move(key_)), rev(rev_), lease(lease_) {}

    std::string name; ///< of the election
    std::string key;  ///< "<name>/<lease in hex>"
    revision rev;     ///< that created `key`
    lease_id lease;
};

struct campaign_response {
    response_header header;
    leader_key leader;
};

struct leader_response {
    response_header header;
    key_value kv; ///< `kv.value` is what the leader proclaimed last
};

/// Follows one election. Move-only. One coroutine at a time may wait in next(), and the object must outlive it.
class ETCDCOLL_API election_observer {
public:
    election_observer(election_observer&&) noexcept;
    election_observer& operator=(election_observer&&) noexcept;
    ~election_observer();

    /// Returns, first, the present leader; then each later one and each value that is proclaimed, in order and each once, across broken
    /// connections. Waits while there is none. What lies before a compaction that it did not keep up with is left out.
    ///
    /// Errors:  those of client::range() and watch::next(); it goes on afterwards.
    /// Cancel:  terminal; the object stays usable.
    /// Cost:    a range and a watch (on the client's shared stream) a leader, and one event a proclamation. Not etcd's own observe call,
    ///          which needs a connection for each observer and says nothing when its member stalls.
    asio::awaitable<leader_response> next();

    /// Ends it; a waiting next() throws errc::closed.
    void cancel() noexcept;

private:
    friend class election_service;
    struct state;
    explicit election_observer(std::shared_ptr<state> observed);
    static asio::awaitable<leader_response> next_of(std::shared_ptr<state> observed);
    std::shared_ptr<state> state_;
};

/// The calls of etcd's Election service, through the connections of a client. Copies are as good as the original.
///
/// A candidature is a key that its lease keeps: leadership is lost when the lease is, and the leader has to see to that himself.
/// Errors:  those of client; not_found for a lease that is none.
/// Cost:    one request.
class ETCDCOLL_API election_service {
public:
    explicit election_service(client through);

    /// Waits until every candidate who came before has gone, and returns as the leader. A lease that leads already does so again, with the
    /// new value. Waits 300 s at most unless `options.timeout` says otherwise.
    ///
    /// Errors:  outcome_unknown when the connection is lost, or the deadline passes, while it waits. Then the candidature may remain or be
    ///          given up by etcd at any later time, so the lease must not be used for this election again: revoke it.
    /// Cancel:  terminal; etcd gives the candidature up as soon as it notices. The lease as above.
    /// Cost:    one connection of its own as long as it waits.
    asio::awaitable<campaign_response> campaign(std::string name, lease_id lease, std::string value, call_options options = {});

    /// Changes the leader's value. Sent once. Errors: refused ("election: not leader") by an election that has gone on.
    asio::awaitable<response_header> proclaim(leader_key leader, std::string value, call_options options = {});

    /// The present leader, or nothing. Repeated until the deadline.
    asio::awaitable<std::optional<leader_response>> leader(std::string name, call_options options = {});

    /// Leadership from now on; etcd's answers come with election_observer::next().
    election_observer observe(std::string name);

    /// Makes way for the next candidate; not to lead any more is no error. Repeated until the deadline: it ends this leadership and no later
    /// one.
    asio::awaitable<response_header> resign(leader_key leader, call_options options = {});

private:
    client client_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/election.ipp>
#endif
