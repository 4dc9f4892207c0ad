#include <support/proxy_connection.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <utility>

namespace etcdcoll::test {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::string_view watch_path = "/v3/watch";
constexpr std::string_view watch_event = "\"kv\":{";

std::uint64_t count_text(std::string_view in, std::string_view what) {
    std::uint64_t n = 0;
    for (auto at = in.find(what); at != std::string_view::npos; at = in.find(what, at + what.size())) ++n;
    return n;
}

void no_delay(asio::ip::tcp::socket& socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay{true}, ignored);
}

} // namespace

proxy_connection::proxy_connection(proxy_core& core, tcp::socket client)
    : core_(core)
    , client_(std::move(client))
    , server_(core.context)
    , to_server_(server_, core.gate_closed, core.ledger, &traffic::bytes_to_server)
    , to_client_(client_, core.gate_closed, core.ledger, &traffic::bytes_to_client) {
    no_delay(client_);
}

void proxy_connection::start() {
    to_server_.keep_alive_by(weak_from_this());
    to_client_.keep_alive_by(weak_from_this());
    if (!core_.gate_closed) connect();
}

void proxy_connection::connect() {
    started_ = true;
    if (!core_.server) return read_client();
    server_.async_connect(*core_.server, [this, self = shared_from_this()](error_code ec) {
        if (dead_) return;
        if (ec) return cut(close_how::rst, close_how::rst);
        no_delay(server_);
        read_client();
        read_server();
    });
}

// ---- from the client to the server

void proxy_connection::read_client() {
    client_.async_read_some(asio::buffer(client_buffer_), [this, self = shared_from_this()](error_code ec, auto n) {
        if (dead_) return;
        if (ec) return client_ended(ec);
        from_client_.append(client_buffer_.data(), n);
        process_requests();
    });
}

void proxy_connection::client_ended(error_code ec) {
    if (ec != asio::error::eof) return cut(close_how::rst, close_how::rst);
    if (held_back()) from_client_.clear(); // nobody has the rest of it
    if (!current_) to_server_.begin({});
    if (current_ && current_->plan.reply) from_client_.clear();
    to_server_.send(std::exchange(from_client_, {}), [this, self = shared_from_this()](outcome result) {
        if (result != outcome::sent) return cut(close_how::rst, close_how::rst);
        end_lane(to_server_, server_, client_done_);
    });
}

void proxy_connection::process_requests() {
    if (from_client_.empty()) return read_client();
    while (followed_ < from_client_.size() && !request_framer_.complete() && !opaque_) {
        followed_ += request_framer_.consume(std::string_view{from_client_}.substr(followed_));
        opaque_ = request_framer_.where() == http_framer::stage::not_http;
    }
    if (opaque_) return forward_raw(to_server_, from_client_, &proxy_connection::read_client);
    if (held_back()) return read_client();
    if (!current_) {
        if (!request_can_be_matched()) return read_client();
        open_exchange();
    }
    forward_request();
}

bool proxy_connection::held_back() const { return core_.whole_requests && !current_ && !opaque_ && !request_framer_.complete(); }

bool proxy_connection::request_can_be_matched() {
    if (request_framer_.where() == http_framer::stage::head) return false;
    if (request_framer_.complete() || !core_.rules.wants_body(request_framer_.path())) return true;
    return request_framer_.chunked() && request_framer_.chunks() > 0;
}

void proxy_connection::open_exchange() {
    current_ = std::make_shared<exchange>();
    auto& ex = *current_;
    std::vector<rule_book::rule_id> applied;
    ex.plan = core_.rules.plan(request_framer_.path(), std::string_view{from_client_}.substr(0, followed_), applied);
    ex.record.path = request_framer_.path();
    ex.record.faulty = ex.plan.faulty;
    ex.bodiless = request_framer_.method() == "HEAD";
    to_server_.begin(ex.plan.request);
    pending_.push_back(current_);
    ex.id = core_.ledger.begin(ex.record);
    core_.ledger.count_hits(applied);
}

