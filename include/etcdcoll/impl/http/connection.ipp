#pragma once

#include <etcdcoll/http/connection.hpp>
#include <etcdcoll/impl/http/response_parser.hpp>
#include <etcdcoll/impl/tls_stream.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace etcdcoll::http {

namespace detail {

inline constexpr std::size_t first_buffer = 16 * 1024;
inline constexpr std::size_t last_buffer = 256 * 1024;
inline constexpr int informational_limit = 8;
inline constexpr std::size_t longest_refusal = 64 * 1024;

ETCDCOLL_DECL void append_chunk(std::string& text, std::string_view piece) {
    constexpr char digits[] = "0123456789abcdef";
    char size[2 * sizeof(std::size_t)];
    std::size_t used = 0;
    for (auto rest = piece.size(); rest != 0; rest /= 16) size[used++] = digits[rest % 16];
    while (used != 0) text += size[--used];
    text.append("\r\n").append(piece).append("\r\n");
}

} // namespace detail

struct connection::state {
    state(asio::any_io_executor executor, std::shared_ptr<environment> system_, endpoint peer_, limits caps_,
          std::shared_ptr<traffic> counters_, const std::shared_ptr<const etcdcoll::detail::tls_context>& tls)
        : system(std::move(system_)), peer(std::move(peer_)), caps(caps_), counters(std::move(counters_)),
          stream(system->make_stream(executor)), watchdog(system->make_timer(executor)), buffer(detail::first_buffer),
          common_head(" HTTP/1.1\r\nHost: " + peer.authority() + "\r\nContent-Type: application/json\r\n") {
        if (tls) stream = std::make_unique<etcdcoll::detail::tls_stream>(std::move(stream), tls);
    }

    // The watchdog is left armed from one exchange to the next: when it fires too early, it is armed for what is then due.
    void set_deadline(time_point when) {
        deadline = when;
        if (armed && armed_for <= when) return;
        armed = true;
        armed_for = when;
        watchdog->arm(when, [this] { on_watchdog(); });
    }

    void clear_deadline() noexcept { deadline = time_point::max(); }

    void on_watchdog() {
        armed = false;
        if (deadline == time_point::max()) return;
        if (system->now() < deadline) {
            set_deadline(deadline);
            return;
        }
        late = true;
        shut();
    }

    void shut() noexcept {
        usable = false;
        stream->close();
    }

    // Why the operation ended: a deadline and a cancellation come out of the stream as the same error code.
    [[noreturn]] void fail(const error_code& code, bool sent, std::string_view doing) {
        const bool closed_here = !usable;
        shut();
        if (late) throw failure(errc::timed_out, sent, std::string(doing) + " took too long");
        if (code == asio::error::operation_aborted) {
            if (closed_here) throw failure(errc::connection_failed, sent, "connection closed while " + std::string(doing));
            throw error(errc::cancelled, "cancelled");
        }
        using etcdcoll::detail::tls_errc;
        const auto about = code.category() == etcdcoll::detail::tls_category() ? static_cast<tls_errc>(code.value()) : tls_errc();
        // A server that does not take the client's certificate may say so behind the handshake, but before it reads a request. Any other
        // fault there proves nothing of what was sent.
        const bool at_the_door = about == tls_errc::certificate_wanted || about == tls_errc::certificate_refused;
        if (about != tls_errc() && about != tls_errc::cut_short)
            throw failure(errc::tls_failed, sent && (spoke_http || !at_the_door), stream->explain(code));
        const auto cause = code == asio::error::eof ? std::string("connection closed by the server") : stream->explain(code);
        throw failure(errc::connection_failed, sent, cause + " (" + std::string(doing) + ")");
    }

    // `executed`: the peer may have taken the request for one.
    [[noreturn]] void refuse(std::string cause, bool executed = true) {
        shut();
        throw failure(errc::bad_reply, executed, std::move(cause));
    }

