#pragma once
// A range kept true: all of it once, then every change, and all of it again where changes were lost.

#include <etcdcoll/etcd/client.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace etcdcoll::etcd {

/// Trivially destructible, so that it can be built inside a co_await expression.
struct list_watch_options {
    std::size_t page_size = 1000; ///< of the listings, as in etcd::pages
    bool prev_kv = false;         ///< each event brings what was there before
    call_options each = {};       ///< of the requests of a listing
};

struct list_watch_response {
    bool complete = false;      ///< forget what you know: `kvs` is all there is
    std::vector<key_value> kvs; ///< of a complete listing, by key
    std::vector<event> events;  ///< else: the changes since, all those of a revision together
    etcd::revision revision;    ///< that it brings you to
};

/// Move-only. One coroutine at a time may wait in next().
class ETCDCOLL_API list_watch {
public:
    explicit list_watch(client through, key_range keys, list_watch_options options = {});
    list_watch(list_watch&&) noexcept;
    list_watch& operator=(list_watch&&) noexcept;
    ~list_watch();

    /// Returns, first, a complete listing, of one revision; then the changes from there on: none is repeated, left out or out of order. When
    /// etcd has compacted changes away that were still to come, a complete listing again.
    ///
    /// Errors:  those of client::range() and watch::next(); compacted only where five listings, one after the other, were compacted away
    ///          while they were read. The next call goes on; with a complete listing, where the watch has ended.
    /// Cancel:  terminal; the object stays usable.
    /// Cost:    a request a page of a listing, the listing in memory; one event a change.
    asio::awaitable<list_watch_response> next();

    /// Ends it; a waiting next() throws errc::closed.
    void cancel() noexcept;

private:
    struct state;
    static asio::awaitable<list_watch_response> next_of(std::shared_ptr<state> kept);
    std::shared_ptr<state> state_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/list_watch.ipp>
#endif
