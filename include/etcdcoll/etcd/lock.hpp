#pragma once
// The locks that etcd's server keeps (v3lock): the same that `etcdctl lock` takes and other languages' clients know.

#include <etcdcoll/etcd/client.hpp>

#include <string>

namespace etcdcoll::etcd {

struct lock_response {
    response_header header;
    std::string key; ///< "<name>/<lease in hex>"; it is there from the moment that the lease asks, before it holds the lock
};

/// The calls of etcd's Lock service, through the connections of a client. Copies are as good as the original.
///
/// The lock is a key that its lease keeps: it is lost when the lease is, and the holder has to see to that himself. What the lock protects
/// in etcd should be written in a transaction with both `create_revision(key) > 0` and `create_revision(key) < header.revision.value + 1`
/// (of lock()'s answer) among its compares: then a holder who has lost it changes nothing, not even once his lease has asked for the lock
/// anew, when the same key is there and waits in the queue. Two holders in one process need two leases: to one lease the lock is given twice.
/// Errors:  those of client; not_found for a lease that is none.
/// Cost:    one request.
class ETCDCOLL_API lock_service {
public:
    explicit lock_service(client through);

    /// Waits until nobody who asked before holds the lock `name`: first come, first served. A lease that holds it already is given it again.
    /// Waits 300 s at most unless `options.timeout` says otherwise.
    ///
    /// Errors:  outcome_unknown when the connection is lost, or the deadline passes, while it waits. Then the place in the queue may
    ///          remain or be given up by etcd at any later time, so the lease must not be used for this lock again: revoke it.
    /// Cancel:  terminal; etcd gives the place in the queue up as soon as it notices. The lease as above.
    /// Cost:    one connection of its own as long as it waits.
    asio::awaitable<lock_response> lock(std::string name, lease_id lease, call_options options = {});

    /// Gives the lock back; one that is not held is no error. `key` as lock() returned it. Sent once.
    asio::awaitable<response_header> unlock(std::string key, call_options options = {});

private:
    client client_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/lock.ipp>
#endif