    void begin_request(std::string_view target, std::string_view headers, std::string_view body) {
        text.clear();
        text.append("POST ").append(target).append(common_head).append(headers);
        text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
        ++counters->requests;
    }

    void expect_reply(bool of_stream);
    void feed();
    void skip_informational();
    bool reads_refusal();
    void check_first_bytes();
    void end_of_stream();
    asio::mutable_buffer room();
    void take(std::size_t size, const error_code& code);
    bool send_now(std::string_view& rest);
    asio::awaitable<void> send(std::string_view rest, bool begun);
    void not_sent(const error_code& code, bool begun);

    std::shared_ptr<environment> system;
    endpoint peer;
    limits caps;
    std::shared_ptr<traffic> counters;
    std::unique_ptr<byte_stream> stream;
    std::unique_ptr<timer> watchdog;
    std::vector<char> buffer;
    std::size_t begin = 0; // [begin, end) has been read and not yet parsed
    std::size_t end = 0;
    std::shared_ptr<std::string> spare; // for the next body
    std::optional<etcdcoll::detail::response_parser> parser;
    bool streaming = false;
    int informational = 0;         // replies before the one that counts
    const std::string common_head; // what every request says behind its target
    std::string text; // the request being written; kept for its capacity
    time_point deadline = time_point::max();
    time_point armed_for;
    bool armed = false;
    bool late = false;
    bool usable = false;
    bool in_step = false; // no reply is outstanding
    bool spoke_http = false; // a reply has come
    error_code unsent;       // why the request could not be written to its end
    bool unsent_begun = false;
};

// An HTTP/2-only port and a TLS port answer with frames of their own: said plainly, since the parser's words would help nobody.
ETCDCOLL_DECL void connection::state::check_first_bytes() {
    if (parser->got_some() || begin == end) return;
    const auto first = static_cast<unsigned char>(buffer[begin]);
    if (first == 0)
        refuse("this port speaks HTTP/2 only: use the address of etcd's --listen-client-http-urls", spoke_http);
    if (first == 0x15 || first == 0x16) refuse("this port speaks TLS: write https://", spoke_http);
}

ETCDCOLL_DECL void connection::state::expect_reply(bool of_stream) {
    streaming = of_stream;
    informational = 0;
    parser.emplace(caps, of_stream, of_stream ? nullptr : spare.get());
    unsent.clear();
}

ETCDCOLL_DECL void connection::state::feed() {
    check_first_bytes();
    while (begin != end && !parser->is_done()) {
        error_code code;
        const auto used = parser->put(asio::const_buffer(buffer.data() + begin, end - begin), code);
        begin += used;
        if (code == boost::beast::http::error::need_more) break;
        if (code == boost::beast::http::error::body_limit) {
            shut();
            throw failure(errc::too_large, true, "the reply is larger than client_options::reply_limit");
        }
        if (code) refuse("not a reply of etcd: " + code.message());
        if (used == 0) break;
    }
    if (begin == end) begin = end = 0;
    spoke_http = spoke_http || parser->is_header_done();
    if (parser->is_header_done() && parser->encoded()) refuse("the reply has a Content-Encoding that nobody asked for");
}

ETCDCOLL_DECL void connection::state::skip_informational() {
    while (parser->is_done() && parser->reply().status < 200) { // the next one may have come with it
        const int status = parser->reply().status;
        if (status < 100 || status == 101 || ++informational > detail::informational_limit) refuse("status " + std::to_string(status));
        parser.emplace(caps, streaming, streaming ? nullptr : spare.get());
        feed();
    }
}

// In place of a stream: half of its text would be judged as something else.
ETCDCOLL_DECL bool connection::state::reads_refusal() {
    if (!parser->is_header_done() || parser->reply().status < 300) return false;
    return parser->reply().body.size() < std::min(detail::longest_refusal, caps.body);
}

