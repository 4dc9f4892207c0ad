#pragma once
// What the handles of one client share: the strand, the pool of connections, the choice of endpoint, the watch streams.

#include <etcdcoll/detail/endpoint_ring.hpp>
#include <etcdcoll/detail/retry.hpp>
#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/http/pool.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <optional>

namespace etcdcoll {

struct client_options::values {
    std::string endpoints;
    duration timeout = std::chrono::seconds(8);
    duration attempt_timeout = std::chrono::milliseconds(1500);
    duration wait_timeout = std::chrono::seconds(300);
    duration connect_timeout = std::chrono::seconds(1);
    duration refresh = duration::zero();
    std::optional<tls_options> tls;
    std::string user;
    std::string password;
    std::size_t connections = 64;
    std::size_t reply_limit = 256 * 1024 * 1024;
    std::size_t watch_buffer = 64 * 1024 * 1024;
    logger log;
    std::function<void(const call_report&)> observer;
    std::shared_ptr<environment> system = environment::system();
};

namespace detail {

class watch_hub;

inline constexpr duration longest_timeout = std::chrono::hours(24 * 365); // longer ones mean the same, and must not overflow a time_point

inline constexpr std::size_t any_endpoint = static_cast<std::size_t>(-1);

/// Names one kind of call.
struct call_spec {
    const char* name;
    const char* path;
    repeatability kind;
    bool waits = false; ///< answered when something happens: on a connection of its own, with all the time there is for an attempt
    bool login = false; ///< asks for a token, so it shows none
};

/// What a call would throw, told the one place that may see it otherwise (a keep-alive, a guarded write).
struct attempt_result {
    attempt_outcome outcome = attempt_outcome::done;
    errc reason = errc::refused;
    std::string cause;
    int grpc_code = 0;
    int http_status = 0;
    bool login_needed = false; ///< etcd did nothing, for want of a good token
    bool lasting = false;      ///< this endpoint would say the same the next time
};

/// All members but the counters and `executor` are used on the strand only.
class client_core : public std::enable_shared_from_this<client_core> {
public:
    client_core(asio::any_io_executor executor, client_options::values values);
    ~client_core();

    using decoder = std::function<void(std::string_view)>;

    /// Sends `body` until a whole reply has been decoded or the retry rule ends it; throws error. `key` names what it is about, in error
    /// texts. `at`: to this endpoint only.
    asio::awaitable<void> call(call_spec spec, std::string body, std::string key, call_options options, decoder decode,
                               std::size_t at = any_endpoint);

    /// The index of an endpoint, to which calls can then be directed. Throws errc::invalid_argument.
    std::size_t endpoint_index(const std::string& url);

    /// Sees to it that there is a token to show, where a user is set. Many callers cause one login. Throws error.
    asio::awaitable<void> log_in(time_point deadline);
    /// The header line that shows the token; empty without one.
    const std::string& authorization() const noexcept { return authorization_; }
    /// Which login authorization() is of.
    std::uint64_t login_number() const noexcept { return login_number_; }
    bool has_user() const noexcept { return !values_.user.empty(); }
    /// etcd does not take the token of that login any more.
    void forget_login(std::uint64_t number) noexcept;
    /// "etcd 3.4.23"; empty where it does not say so within a second.
    asio::awaitable<std::string> version_of(std::size_t index, time_point deadline = time_point::max());
    /// Whether the endpoint answers anything at all within a second.
    asio::awaitable<bool> answers(std::size_t index);

    /// Learns the cluster's members, where that is wanted and due; returns at once. `failed`: it is due earlier.
    void refresh_endpoints(bool failed);

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
        std::atomic<std::uint64_t> retries = 0;
        std::atomic<std::uint64_t> failures = 0;
        std::atomic<std::uint64_t> logins = 0;
        std::atomic<std::uint64_t> watch_streams = 0;
        std::atomic<std::uint64_t> watch_events = 0;
        std::atomic<std::uint64_t> watch_repeats = 0;
        std::atomic<std::uint64_t> watch_reconnects = 0;
        std::shared_ptr<std::atomic<std::uint64_t>> watch_backlog = std::make_shared<std::atomic<std::uint64_t>>(0); // queues may outlive the core
        std::array<std::atomic<std::uint64_t>, latency_histogram::size> latency{};
        std::atomic<std::int64_t> latency_total = 0;
    };
    counters counted;

    attempt_result judge_error(const http::reply& reply) const;
    attempt_result judge_failure(const http::failure& failure) const;
    [[noreturn]] void give_up(const call_spec& spec, const std::string& key, const attempt_result& last, std::size_t index,
                              const std::vector<std::string>& tried, retry::action why, int attempts, time_point started);

private:
    class meter;
    struct login_flight;
    class login_landing;

    asio::awaitable<attempt_result> attempt(const call_spec& spec, const std::string& body, duration limit, time_point last,
                                            duration connect_limit, std::size_t index, const decoder& decode);
    asio::awaitable<void> authenticate(time_point deadline);
    asio::awaitable<void> learn_endpoints(std::shared_ptr<client_core> alive);
    void use_endpoints(const std::vector<std::string>& urls);

    asio::any_io_executor executor_;
    asio::any_io_executor strand_;
    client_options::values values_;
    std::shared_ptr<const tls_context> tls_;
    http::pool pool_;
    endpoint_ring ring_;
    std::shared_ptr<watch_hub> watches_;
    std::size_t given_; // endpoints: the first ones of the pool
    std::string authorization_;
    std::uint64_t login_number_ = 0;
    bool logged_in_ = false; // with a token, or etcd has said that it knows no users
    std::shared_ptr<login_flight> login_;
    time_point refreshed_{duration::min() / 2};
    bool refreshing_ = false;
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
