#pragma once
// A TCP proxy for tests that stands in front of an etcd endpoint and injects faults at exact bytes of its exchanges.

#include <support/fault_rule.hpp>
#include <support/traffic_ledger.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::test {

/// Passes everything through until a rule or a mode says otherwise. Bytes are never changed, only held up, split, cut
/// off or (reply_with) replaced.
///
/// It listens on a free port of 127.0.0.1 and runs on a thread of its own, so the client under test may block. Every
/// member is thread-safe. A rule or mode is in force when its call returns, for requests whose header the proxy
/// completes from then on. Requests are counted before a byte of them goes on, responses before a byte of their last
/// piece does: who has got an answer finds it counted. The destructor closes every connection and does not wait for
/// any peer.
///
///     fault_proxy proxy{"127.0.0.1", etcd_port};
///     auto rule = proxy.add(fault_rule{"/v3/kv/txn"}.skip(2).cut_response_after(17, close_how::rst));
///     ... the client under test works through proxy.endpoint() ...
///     REQUIRE(proxy.wait_for_hits(rule, 1, 5s));
///
/// An RST may overtake bytes that the client's receive window has not yet taken; what fits it (64 KiB) arrives first.
/// What is not HTTP/1.1 (TLS) passes uncounted: only the modes act on it.
class fault_proxy {
public:
    using rule_id = rule_book::rule_id;
    using milliseconds = std::chrono::milliseconds;

    /// Connects to `host`:`port` for each connection it accepts; if that fails, the client is reset.
    fault_proxy(const std::string& host, std::uint16_t port);
    /// Has no server: all requests need a rule with reply_with, others are reset.
    fault_proxy();
    fault_proxy(const fault_proxy&) = delete;
    fault_proxy& operator=(const fault_proxy&) = delete;
    ~fault_proxy();

    std::uint16_t port() const;
    /// "127.0.0.1:port"
    std::string endpoint() const;

    /// Adds a rule; it lasts until it is removed, also when its times are used up.
    rule_id add(fault_rule rule);
    void remove(rule_id id);
    /// Removes all rules and the random loss. Exchanges under way keep their faults.
    void clear_rules();
    /// Loses the reply of each request under `path_suffix`, once the server has executed it, with this probability. The
    /// n-th such request is decided by `seed` and n alone.
    void random_reply_loss(double probability, std::uint64_t seed, std::string path_suffix = {},
                           close_how how = close_how::fin);
    /// Lets go on what a stall holds up now; stalls that have not begun yet remain.
    void release();

    /// Refuses new connections (ECONNREFUSED); those that there are remain. The port stays reserved.
    void refuse();
    void accept_again();
    /// Goes silent: connections are accepted and stay open, nothing goes on in either direction.
    void black_hole();
    /// Ends black_hole(): what came meanwhile goes on.
    void pass_through();
    /// From now on, a request goes on only when all of it has come, as through a reverse proxy that buffers: one that is left open never does.
    /// It is counted then, and not before; replies go on as they come.
    void whole_requests();
    /// Ends all connections that there are now, on both sides.
    void cut_all(close_how how);

    /// Counts and sizes; a path suffix selects, empty means all. Sizes: of the last complete one, 0 if there is none.
    traffic totals() const;
    std::uint64_t hits(rule_id id) const;
    std::uint64_t requests(std::string_view path_suffix = {}) const;
    std::uint64_t responses(std::string_view path_suffix = {}) const;
    std::size_t last_request_size(std::string_view path_suffix = {}) const;
    std::size_t last_response_size(std::string_view path_suffix = {}) const;
    /// The last exchanges (at most traffic_ledger::max_log), oldest first.
    std::vector<exchange_record> log() const;

    /// Wait until the count has reached `n`, or the condition holds; false: not within `timeout`.
    bool wait_for_requests(std::uint64_t n, std::string_view path_suffix, milliseconds timeout) const;
    bool wait_for_responses(std::uint64_t n, std::string_view path_suffix, milliseconds timeout) const;
    bool wait_for_hits(rule_id id, std::uint64_t n, milliseconds timeout) const;
    bool wait_for_stalled(std::uint64_t n, milliseconds timeout) const;
    /// `reached` runs under the ledger's lock: it must not call the proxy.
    bool wait_for(const std::function<bool(const traffic&)>& reached, milliseconds timeout) const;

private:
    class engine;
    std::unique_ptr<engine> engine_;
};

} // namespace etcdcoll::test