ETCDCOLL_DECL void connection::state::end_of_stream() {
    if (!parser->got_some()) fail(asio::error::eof, true, "waiting for the reply");
    error_code code;
    parser->put_eof(code);
    if (code) fail(asio::error::eof, true, "in the middle of the reply");
    // Without a length nobody can tell a whole body from a truncated one.
    if (parser->reply().status < 300) refuse("the reply does not say how long it is");
}

// Where the next bytes of the reply are read to.
ETCDCOLL_DECL asio::mutable_buffer connection::state::room() {
    if (begin != 0) {
        std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin), buffer.begin() + static_cast<std::ptrdiff_t>(end),
                  buffer.begin());
        end -= begin;
        begin = 0;
    }
    if (end == buffer.size()) buffer.resize(std::min(std::max(detail::last_buffer, 2 * caps.header), 2 * buffer.size()));
    if (end == buffer.size()) refuse("not a reply of etcd: a line without an end");
    return {buffer.data() + end, buffer.size() - end};
}

ETCDCOLL_DECL void connection::state::take(std::size_t size, const error_code& code) {
    if (unsent && code && !(code == asio::error::eof && parser->got_some())) fail(unsent, unsent_begun, "sending the request");
    if (code == asio::error::eof) {
        end_of_stream();
        skip_informational();
        return;
    }
    if (code) fail(code, true, parser->got_some() ? "in the middle of the reply" : "waiting for the reply");
    counters->bytes_received += size;
    // A reader that fills its buffer is reading something long.
    const bool filled = end + size == buffer.size() && buffer.size() < detail::last_buffer;
    end += size;
    if (filled) buffer.resize(buffer.size() * 2);
    feed();
    skip_informational();
}

// True when something is left to send().
ETCDCOLL_DECL bool connection::state::send_now(std::string_view& rest) {
    error_code code;
    const auto size = stream->write_now(asio::const_buffer(rest.data(), rest.size()), code);
    counters->bytes_sent += size;
    if (code) not_sent(code, size != 0);
    rest.remove_prefix(code ? rest.size() : size);
    return !rest.empty();
}

ETCDCOLL_DECL asio::awaitable<void> connection::state::send(std::string_view rest, bool begun) {
    error_code code;
    const auto size = co_await stream->write(asio::const_buffer(rest.data(), rest.size()), code);
    counters->bytes_sent += size;
    if (code) not_sent(code, begun || size != 0);
}

// A peer that wants no more of it may have said why before it closed: so that is read first.
ETCDCOLL_DECL void connection::state::not_sent(const error_code& code, bool begun) {
    const bool by_peer = code == asio::error::broken_pipe || code == asio::error::connection_reset;
    if (!by_peer || !begun || !usable) fail(code, begun, "sending the request");
    unsent = code;
    unsent_begun = begun;
}

ETCDCOLL_DECL connection::connection(asio::any_io_executor executor, std::shared_ptr<environment> system, endpoint peer, limits caps,
                                     std::shared_ptr<traffic> counters, std::shared_ptr<const etcdcoll::detail::tls_context> tls)
    : state_(std::make_unique<state>(std::move(executor), std::move(system), std::move(peer), caps, std::move(counters), tls)) {}

ETCDCOLL_DECL connection::~connection() = default;

ETCDCOLL_DECL const endpoint& connection::peer() const noexcept { return state_->peer; }

ETCDCOLL_DECL void connection::share_memory(std::shared_ptr<std::string> spare) noexcept { state_->spare = std::move(spare); }

ETCDCOLL_DECL void connection::close() noexcept { state_->shut(); }

ETCDCOLL_DECL bool connection::intact() const noexcept { return state_->usable && state_->in_step; }
ETCDCOLL_DECL bool connection::reusable() noexcept { return intact() && state_->stream->quiet(); }

ETCDCOLL_DECL int connection::stream_status() const noexcept {
    return state_->parser && state_->parser->is_header_done() ? state_->parser->reply().status : 0;
}

