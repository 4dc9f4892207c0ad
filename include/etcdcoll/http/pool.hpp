#pragma once
// The kept connections to the endpoints of one client: bounded, first come first served.

#include <etcdcoll/http/connection.hpp>

#include <vector>

namespace etcdcoll::http {

/// All members are called on the executor.
class ETCDCOLL_API pool {
public:
    pool(asio::any_io_executor executor, std::shared_ptr<environment> system, std::vector<endpoint> endpoints,
         std::size_t connections_per_endpoint, limits caps, std::shared_ptr<const etcdcoll::detail::tls_context> tls = nullptr);
    ~pool();
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    std::size_t size() const noexcept;
    /// The index of an endpoint, which is taken in where it is new.
    std::size_t index_of(const endpoint& peer);
    const endpoint& at(std::size_t index) const noexcept;
    const traffic& counters() const noexcept;

    /// As connection::exchange(), over a kept connection to endpoint `index`, else a new one (connecting takes `connect_limit` at most).
    /// While all connections are busy it waits its turn, until `last`; from then on, `limit` counts.
    ///
    /// Errors:  failure; errc::cancelled; errc::closed.
    asio::awaitable<reply> exchange(std::size_t index, std::string_view target, std::string_view headers, std::string_view body,
                                    duration limit, time_point last, duration connect_limit);

    /// The memory of a body that is no longer needed, for the next one: the system takes its time to hand out megabytes anew.
    void reuse(std::string body) noexcept;

    /// A connection of its own for what waits on the server. Not counted in the bound, never reused.
    asio::awaitable<std::shared_ptr<connection>> open(std::size_t index, time_point deadline);
    /// Closes idle connections to endpoint `index`.
    void forget(std::size_t index) noexcept;
    /// Ends what waits its turn at endpoint `index`, with a failure that says that nothing was sent.
    void turn_away(std::size_t index) noexcept;

    /// Ends every exchange with a failure, also on connections of their own, and refuses new ones.
    void close() noexcept;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace etcdcoll::http

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/http/pool.ipp>
#endif
