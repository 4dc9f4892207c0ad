#pragma once
// Where a client gets its time, its byte streams and its randomness: the seam that a simulation takes the place of.
//
// Nothing in the library reads a clock, opens a socket or draws a random number but through this class.

#include <etcdcoll/config.hpp>
#include <etcdcoll/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace etcdcoll {

namespace asio = boost::asio;

/// Monotonic: wall-clock jumps change no deadline, lease or backoff.
using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

/// Calls one function at one time. The function runs at most once an arm(), on the executor the timer was made with, and never after
/// disarm() or destruction; all three are called on that executor only.
class ETCDCOLL_API timer {
public:
    virtual ~timer();
    virtual void arm(time_point when, std::function<void()> function) = 0;
    virtual void disarm() noexcept = 0;
};

/// Where a byte stream leads to.
struct stream_target {
    std::string host; ///< name or address, without brackets
    std::uint16_t port = 0;
};

/// One connection, not yet open. At most one read and one write at a time; close() ends both, and a connect, with operation_aborted.
/// Failures are error codes: the layer above decides what they mean.
class ETCDCOLL_API byte_stream {
public:
    virtual ~byte_stream();
    /// Tries each address of the name in turn.
    virtual asio::awaitable<void> connect(stream_target target, error_code& failure) = 0;
    /// At least one byte, or a failure (asio::error::eof at the orderly end). `into` must stay valid until it completes.
    virtual asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) = 0;
    /// Hands over what the network takes of `from` without waiting, perhaps nothing: most requests then need no coroutine. Returns the bytes.
    virtual std::size_t write_now(asio::const_buffer from, error_code& failure) noexcept;
    /// All of it, or a failure. Returns the bytes that were handed to the network. `from` must stay valid until it completes.
    virtual asio::awaitable<std::size_t> write(asio::const_buffer from, error_code& failure) = 0;
    /// False when an idle stream was closed by the peer, or has bytes that nobody asked for.
    virtual bool quiet() noexcept = 0;
    virtual void close() noexcept = 0;
    /// What a failure of this stream means, for people.
    virtual std::string explain(const error_code& failure) const;
};

class ETCDCOLL_API environment {
public:
    virtual ~environment();

    virtual time_point now() const noexcept = 0;
    /// For people to read, never for a deadline.
    virtual std::chrono::system_clock::time_point wall_clock() const noexcept = 0;
    virtual std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) = 0;
    virtual std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) = 0;
    /// 64 uniformly distributed bits. Safe to call from any thread.
    virtual std::uint64_t random() noexcept = 0;
    /// Whom this process is known as to the others: the machine's name and the process's number.
    virtual std::string host() const;
    virtual std::int64_t process_id() const noexcept;

    /// The operating system's clock, TCP and a generator seeded by the system: what a client uses unless told otherwise.
    static std::shared_ptr<environment> system();
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/environment.ipp>
#endif