void proxy_connection::forward_request() {
    auto& ex = *current_;
    auto segment = from_client_.substr(0, followed_);
    from_client_.erase(0, followed_);
    followed_ = 0;
    ex.record.request_bytes += segment.size();
    ex.record.request_complete = request_framer_.complete();
    core_.ledger.request_grew(ex.id, ex.record);
    if (ex.plan.reply) {
        // A watch never ends its body: it gets its reply at once, other requests when they are whole.
        const bool due = ex.record.request_complete || ex.record.path.ends_with(watch_path);
        return due && !ex.replied ? reply_instead() : request_finished();
    }
    to_server_.send(std::move(segment), [this, self = shared_from_this()](outcome result) {
        const auto& plan = current_->plan.request;
        if (result == outcome::failed) return cut(close_how::rst, close_how::rst);
        const bool behind_end = current_->record.request_complete && plan.cut_after.has_value();
        if (result == outcome::cut_due || behind_end) return planned_cut(plan.how, plan.how);
        request_finished();
    });
}

void proxy_connection::request_finished() {
    if (current_->record.request_complete) {
        current_.reset();
        request_framer_.restart();
    }
    process_requests();
}

void proxy_connection::reply_instead() {
    // Replies keep the order of their requests: with pipelining the server's own may have to go first.
    reply_waits_ = pending_.front() != current_;
    if (reply_waits_) return;
    auto& ex = *current_;
    ex.replied = true;
    ex.record.response_bytes = ex.plan.reply->size();
    to_client_.begin(ex.plan.response);
    to_client_.send(*ex.plan.reply, [this, self = shared_from_this()](outcome result) {
        const auto& plan = current_->plan;
        if (result == outcome::failed) return cut(close_how::rst, close_how::rst);
        if (result == outcome::cut_due) return planned_cut(plan.response.how, close_how::fin);
        if (!plan.endless.empty()) return reply_endlessly();
        if (plan.then != after_reply::keep_open) {
            return planned_cut(plan.then == after_reply::rst ? close_how::rst : close_how::fin, close_how::fin);
        }
        pending_.pop_front();
        request_finished();
    });
}

// Ends when the client has closed: a write fails then.
void proxy_connection::reply_endlessly() {
    to_client_.send(current_->plan.endless, [this, self = shared_from_this()](outcome result) {
        if (result == outcome::sent) return reply_endlessly();
        if (result == outcome::cut_due) return planned_cut(current_->plan.response.how, close_how::fin);
        cut(close_how::rst, close_how::rst);
    });
}

// ---- from the server to the client

void proxy_connection::read_server() {
    server_.async_read_some(asio::buffer(server_buffer_), [this, self = shared_from_this()](error_code ec, auto n) {
        if (dead_) return;
        if (ec) return server_ended(ec);
        from_server_.append(server_buffer_.data(), n);
        process_responses();
    });
}

void proxy_connection::server_ended(error_code ec) {
    if (ec != asio::error::eof) return cut(close_how::rst, close_how::rst);
    if (response_open_) {
        const auto ex = pending_.front();
        response_framer_.end_of_stream();
        account_response(*ex, 0, {});
        const auto& plan = ex->plan.response;
        if (plan.cut_after == std::size_t{0}) return lose_reply(*ex);
        if (plan.cut_after) return planned_cut(plan.how, close_how::fin);
    } else {
        to_client_.begin({});
    }
    to_client_.send({}, [this, self = shared_from_this()](outcome) { end_lane(to_client_, client_, server_done_); });
}

void proxy_connection::process_responses() {
    if (from_server_.empty()) return read_server();
    if (opaque_ || pending_.empty()) {
        return forward_raw(to_client_, from_server_, &proxy_connection::read_server);
    }
    if (!response_open_) {
        response_open_ = true;
        response_framer_.restart(pending_.front()->bodiless);
        to_client_.begin(pending_.front()->plan.response);
        watch_tail_.clear();
    }
    forward_response();
}

void proxy_connection::forward_response() {
    const auto ex = pending_.front();
    const std::string_view all = from_server_;
    std::size_t used = 0;
    std::string payload;
    while (used < all.size() && !response_framer_.complete() && !opaque_) {
        used += response_framer_.consume(all.substr(used), ex->record.path.ends_with(watch_path) ? &payload : nullptr);
        opaque_ = response_framer_.where() == http_framer::stage::not_http;
    }
    if (opaque_) used = all.size();
    auto segment = from_server_.substr(0, used);
    from_server_.erase(0, used);
    const bool complete = response_framer_.complete();
    account_response(*ex, used, payload);

    const bool endless = !ex->record.request_complete || ex->record.path.ends_with(watch_path);
    if (ex->plan.response.cut_after == std::size_t{0} && !endless) {
        return complete ? lose_reply(*ex) : process_responses();
    }
    to_client_.send(std::move(segment),
                    [this, self = shared_from_this(), complete](outcome result) { response_sent(result, complete); });
}