ETCDCOLL_DECL asio::awaitable<void> connection::open(time_point deadline) {
    auto& s = *state_;
    s.set_deadline(deadline);
    s.usable = true;
    ++s.counters->connects;
    error_code code;
    stream_target target{s.peer.host, s.peer.port};
    co_await s.stream->connect(std::move(target), code);
    s.clear_deadline();
    if (code) s.fail(code, false, "connecting");
    s.in_step = true;
}

ETCDCOLL_DECL asio::awaitable<reply> connection::exchange(std::string_view target, std::string_view headers, std::string_view body,
                                                          time_point deadline, time_point last) {
    auto& s = *state_;
    const auto patience = last > deadline ? deadline - s.system->now() : duration::zero();
    s.set_deadline(deadline);
    s.begin_request(target, headers, body);
    s.expect_reply(false);
    // A cancellation between two awaits ends this coroutine without an I/O error, and leaves a reply to come.
    s.in_step = false;
    std::string_view rest = s.text;
    const bool more = s.send_now(rest);
    const bool begun = rest.size() != s.text.size();
    if (more) co_await s.send(rest, begun);

    while (!s.parser->is_done()) {
        error_code code;
        const auto room = s.room();
        const auto size = co_await s.stream->read_some(room, code);
        s.take(size, code);
        // What is on its way is not given up for its length.
        if (patience > duration::zero() && !s.parser->is_done()) s.set_deadline(std::min(last, s.system->now() + patience));
    }
    s.clear_deadline();
    s.in_step = true;
    // Bytes behind the reply answer nothing that was asked: the connection has come out of step. So it has when the request is not whole.
    if (s.begin != s.end || !s.parser->keep_alive() || s.unsent) s.shut();
    co_return std::move(s.parser->reply());
}

ETCDCOLL_DECL asio::awaitable<void> connection::begin_stream(std::string_view target, std::string_view headers, std::string_view first,
                                                             time_point deadline) {
    auto& s = *state_;
    s.set_deadline(deadline);
    s.text.clear();
    s.text.append("POST ").append(target).append(s.common_head).append("Connection: close\r\n").append(headers);
    s.text.append("Transfer-Encoding: chunked\r\n\r\n");
    ++s.counters->requests;
    s.in_step = false;
    s.expect_reply(true);
    detail::append_chunk(s.text, first);
    co_await s.send(s.text, false);
    s.clear_deadline();
}

ETCDCOLL_DECL asio::awaitable<void> connection::begin_reply(std::string_view target, std::string_view headers, std::string_view body,
                                                            time_point deadline) {
    auto& s = *state_;
    s.set_deadline(deadline);
    s.begin_request(target, headers, body);
    s.in_step = false;
    s.expect_reply(true);
    co_await s.send(s.text, false);
    s.clear_deadline();
}

ETCDCOLL_DECL asio::awaitable<void> connection::send_piece(std::string_view piece, time_point deadline) {
    auto& s = *state_;
    s.set_deadline(deadline);
    s.text.clear();
    detail::append_chunk(s.text, piece);
    co_await s.send(s.text, false);
    s.clear_deadline();
}

ETCDCOLL_DECL asio::awaitable<std::string_view> connection::read_piece(time_point deadline) {
    auto& s = *state_;
    const bool limited = deadline != time_point::max();
    if (limited) s.set_deadline(deadline);
    s.parser->reply().body.clear();
    while ((s.parser->reply().body.empty() || s.reads_refusal()) && !s.parser->is_done()) {
        error_code code;
        const auto room = s.room();
        const auto size = co_await s.stream->read_some(room, code);
        s.take(size, code);
    }
    if (limited) s.clear_deadline();
    if (s.parser->is_done() && s.parser->reply().body.empty()) s.shut();
    co_return std::string_view(s.parser->reply().body);
}

} // namespace etcdcoll::http
