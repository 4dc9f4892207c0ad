#pragma once

// One rank of the group protocol (docs/protocol.md) on raw sockets: the same transactions and the same watch as the
// library's, and nothing else: no retries, no deadlines, no detection of lost ranks.

#include "raw_socket.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct floor_options {
    std::string endpoint;
    std::string epoch; ///< `E` of the protocol, with the '/' at its end
    int rank = 0;
    int size = 0;
};

class floor_rank {
public:
    /// Puts its member key with a lease of its own and watches `E` + `w/`; waits for nobody.
    explicit floor_rank(floor_options options);

    // A blocking rank: one process each.
    void barrier();
    std::vector<std::string> allgather(std::string_view block);

    // A rank among others in one event loop: begin(), then the two calls when their descriptor is readable, until
    // done().
    void begin_barrier();
    void begin_allgather(std::string_view block);
    void on_client_readable();
    void on_watch_readable();
    bool done() const noexcept { return step_ == step::done; }
    const std::vector<std::string>& blocks() const noexcept { return blocks_; }

    int client_fd() const noexcept { return client_.fd(); }
    int watch_fd() const noexcept { return watch_->fd(); }
    std::uint64_t sent() const noexcept { return client_.sent(); }

    /// Revokes the lease, and so deletes the keys.
    void leave();

private:
    enum class step { done, arriving, waiting, publishing };

    void arrive(std::string_view op, bool with_block, std::string_view block);
    void on_reply();
    void on_event(const std::string& line);
    void take_events();
    void publish(const std::string& reply);
    void release(std::string_view value, std::int64_t revision);
    void finish();
    std::string put(const std::string& encoded_key, std::string_view encoded_value) const;

    floor_options options_;
    raw_client client_;
    std::string lease_;
    std::int64_t member_revision_ = 0;
    std::unique_ptr<raw_watch> watch_;

    // Encoded keys.
    std::string arrive_key_, arrivals_key_, arrivals_end_, member_key_, end_key_, count_key_, release_key_;
    std::string block_key_[2], blocks_key_[2], blocks_end_[2];

    step step_ = step::done;
    bool gathers_ = false;
    std::int64_t sequence_ = 0;
    std::int64_t released_ = 0; // the newest release seen
    std::int64_t arrival_revision_ = 0;
    std::int64_t release_revision_ = 0;
    std::vector<std::string> blocks_;
};

} // namespace bench
