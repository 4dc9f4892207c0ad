#pragma once
// What has passed through a fault_proxy: counters, the last sizes, a bounded log, and waiting for them to change.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::test {

/// Counters of one proxy since it was made; `open_connections` and `stalled` are what there is now.
struct traffic {
    std::uint64_t connections = 0;
    std::uint64_t open_connections = 0;
    std::uint64_t bytes_to_server = 0;
    std::uint64_t bytes_to_client = 0;
    /// Requests whose header has come from the client, whether or not they went on.
    std::uint64_t requests = 0;
    /// Responses that have come whole from the server, whether or not they went on.
    std::uint64_t responses = 0;
    /// Watch events (`"kv":{`) that have come from the server.
    std::uint64_t watch_events = 0;
    /// Connections that a rule, a random loss or cut_all() has cut.
    std::uint64_t cuts = 0;
    /// Messages that a rule's stall holds up at the moment.
    std::uint64_t stalled = 0;
};

/// One request and its response. Sizes are the bytes that came from the client and from the server, header and body,
/// not the bytes that went on.
struct exchange_record {
    std::string path;
    std::size_t request_bytes = 0;
    std::size_t response_bytes = 0;
    int status = 0;
    bool request_complete = false;
    bool response_complete = false;
    bool faulty = false;
};

/// Written by the proxy's thread, read and waited for by any other. Every member is thread-safe.
class traffic_ledger {
public:
    using exchange_id = std::uint64_t;
    using milliseconds = std::chrono::milliseconds;

    static constexpr std::size_t max_log = 4096;

    void count(std::uint64_t traffic::* counter, std::uint64_t by = 1);
    void uncount(std::uint64_t traffic::* counter);
    void count_hits(const std::vector<std::uint64_t>& rules);
    exchange_id begin(const exchange_record& record);
    /// More of the request, or of the response, has come; `record` is all that is known of the exchange by now.
    void request_grew(exchange_id id, const exchange_record& record);
    void response_grew(exchange_id id, const exchange_record& record);

    traffic totals() const;
    std::uint64_t hits(std::uint64_t rule) const;
    std::uint64_t requests(std::string_view path_suffix) const;
    std::uint64_t responses(std::string_view path_suffix) const;
    std::size_t last_request_size(std::string_view path_suffix) const;
    std::size_t last_response_size(std::string_view path_suffix) const;
    std::vector<exchange_record> log() const;

    bool wait_for_requests(std::string_view path_suffix, std::uint64_t n, milliseconds timeout) const;
    bool wait_for_responses(std::string_view path_suffix, std::uint64_t n, milliseconds timeout) const;
    bool wait_for_hits(std::uint64_t rule, std::uint64_t n, milliseconds timeout) const;
    bool wait_for(const std::function<bool(const traffic&)>& reached, milliseconds timeout) const;

private:
    struct path_record {
        std::uint64_t requests = 0;
        std::uint64_t responses = 0;
        std::size_t last_request = 0;
        std::size_t last_response = 0;
        std::uint64_t request_time = 0; // order of the last complete ones over all paths
        std::uint64_t response_time = 0;
    };

    void log_again(exchange_id id, const exchange_record& record);
    template <class Reached> bool wait(milliseconds timeout, Reached reached) const;
    std::uint64_t sum(std::string_view path_suffix, std::uint64_t path_record::* what) const;
    std::size_t latest(std::string_view path_suffix, std::size_t path_record::* size,
                       std::uint64_t path_record::* time) const;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    traffic totals_;
    std::map<std::string, path_record, std::less<>> paths_;
    std::map<std::uint64_t, std::uint64_t> hits_;
    std::deque<exchange_record> log_;
    exchange_id log_begin_ = 0; // the id of the log's first record
    std::uint64_t time_ = 0;
};

} // namespace etcdcoll::test
