#pragma once
// Carries the bytes of one direction of a proxied connection, and holds up, splits or ends each message by its plan.

#include <support/fault_rule.hpp>
#include <support/traffic_ledger.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace etcdcoll::test {

/// Sends one segment at a time; `begin` says that the next segment starts a new message.
class proxy_lane {
public:
    /// `cut_due`: the plan's cut position is reached, whatever lay behind it has not been sent. `failed`: the peer that
    /// was to get the bytes is gone.
    enum class outcome { sent, cut_due, failed };
    using completion = std::function<void(outcome)>;

    /// While `gate_closed` holds, nothing goes on. `bytes` is the counter of what has gone on.
    proxy_lane(boost::asio::ip::tcp::socket& to, const bool& gate_closed, traffic_ledger& ledger,
               std::uint64_t traffic::* bytes);

    /// `owner` holds this lane: what is under way keeps it alive.
    void keep_alive_by(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

    void begin(const lane_plan& plan);
    /// An empty segment passes the gate as others do, so that an end of stream stays behind a closed gate too.
    void send(std::string segment, completion next);
    /// Lets a message go on that its stall holds up now.
    void release();
    /// Looks at the gate again.
    void look_at_gate();
    /// Drops what is under way; its completion is not called.
    void abandon();

private:
    enum class parked { no, at_gate, at_stall };

    void step();
    void write_some(std::size_t bytes);
    void wait(std::chrono::milliseconds duration);
    void park(parked where);
    void unpark();
    void finish(outcome result);
    std::size_t next_size() const;

    boost::asio::ip::tcp::socket& to_;
    const bool& gate_closed_;
    traffic_ledger& ledger_;
    std::uint64_t traffic::* bytes_;
    std::weak_ptr<void> owner_;
    boost::asio::steady_timer timer_;

    lane_plan plan_;
    std::size_t position_ = 0; // bytes of this message that have gone on
    bool delayed_ = false;
    bool released_ = false;

    std::string segment_;
    std::size_t offset_ = 0;
    completion next_;
    parked parked_ = parked::no;
};

} // namespace etcdcoll::test
