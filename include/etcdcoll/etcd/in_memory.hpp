#pragma once
// An etcd within the process, for the tests of what is built on one: no server, no port, no waiting.

#include <etcdcoll/etcd/client.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace etcdcoll::etcd {

struct in_memory_options {
    std::size_t max_request_bytes = 1'572'864; ///< as etcd's flag of that name; the client sends no more than that in any case
    std::size_t max_txn_ops = 128;             ///< as etcd's flag of that name; the client sends no more than that in any case
    std::uint64_t seed = 1;                    ///< of the clients' random numbers: the same ones in every run
};

/// Keys with all of their history, transactions, leases and watches, answered as one member of etcd 3.5 does: the same revisions, limits and
/// error texts. Clients are the real ones, with their pool, retries and streams: only the network and the time are made up. What it
/// does not have (users, elections and locks of the server, changes of members, alarms, snapshots) fails with errc::unsupported.
///
/// Time stands still but for advance() and the run functions, so that a test of a minute's lease takes a moment and no test is flaky. Clients
/// of any number of threads and execution contexts may use it; run() sees only what is ready on its own io_context, and jumps over what others are
/// about to do. Its clients may outlive it; then nobody answers them, and nobody moves their time.
class ETCDCOLL_API in_memory {
public:
    explicit in_memory(in_memory_options options = {});
    ~in_memory();
    in_memory(const in_memory&) = delete;
    in_memory& operator=(const in_memory&) = delete;

    /// Of `options`, the endpoints and the system are replaced. It has no users: a client that logs in fails with errc::unsupported.
    client make_client(asio::any_io_executor executor, client_options options = client_options());
    /// The clock, network and randomness, for client_options::system(). Every endpoint that begins with http:// leads here.
    std::shared_ptr<environment> system() const;

    /// Runs `program` on an io_context of its own until it ends, and rethrows what it throws. Whenever all that there is waits, the time
    /// jumps to the next deadline, renewal or expiry. Nothing that belongs to the client (a session, a watch, a copy of it) may leave the program: it
    /// ends with the io_context.
    ///
    /// Errors:  timed_out when it has not ended after `limit` of this time (zero: none), or waits for what can never come; it is destroyed where it stands then.
    void run(std::function<asio::awaitable<void>(client)> program, duration limit = std::chrono::hours(1));
    /// Runs what is ready on `io` and lets time jump in between, until nothing is left to do or to wait for, or until `limit` of this time has
    /// passed (zero: none). A session renews its lease for ever, so it needs a limit. Sockets and timers of the system are not waited for.
    void run(asio::io_context& io, duration limit = duration::zero());

    /// The time of all clients and leases.
    time_point now() const noexcept;
    /// Lets time pass at one blow, as a process sees it that was stopped meanwhile: what falls due is done on the clients' executors, later.
    void advance(duration by);

    /// Gone, as after a crash: connections break, new ones are refused; keys, history and leases stay.
    void stop() noexcept;
    /// Stuck: it takes what is sent, and answers once it goes on.
    void pause() noexcept;
    /// After stop() and pause(). After stop() every lease has its full time again, as when a leader is elected; after pause() what ran out meanwhile is gone.
    void go_on();
    /// So many of the next transactions, puts and deletions are executed, and the connection breaks instead of their answer.
    void lose_replies(int count) noexcept;

    /// Requests executed since the beginning, each message of a keep-alive counted, watches not: what the `Cost:` of a call can be tested with.
    std::uint64_t requests() const noexcept;

private:
    class world;
    class connection_stream;
    std::shared_ptr<world> world_;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/in_memory.ipp>
#endif
