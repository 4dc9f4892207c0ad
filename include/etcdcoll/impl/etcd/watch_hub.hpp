#pragma once
// All watches of a client on one stream: creates and cancels while it runs, opens it again elsewhere when it ends or falls silent.

#include <etcdcoll/detail/watch_cursor.hpp>
#include <etcdcoll/http/connection.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <map>
#include <optional>

namespace etcdcoll::etcd::codec {
struct watch_message;
}

namespace etcdcoll::detail {

class client_core;

/// Receives what a watch brings, on the client's strand.
class watch_sink {
public:
    virtual ~watch_sink();
    virtual void on_response(etcd::watch_response response) = 0;
    /// Every event up to this revision of the store has been received. Told when it was asked for.
    virtual void on_progress(etcd::revision at);
    /// The last call: the watch is over.
    virtual void on_failure(const error& failure) = 0;
};

/// All members are called on the client's strand.
class watch_hub {
public:
    explicit watch_hub(client_core& core);
    ~watch_hub();
    watch_hub(const watch_hub&) = delete;
    watch_hub& operator=(const watch_hub&) = delete;

    std::int64_t add(etcd::watch_request request, std::shared_ptr<watch_sink> sink);
    void remove(std::int64_t id) noexcept;
    /// Stops what a watch is sent, until resume(): nothing is lost unless it is compacted meanwhile.
    void pause(std::int64_t id);
    void resume(std::int64_t id);
    /// Has the server tell every watch how far it is.
    void ask_progress();
    /// False on a stream whose request is complete: nothing can be added to it.
    bool can_ask() const noexcept;
    void close() noexcept;
    /// What keeps the stream from being there; empty while it is.
    const std::string& trouble() const noexcept { return trouble_; }

private:
    // Between `stopping` and `paused` the server's answer to the cancel is awaited: what it has sent before is dropped, and sent again later.
    enum class flow { running, stopping, restarting, paused };
    struct entry {
        etcd::watch_request request;
        watch_cursor cursor;
        std::shared_ptr<watch_sink> sink;
        std::vector<etcd::event> fragments; // of a revision that is not complete yet
        bool created = false;               // on the present stream
        flow state = flow::running;
        std::int64_t round = 0; // how often it was stopped
        etcd::revision created_at{};
        int stale_answers = 0; // to progress requests from before its creation, that may still come: they overtake each other
    };
    // One stream: the reader is run(), the writer a coroutine of its own, since both directions are open at once.
    struct stream;

    enum class after { retry, at_once, end };

    asio::awaitable<void> run(std::shared_ptr<client_core> alive);
    asio::awaitable<after> one_stream(std::shared_ptr<stream> s);
    asio::awaitable<void> open(std::shared_ptr<stream> s);
    asio::awaitable<void> read_lines(std::shared_ptr<stream> s);
    asio::awaitable<void> write_loop(std::shared_ptr<client_core> alive, std::shared_ptr<stream> s);
    asio::awaitable<void> ask_endpoint(std::shared_ptr<client_core> alive, std::shared_ptr<stream> s);
    void handle_lines(stream& s, std::string_view piece);
    void arm_probe(const std::shared_ptr<stream>& s, duration delay);
    void on_probe(const std::shared_ptr<stream>& s);
    void handle(etcd::codec::watch_message message);
    void cancelled(std::int64_t id, entry& target, const etcd::codec::watch_message& message);
    void deliver(std::int64_t id, entry& target, etcd::codec::watch_message message);
    void refused(stream& s, int http_status, std::string_view reply);
    void renew() noexcept;
    void fail(std::int64_t id, const error& why);
    void fail_all(const error& why);
    void let_go() noexcept;
    void send(std::string_view text);
    void create(std::int64_t id, entry& target);
    static std::int64_t number_of(std::int64_t id, const entry& target);
    std::string all_creates(stream& s);
    bool wanted() const noexcept;
    bool buffers(std::size_t index);

    client_core& core_;
    condition wanted_; // something may have to be watched again
    std::map<std::int64_t, entry> entries_; // ids grow: the order is that of creation
    std::int64_t last_id_ = 0;
    std::shared_ptr<stream> stream_;
    std::string trouble_;
    std::map<std::size_t, time_point> buffered_; // endpoints behind something that passes a request on only when it is whole, since when known
    int logins_ = 0;                 // since a stream was accepted
    std::size_t hopeless_ = 0;       // failures in a row that would be the same the next time
    bool running_ = false;
    bool closed_ = false;
};

/// In memory, about.
std::size_t size_of(const std::vector<etcd::event>& events);

/// A watch from here to the end of the scope. On the client's strand.
class watch_mark {
public:
    watch_mark(watch_hub& hub, etcd::watch_request request, std::shared_ptr<watch_sink> sink)
        : hub_(hub), id_(hub.add(std::move(request), std::move(sink))) {}
    watch_mark(const watch_mark&) = delete;
    watch_mark& operator=(const watch_mark&) = delete;
    ~watch_mark() { hub_.remove(id_); }

private:
    watch_hub& hub_;
    std::int64_t id_;
};

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/watch_hub.ipp>
#include <etcdcoll/impl/etcd/watch_stream.ipp>
#endif
