#pragma once

#include <etcdcoll/impl/etcd/in_memory/gateway_state.hpp>
#include <etcdcoll/impl/etcd/in_memory/reply_encoder.hpp>

#include <utility>

namespace etcdcoll::etcd::model {

inline constexpr int unknown_code = 2;                    // what the gateway itself says of a stream's first message
inline constexpr std::size_t largest_joined_line = 2047; // a longer message has its newline in a chunk of its own

// ---- messages of the client -----------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void gateway_connection::state::begin_stream() {
    messages.emplace();
    if (called->what == service::watch) watches.emplace(of, [this](const std::string& text) { send_message(text); });
    if (parser.head().asks_for_leader && of.leader() == 0) fail_stream(unavailable, "etcdserver: no leader");
}

ETCDCOLL_DECL void gateway_connection::state::read_messages() {
    auto& body = parser.body();
    std::string_view text = body;
    try {
        while (!deaf && !answered && !text.empty()) {
            const auto message = messages->next(text);
            if (!message) break;
            take(*message);
        }
    } catch (const refusal& why) {
        on_bad_message(why.what());
    }
    body.clear();
}

ETCDCOLL_DECL void gateway_connection::state::take(const json::value& message) {
    if (called->what == service::watch) {
        const auto request = read_watch_request(message);
        heard = true;
        watches->take(request);
    } else {
        const auto request = read_keep_alive(message);
        heard = true;
        renewals.push_back(request);
        keep_alive();
    }
}

// The first one refuses the call. After a later one nothing more is read, and nothing is said of it.
ETCDCOLL_DECL void gateway_connection::state::on_bad_message(std::string_view text) {
    deaf = true;
    if (heard) return;
    watches.reset();
    reply(http_status_of(unknown_code), error_text(unknown_code, text));
    if (!over && at == stage::body && duplex()) give_up();
}

// The body has ended. A watch goes on without it.
ETCDCOLL_DECL void gateway_connection::state::end_messages() {
    const bool broken = messages->cut_short() || parser.fault() != nullptr;
    if (broken && !deaf && !answered && !heard) {
        on_bad_message(parser.fault() != nullptr ? parser.fault()->text : "unexpected EOF");
        return;
    }
    deaf = true;
    if (!answered && called->what == service::keep_alive) keep_alive();
}

// One after the other, each when the one before it is answered.
ETCDCOLL_DECL void gateway_connection::state::keep_alive() {
    if (std::exchange(renewing, true)) return;
    while (!waiting && !answered && !renewals.empty()) {
        const auto request = renewals.front();
        renewals.pop_front();
        waiting = true;
        of.admit(std::make_shared<gateway_call>(shared_from_this(), of, *called, request));
    }
    renewing = false;
    if (!waiting && !answered && renewals.empty() && deaf) end_stream();
}

// ---- messages to the client -----------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void gateway_connection::state::append_chunk(std::string_view text) {
    auto& out = sink();
    append_digits(out, text.size(), 16);
    out.append("\r\n").append(text).append("\r\n");
}

// Its head goes out with the first message, not before.
ETCDCOLL_DECL void gateway_connection::state::begin_reply(int status) {
    if (std::exchange(begun, true)) return;
    auto& out = sink();
    out += "HTTP/1.1 ";
    append_digits(out, static_cast<std::size_t>(status));
    out.append(" ").append(reason_of(status)).append("\r\nContent-Type: application/json\r\n");
    if (closes) out += "Connection: close\r\n";
    out += "Transfer-Encoding: chunked\r\n\r\n";
}

ETCDCOLL_DECL void gateway_connection::state::send_message(std::string_view text) {
    begin_reply(200);
    if (text.size() <= largest_joined_line) {
        append_chunk(std::string(text) + '\n');
    } else {
        append_chunk(text);
        append_chunk("\n");
    }
    changed();
}

ETCDCOLL_DECL void gateway_connection::state::end_stream() {
    begin_reply(200);
    sink() += "0\r\n\r\n";
    answered = true;
    watches.reset();
    changed();
    if (at == stage::whole) {
        next_request();
    } else if (duplex()) {
        give_up();
    }
}

// etcd 3.4 and 3.5 end it without a newline.
ETCDCOLL_DECL void gateway_connection::state::fail_stream(int code, std::string_view text) {
    begin_reply(http_status_of(code));
    append_chunk(stream_error_text(code, text));
    end_stream();
}

// ---- what the store and the cluster bring ---------------------------------------------------------------------------------------

ETCDCOLL_DECL void gateway_connection::state::push() {
    if (watching()) within([this] { watches->push(); });
}

ETCDCOLL_DECL void gateway_connection::state::lose_leader() {
    if (!watching() || !parser.head().asks_for_leader) return;
    within([this] {
        fail_stream(unavailable, "etcdserver: no leader");
        if (!serving) serve_input();
    });
}

} // namespace etcdcoll::etcd::model
