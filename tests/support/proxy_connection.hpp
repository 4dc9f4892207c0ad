#pragma once
// One client connection of a fault_proxy with its connection to the server: follows the exchanges and carries out
// their plans.

#include <support/fault_rule.hpp>
#include <support/http_framing.hpp>
#include <support/proxy_lane.hpp>
#include <support/traffic_ledger.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace etcdcoll::test {

class proxy_connection;

/// What the connections of one proxy share. All but the ledger belongs to the proxy's thread.
struct proxy_core {
    boost::asio::io_context context{1};
    std::optional<boost::asio::ip::tcp::endpoint> server;
    rule_book rules;
    traffic_ledger ledger;
    bool gate_closed = false;
    bool whole_requests = false; // pass on a request only when all of it has come
    std::set<std::shared_ptr<proxy_connection>> connections;
};

/// Lives in proxy_core::connections from start() until both its sockets are closed.
class proxy_connection : public std::enable_shared_from_this<proxy_connection> {
public:
    using tcp = boost::asio::ip::tcp;

    proxy_connection(proxy_core& core, tcp::socket client);

    void start();
    /// Ends both sides at once. With fin what a peer still sends is read and dropped until it closes: closing with
    /// unread bytes would turn the FIN into an RST.
    void cut(close_how client, close_how server);
    void release();
    void gate_opened();
    /// Closes both sockets without more ado.
    void close();

private:
    struct exchange {
        traffic_ledger::exchange_id id = 0;
        exchange_record record;
        exchange_plan plan;
        bool bodiless = false;
        bool replied = false;
    };
    using outcome = proxy_lane::outcome;

    void connect();
    void read_client();
    void client_ended(boost::system::error_code ec);
    void process_requests();
    bool held_back() const;
    bool request_can_be_matched();
    void open_exchange();
    void forward_request();
    void request_finished();
    void reply_instead();
    void reply_endlessly();

    void read_server();
    void server_ended(boost::system::error_code ec);
    void process_responses();
    void forward_response();
    void account_response(exchange& ex, std::size_t bytes, std::string_view payload);
    void response_sent(outcome result, bool complete);
    void lose_reply(const exchange& ex);

    void forward_raw(proxy_lane& lane, std::string& bytes, void (proxy_connection::*read_more)());
    void end_lane(proxy_lane& lane, tcp::socket& to, bool& ended);
    void planned_cut(close_how client, close_how server);
    void retire(tcp::socket& socket, close_how how);
    void drain(tcp::socket& socket);
    void leave();

    proxy_core& core_;
    tcp::socket client_;
    tcp::socket server_;
    proxy_lane to_server_;
    proxy_lane to_client_;
    bool started_ = false;
    bool dead_ = false;
    bool opaque_ = false; // not HTTP: bytes are passed on as they are
    bool client_done_ = false;
    bool server_done_ = false;

    http_framer request_framer_{http_framer::side::request};
    std::string from_client_;
    std::size_t followed_ = 0;          // bytes of from_client_ that request_framer_ has seen
    std::shared_ptr<exchange> current_; // whose request is coming in
    bool reply_waits_ = false;

    http_framer response_framer_{http_framer::side::response};
    std::string from_server_;
    bool response_open_ = false;
    std::string watch_tail_;                        // the end of a watch's last bytes: an event may begin there
    std::deque<std::shared_ptr<exchange>> pending_; // in the order in which the server answers

    std::array<char, 16384> client_buffer_{};
    std::array<char, 16384> server_buffer_{};
};

} // namespace etcdcoll::test
