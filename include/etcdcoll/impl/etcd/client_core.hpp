#pragma once
// What the handles of one client share: the strand, the pool of connections, the choice of endpoint, the watch streams.

#include <etcdcoll/detail/endpoint_ring.hpp>
#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/http/pool.hpp>

#include <atomic>
#include <functional>

namespace etcdcoll {

struct client_options::values {
    std::string endpoints;
    duration timeout = std::chrono::seconds(8);
    duration attempt_timeout = std::chrono::milliseconds(1500);
    duration connect_timeout = std::chrono::seconds(1);
    std::size_t connections = 64;
    std::size_t reply_limit = 256 * 1024 * 1024;
    logger log;
    std::shared_ptr<environment> system = environment::system();
};

namespace detail {

class watch_hub;

inline constexpr duration longest_timeout = std::chrono::hours(24 * 365); // longer ones mean the same, and must not overflow a time_point

/// Names one kind of call. `key` is for error texts.
struct call_spec {
    const char* name;
    const char* path;
    repeatability kind;
};

/// What a call would throw, told the one place that may see it otherwise (a keep-alive, a guarded write).
struct attempt_result {
    attempt_outcome outcome = attempt_outcome::done;
    errc reason = errc::refused;
    std::string cause;
    int grpc_code = 0;
    int http_status = 0;
};

/// All members but the counters and `executor` are used on the strand only.
class client_core : public std::enable_shared_from_this<client_core> {
public:
    client_core(asio::any_io_executor executor, client_options::values values);
    ~client_core();

    using decoder = std::function<void(std::string_view)>;

    /// Sends `body` until a whole reply has been decoded or the retry rule ends it; throws error. `key` names what it is about.
    asio::awaitable<void> call(call_spec spec, std::string body, std::string key, call_options options, decoder decode);

    /// Ends everything; on the strand.
    void close() noexcept;
    bool closed() const noexcept { return closed_; }

    time_point now() const noexcept { return values_.system->now(); }
    const client_options::values& values() const noexcept { return values_; }
    const std::shared_ptr<environment>& system() const noexcept { return values_.system; }
    const logger& log() const noexcept { return values_.log; }
    const asio::any_io_executor& strand() const noexcept { return strand_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }
    http::pool& pool() noexcept { return pool_; }
    endpoint_ring& ring() noexcept { return ring_; }
    const std::shared_ptr<watch_hub>& watches() const noexcept { return watches_; }

    struct counters {
        std::atomic<std::uint64_t> calls = 0;
        std::atomic<std::uint64_t> attempts = 0;
        std::atomic<std::uint64_t> failures = 0;
        std::atomic<std::uint64_t> watch_streams = 0;
        std::atomic<std::uint64_t> watch_events = 0;
        std::atomic<std::uint64_t> watch_repeats = 0;
    };
    counters counted;

private:
    asio::awaitable<attempt_result> attempt(const call_spec& spec, const std::string& body, time_point limit, std::size_t index,
                                            const decoder& decode);
    attempt_result judge_reply(const http::reply& reply, const decoder& decode);
    [[noreturn]] void give_up(const call_spec& spec, const std::string& key, const attempt_result& last, std::size_t index,
                              const std::vector<std::string>& tried, retry::action why, const retry& made, time_point started);

    asio::any_io_executor executor_;
    asio::any_io_executor strand_;
    client_options::values values_;
    http::pool pool_;
    endpoint_ring ring_;
    std::shared_ptr<watch_hub> watches_;
    bool closed_ = false;
};

/// Runs `operation` on `strand` and completes on the caller's executor. Already there, it costs a comparison.
template <class T> asio::awaitable<T> on_strand(asio::any_io_executor strand, asio::awaitable<T> operation);

/// "put \"a/b\"": the key escaped and cut to what fits a line.
std::string call_and_key(std::string_view call, std::string_view key);
/// "12.3 s", "250 ms"
std::string seconds_text(duration length);

} // namespace detail
} // namespace etcdcoll

#include <etcdcoll/impl/etcd/on_strand.hpp>

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/client_core.ipp>
#endif
