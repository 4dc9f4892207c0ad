#pragma once
// A client's view of the keys behind one prefix, as if there were no others.

#include <etcdcoll/etcd/client.hpp>

#include <optional>
#include <string>

namespace etcdcoll::etcd {

/// As watch, with keys as the view has them.
class ETCDCOLL_API namespaced_watch {
public:
    /// As watch::next().
    asio::awaitable<watch_response> next();
    /// As watch::progress(): revisions are those of the whole store.
    asio::awaitable<revision> progress(revision at_least = {}, duration timeout = std::chrono::seconds(8)) {
        return inner_.progress(at_least, timeout);
    }
    /// As watch::cancel().
    void cancel() noexcept { inner_.cancel(); }

private:
    friend class namespaced;
    namespaced_watch(etcd::watch inner, std::string prefix) : inner_(std::move(inner)), prefix_(std::move(prefix)) {}
    etcd::watch inner_;
    std::string prefix_;
};

/// Sends each key with the prefix before it, and takes the prefix from each key that comes back: in ranges and compares (`from` and "every key" end with the
/// prefix), in all operations of a transaction, however deep, in previous values and in events. A key that is the prefix and nothing more is not in
/// the view. A copyable handle on the client, as safe in threads as that.
///
/// Every call is the client's of that name, and has its errors (whose context names keys as they were sent), cancellation and cost. What has no
/// keys (leases, compaction) is the client's own business. There is no view for what takes a client: pages, list_watch, batch, modify, locks
/// and elections see client()'s keys, all of them.
class ETCDCOLL_API namespaced {
public:
    /// Any bytes; an empty prefix is every key.
    namespaced(etcd::client client, std::string prefix) : client_(std::move(client)), prefix_(std::move(prefix)) {}
    /// A view within a view.
    namespaced(const namespaced& outer, const std::string& prefix) : client_(outer.client_), prefix_(outer.prefix_ + prefix) {}

    asio::awaitable<range_response> range(range_request request, call_options options = {});
    asio::awaitable<std::optional<key_value>> get(std::string key, call_options options = {});
    asio::awaitable<put_response> put(put_request request, call_options options = {});
    asio::awaitable<put_response> put(std::string key, std::string value, call_options options = {});
    asio::awaitable<delete_range_response> delete_range(delete_range_request request, call_options options = {});
    asio::awaitable<txn_response> txn(txn_request request, call_options options = {});
    /// The lease's keys that are in the view, where `keys` is set; etcd sends all of them.
    asio::awaitable<lease_time_to_live_response> lease_time_to_live(lease_id id, bool keys = false, call_options options = {});
    namespaced_watch watch(watch_request request);

    const std::string& prefix() const noexcept { return prefix_; }
    const etcd::client& client() const noexcept { return client_; }

private:
    etcd::client client_;
    std::string prefix_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/namespaced.ipp>
#endif
