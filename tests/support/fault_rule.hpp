#pragma once
// Rules that say which HTTP exchange through a fault_proxy meets which fault.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etcdcoll::test {

/// How a connection is ended: `fin` is read as end of file, `rst` as ECONNRESET.
enum class close_how { fin, rst };

/// What becomes of the client's connection after a reply that the proxy made up.
enum class after_reply { keep_open, fin, rst };

/// What happens to one message (a request or a response); positions count its header and body together.
struct lane_plan {
    std::optional<std::size_t> cut_after;
    close_how how = close_how::fin;
    std::optional<std::size_t> stall_after;
    std::size_t split = 0;
    std::chrono::milliseconds pause{0};
    std::chrono::milliseconds delay{0};
};

/// What happens to one exchange, a request and its response.
struct exchange_plan {
    lane_plan request;
    lane_plan response;
    std::optional<std::string> reply;
    std::string endless;
    after_reply then = after_reply::keep_open;
    bool faulty = false;
};

/// One rule: a condition, when and how often it applies (default: at the first match, once), and its faults.
///
/// Several faults in one rule, and of several rules that match one request, are combined; of two that set the same
/// thing the later wins. The setters return the rule, so a rule reads as one sentence:
/// `fault_rule{"/v3/kv/txn"}.skip(2).drop_reply()`.
class fault_rule {
public:
    /// Gets the request's header and body as they travel; of a chunked request the header and at least its first chunk.
    /// Runs on the proxy's thread and must not throw.
    using predicate = std::function<bool(std::string_view request)>;

    static constexpr std::uint64_t always = UINT64_MAX;

    /// Applies to requests whose path (query removed) ends in `path_suffix`; empty means all.
    explicit fault_rule(std::string path_suffix = {}) : path_suffix_(std::move(path_suffix)) {}

    /// Applies only where `matches` says so. A request is then held back until its body is complete (Content-Length)
    /// or its first chunk is (chunked).
    fault_rule& when(predicate matches) { return matches_ = std::move(matches), *this; }
    /// Lets the first `count` matches pass unharmed.
    fault_rule& skip(std::uint64_t count) { return skip_ = count, *this; }
    /// Applies `count` times (fault_rule::always: without end).
    fault_rule& times(std::uint64_t count) { return times_ = count, *this; }

    /// The server gets exactly the first `bytes` of the request, then both connections are closed. `bytes` at or above
    /// the request's length: the server gets it all and may execute it, no reply comes back.
    fault_rule& cut_request_after(std::size_t bytes, close_how how = close_how::fin) {
        plan_.request.cut_after = bytes;
        return plan_.request.how = how, *this;
    }
    /// The server executes the request, the client gets exactly the first `bytes` of the response, then its connection
    /// is closed. With 0 the complete response has come from the server first (of a watch or of a request whose body
    /// is still open: its first byte). `bytes` at or above the response's length: closed behind the complete response.
    fault_rule& cut_response_after(std::size_t bytes, close_how how = close_how::fin) {
        plan_.response.cut_after = bytes;
        return plan_.response.how = how, *this;
    }
    /// The request is certainly executed and its reply lost: cut_response_after(0, how).
    fault_rule& drop_reply(close_how how = close_how::fin) { return cut_response_after(0, how); }

    /// Holds the request, or the response, back for this long before its first byte goes on.
    fault_rule& delay_request(std::chrono::milliseconds d) { return plan_.request.delay = d, *this; }
    fault_rule& delay_response(std::chrono::milliseconds d) { return plan_.response.delay = d, *this; }

    /// Forwards nothing in this direction after byte `bytes` of the message, until fault_proxy::release().
    fault_rule& stall_request(std::size_t bytes = 0) { return plan_.request.stall_after = bytes, *this; }
    fault_rule& stall_response(std::size_t bytes = 0) { return plan_.response.stall_after = bytes, *this; }

    /// Forwards `bytes` at a time, each as a write of its own, with `pause` between them.
    fault_rule& split_request(std::size_t bytes, std::chrono::milliseconds pause = std::chrono::milliseconds{0}) {
        plan_.request.split = bytes;
        return plan_.request.pause = pause, *this;
    }
    fault_rule& split_response(std::size_t bytes, std::chrono::milliseconds pause = std::chrono::milliseconds{0}) {
        plan_.response.split = bytes;
        return plan_.response.pause = pause, *this;
    }

    /// The server never sees the request; the client gets these raw bytes. The response's faults apply to them.
    fault_rule& reply_with(std::string bytes, after_reply then = after_reply::keep_open) {
        plan_.reply = std::move(bytes);
        return plan_.then = then, *this;
    }
    /// Behind the bytes of reply_with goes `piece`, again and again, until the client closes.
    fault_rule& then_endlessly(std::string piece) { return plan_.endless = std::move(piece), *this; }

private:
    friend class rule_book;

    std::string path_suffix_;
    predicate matches_;
    std::uint64_t skip_ = 0;
    std::uint64_t times_ = 1;
    exchange_plan plan_;
};

/// The rules in force: finds the plan of a request. No I/O, no locks.
class rule_book {
public:
    using rule_id = std::uint64_t;

    rule_id add(fault_rule rule);
    void remove(rule_id id);
    void clear();
    /// Loses the reply of each request under `path_suffix` with this probability; the sequence depends on `seed` alone.
    void lose_replies(double probability, std::uint64_t seed, std::string path_suffix, close_how how);

    /// True if a rule for this path has to see more of the request than its header.
    bool wants_body(std::string_view path) const;
    /// The plan of this request; each rule that applied is added to `applied`.
    exchange_plan plan(std::string_view path, std::string_view request, std::vector<rule_id>& applied);

private:
    struct entry {
        rule_id id;
        fault_rule rule;
        std::uint64_t matched = 0;
    };

    bool loses_reply(std::string_view path);

    std::vector<entry> entries_;
    rule_id last_id_ = 0;
    double loss_probability_ = 0;
    std::string loss_suffix_;
    close_how loss_how_ = close_how::fin;
    std::mt19937_64 loss_random_;
};

} // namespace etcdcoll::test
