#pragma once
// One HTTP/1.1 connection to one endpoint: requests and replies one at a time, or one long exchange whose two bodies stay open.

#include <etcdcoll/config.hpp>
#include <etcdcoll/environment.hpp>
#include <etcdcoll/http/endpoint.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace etcdcoll::detail {
class tls_context;
}

namespace etcdcoll::http {

struct reply {
    int status = 0;
    std::string content_type;
    std::string body; ///< complete: a reply that ends early is a failure
};

/// What a peer may make this process hold in memory.
struct limits {
    std::size_t header = 64 * 1024;
    std::size_t body = 256 * 1024 * 1024; ///< of one reply, or one message of a stream
};

/// Why an exchange ended without a complete reply.
class failure : public std::exception {
public:
    failure(errc reason, bool sent, std::string cause) : reason_(reason), sent_(sent), cause_(std::move(cause)) {}
    const char* what() const noexcept override { return cause_.c_str(); }
    errc reason() const noexcept { return reason_; }
    /// True when a byte of the request may have reached the server.
    bool sent() const noexcept { return sent_; }

private:
    errc reason_;
    bool sent_;
    std::string cause_;
};

/// Bytes and requests that crossed connections. One object serves many; any thread may read it.
struct traffic {
    std::atomic<std::uint64_t> connects = 0;
    std::atomic<std::uint64_t> requests = 0;
    std::atomic<std::uint64_t> bytes_sent = 0;
    std::atomic<std::uint64_t> bytes_received = 0;
};

/// All members are called on the executor; a deadline that passes, a cancellation and any failure close the connection.
class ETCDCOLL_API connection {
public:
    /// `tls`: what an https endpoint needs.
    connection(asio::any_io_executor executor, std::shared_ptr<environment> system, endpoint peer, limits caps,
               std::shared_ptr<traffic> counters, std::shared_ptr<const etcdcoll::detail::tls_context> tls = nullptr);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    const endpoint& peer() const noexcept;

    /// The body of the next reply may take this string's memory over, whosever it was.
    void share_memory(std::shared_ptr<std::string> spare) noexcept;

    /// Errors:  failure (connection_failed, tls_failed, timed_out), none of them sent; errc::cancelled.
    asio::awaitable<void> open(time_point deadline);

    /// POSTs `body` to `target` and returns the whole reply. `headers` are complete lines, each ended by CR LF. The request is one write.
    /// While the reply comes, each pause in it may last as long as `deadline` was away in the beginning, until `last`.
    ///
    /// Errors:  failure (connection_failed, timed_out, bad_reply, too_large for a reply beyond the limit); errc::cancelled.
    /// Cancel:  terminal; the server may execute the request, or may have.
    asio::awaitable<reply> exchange(std::string_view target, std::string_view headers, std::string_view body, time_point deadline,
                                    time_point last = time_point::min());

    /// True when the last exchange left it fit for another and the peer has been silent since.
    bool reusable() noexcept;
    /// As reusable(), without asking the system whether the peer has been silent.
    bool intact() const noexcept;

    /// Begins an exchange whose request body stays open (`Connection: close`, chunked): etcd's gateway then answers while it is sent.
    /// Ends when `first` has been sent.
    asio::awaitable<void> begin_stream(std::string_view target, std::string_view headers, std::string_view first, time_point deadline);
    /// Sends one more piece of the request body. One at a time.
    asio::awaitable<void> send_piece(std::string_view piece, time_point deadline);
    /// Sends a whole request whose reply is a stream.
    asio::awaitable<void> begin_reply(std::string_view target, std::string_view headers, std::string_view body, time_point deadline);
    /// Waits for the next bytes of the reply's body and returns them; empty at its complete end. A refusal (a status of 300 and above) comes
    /// as one piece, 64 KiB of it at least. Valid until the next call. Without a deadline, `close()` ends it; a stream that is written to at
    /// the same time takes none here.
    asio::awaitable<std::string_view> read_piece(time_point deadline = time_point::max());
    /// Of the stream's reply; 0 before its header has come.
    int stream_status() const noexcept;

    void close() noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace etcdcoll::http

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/http/connection.ipp>
#endif
