#pragma once
// A watch: the changes of a key or range, in order, each once, across reconnects.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/etcd/types.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace etcdcoll::detail {
class client_core;
}

namespace etcdcoll::etcd {

struct watch_request {
    watch_request(key_range keys_, revision start_ = {}) : keys(std::move(keys_)), start(start_) {}
    watch_request(std::string key, revision start_ = {}) : keys(std::move(key)), start(start_) {}
    watch_request(const char* key, revision start_ = {}) : keys(key), start(start_) {}

    key_range keys;
    revision start;       ///< first change wanted; 0: from the moment that etcd creates the watch
    bool prev_kv = false; ///< each event brings what was there before
    bool no_put = false;  ///< leave out puts
    bool no_erase = false;
    bool fragment = false; ///< lets etcd split what exceeds 2 MiB; put together again here
    // No progress_notify: watch::progress() tells when it is asked, and the streams are probed in any case.
};

/// The changes of one or more revisions, complete: all events of a revision are in one response.
struct watch_response {
    response_header header; ///< its revision is the store's: while a watch catches up, ahead of the events'
    std::vector<event> events;
};

namespace detail {
class watch_queue;
}

/// A running watch. Move-only; cancelled on destruction. All watches of a client share few streams. It outlives broken connections and
/// dead members: the stream is opened again, elsewhere, behind the last revision delivered. What is not taken is kept up to
/// client_options::watch_buffer(); then etcd is asked to stop, and to go on once half of it was taken, so a reader that falls behind further
/// than history reaches learns of it by errc::compacted. One coroutine at a time may wait in next().
class ETCDCOLL_API watch {
public:
    watch(watch&&) noexcept;
    watch& operator=(watch&&) noexcept;
    ~watch();

    /// Returns what comes next; no event is repeated, left out or out of order.
    ///
    /// Errors:  compacted (the start, or what was missed while disconnected or too slow, is gone: `context().compact_revision` says where history
    ///          begins now; read the range again and watch from there), permission_denied, unauthenticated, refused, closed; unsupported,
    ///          tls_failed, bad_reply where no endpoint is one of etcd's gateway.
    /// Cancel:  terminal; the watch stays usable. A cancellation that comes in the moment of completion, as of `next() || timer`, may lose
    ///          what was taken: where time is the matter, next_within() loses nothing.
    /// Cost:    one event a change; nothing while nothing changes, but for a probe of the stream every 1.5 s a client.
    asio::awaitable<watch_response> next();
    /// As next(); nothing when `timeout` passes first.
    asio::awaitable<std::optional<watch_response>> next_within(duration timeout);

    /// Returns a revision of the store, not older than `at_least`, up to which every event of this watch can be taken with next() without
    /// waiting, or has been. So what was written at `at_least` has been seen when next() has nothing more, and a range that does not change
    /// can be told from a stream that lags.
    ///
    /// Errors:  as next(); timed_out after `timeout`; invalid_argument for a revision below 0; unsupported behind a proxy that passes on whole
    ///          requests only. etcd before 3.4.25 and 3.5.8 may answer too early for a watch that is still reading history.
    /// Cancel:  terminal; the watch stays usable.
    /// Cost:    one message each way on the stream, again every 1.5 s.
    asio::awaitable<revision> progress(revision at_least = {}, duration timeout = std::chrono::seconds(8));

    /// Ends the watch; a waiting next() throws errc::closed.
    void cancel() noexcept;

private:
    friend class client;
    watch(std::shared_ptr<etcdcoll::detail::client_core> core, std::shared_ptr<detail::watch_queue> queue);
    std::shared_ptr<etcdcoll::detail::client_core> core_;
    std::shared_ptr<detail::watch_queue> queue_;
};

} // namespace etcdcoll::etcd