void proxy_connection::account_response(exchange& ex, std::size_t bytes, std::string_view payload) {
    ex.record.response_bytes += bytes;
    ex.record.status = response_framer_.status();
    ex.record.response_complete = response_framer_.complete();
    if (!payload.empty()) {
        watch_tail_ += payload;
        core_.ledger.count(&traffic::watch_events, count_text(watch_tail_, watch_event));
        const auto keep = watch_event.size() - 1;
        if (watch_tail_.size() > keep) watch_tail_.erase(0, watch_tail_.size() - keep);
    }
    core_.ledger.response_grew(ex.id, ex.record);
}

void proxy_connection::response_sent(outcome result, bool complete) {
    const auto plan = pending_.front()->plan.response;
    if (result == outcome::failed) return cut(close_how::rst, close_how::rst);
    if (result == outcome::cut_due || (complete && plan.cut_after)) return planned_cut(plan.how, close_how::fin);
    if (complete) {
        pending_.pop_front();
        response_open_ = false;
        if (std::exchange(reply_waits_, false)) reply_instead();
    }
    process_responses();
}

void proxy_connection::lose_reply(const exchange& ex) {
    const auto how = ex.plan.response.how;
    // Offers one byte, which the plan cuts off: so a delay and the gate hold here too.
    to_client_.send("x", [this, self = shared_from_this(), how](outcome) { planned_cut(how, close_how::fin); });
}

// ---- both ways

void proxy_connection::forward_raw(proxy_lane& lane, std::string& bytes, void (proxy_connection::*read_more)()) {
    lane.begin({});
    lane.send(std::exchange(bytes, {}), [this, self = shared_from_this(), read_more](outcome result) {
        return result == outcome::sent ? (this->*read_more)() : cut(close_how::rst, close_how::rst);
    });
}

void proxy_connection::end_lane(proxy_lane& lane, tcp::socket& to, bool& ended) {
    lane.begin({});
    ended = true;
    error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
    if (client_done_ && server_done_) close();
}

void proxy_connection::planned_cut(close_how client, close_how server) {
    core_.ledger.count(&traffic::cuts);
    cut(client, server);
}

void proxy_connection::cut(close_how client, close_how server) {
    if (dead_) return;
    dead_ = true;
    to_server_.abandon();
    to_client_.abandon();
    retire(client_, client);
    retire(server_, server);
    leave();
}

void proxy_connection::retire(tcp::socket& socket, close_how how) {
    if (!socket.is_open()) return;
    error_code ignored;
    if (how == close_how::rst) {
        socket.set_option(tcp::socket::linger{true, 0}, ignored);
        socket.close(ignored);
        return;
    }
    socket.cancel(ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    drain(socket);
}

void proxy_connection::drain(tcp::socket& socket) {
    auto& buffer = &socket == &client_ ? client_buffer_ : server_buffer_;
    socket.async_read_some(asio::buffer(buffer), [this, self = shared_from_this(), &socket](error_code ec, auto) {
        if (!socket.is_open()) return;
        if (!ec) return drain(socket);
        socket.close(ec);
        leave();
    });
}

void proxy_connection::close() {
    dead_ = true;
    to_server_.abandon();
    to_client_.abandon();
    error_code ignored;
    client_.close(ignored);
    server_.close(ignored);
    leave();
}

void proxy_connection::leave() {
    if (client_.is_open() || server_.is_open()) return;
    if (core_.connections.erase(shared_from_this()) != 0) core_.ledger.uncount(&traffic::open_connections);
}

void proxy_connection::release() {
    to_server_.release();
    to_client_.release();
}

void proxy_connection::gate_opened() {
    if (!started_ && !dead_) return connect();
    to_server_.look_at_gate();
    to_client_.look_at_gate();
}

} // namespace etcdcoll::test
