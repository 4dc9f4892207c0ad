#pragma once

#include <etcdcoll/impl/etcd/in_memory/gateway.hpp>
#include <etcdcoll/impl/etcd/in_memory/gateway_state.hpp>
#include <etcdcoll/impl/etcd/in_memory/reply_encoder.hpp>

#include <utility>

namespace etcdcoll::etcd::model {

inline constexpr int unimplemented = 12;
inline constexpr std::size_t largest_plain_reply = 2048; // a longer one goes out in chunks, as Go's server does it

// ---- reading --------------------------------------------------------------------------------------------------------------------

// The owner may be destroyed by what it is told, so that comes last.
template <class Work> void gateway_connection::state::within(Work work) {
    const auto alive = shared_from_this();
    struct level {
        int& depth;
        explicit level(int& of) : depth(++of) {}
        ~level() { --depth; }
    };
    {
        const level inner(depth);
        work();
    }
    if (depth != 0 || !std::exchange(news, false) || owner == nullptr || !owner->on_output) return;
    const auto tell = owner->on_output;
    tell();
}

ETCDCOLL_DECL void gateway_connection::state::receive(std::string_view bytes) {
    if (over) return;
    within([&] {
        if (serving || !input.empty()) {
            input.append(bytes);
            if (!serving) serve_input();
            return;
        }
        serving = true;
        serve(bytes);
        serving = false;
        if (!over) input.insert(0, bytes);
    });
}

ETCDCOLL_DECL void gateway_connection::state::serve_input() {
    auto text = std::exchange(input, {});
    auto rest = std::string_view(text).substr(std::exchange(taken, 0));
    if (rest.empty()) return;
    serving = true;
    serve(rest);
    serving = false;
    if (over) return;
    taken = text.size() - rest.size();
    if (rest.empty()) {
        taken = 0;
    } else {
        text += input;
        input = std::move(text);
    }
}

ETCDCOLL_DECL void gateway_connection::state::serve(std::string_view& bytes) {
    while (!over && at != stage::whole && !bytes.empty()) {
        bytes.remove_prefix(parser.feed(bytes));
        if (at == stage::head && parser.head_done()) on_head();
        if (messages) read_messages();
        if (over) break;
        if (const auto* fault = parser.fault()) {
            on_fault(*fault);
        } else if (parser.done()) {
            on_whole();
        }
    }
}

ETCDCOLL_DECL void gateway_connection::state::on_head() {
    const auto& head = parser.head();
    auto path = std::string_view(head.path);
    std::string renamed;
    if (path.starts_with("/v3beta/")) path = renamed = "/v3" + std::string(path.substr(7));
    called = find_route(path);
    closes = head.close || (head.awaits_continue && posted_stream());
    at = stage::body;
    if (head.awaits_continue) {
        output += "HTTP/1.1 100 Continue\r\n\r\n";
        changed();
    }
    if (posted_stream()) begin_stream();
}

ETCDCOLL_DECL void gateway_connection::state::on_whole() {
    at = stage::whole;
    if (!held.empty()) {
        output += held;
        held.clear();
        changed();
    }
    if (messages) {
        end_messages();
        if (answered) next_request();
    } else {
        on_unary();
    }
}

ETCDCOLL_DECL void gateway_connection::state::on_fault(const request_fault& fault) {
    if (fault.in_body && messages) {
        closes = true;
        on_whole();
        return;
    }
    closes = true;
    at = stage::whole;
    if (fault.in_body) {
        const auto code = fault.status == 429 ? 8 : invalid_argument;
        refuse(code, fault.text);
    } else if (fault.status != 0) {
        reply(fault.status, fault.text, "text/plain; charset=utf-8");
    }
    give_up();
}

ETCDCOLL_DECL void gateway_connection::state::give_up() {
    over = true;
    input.clear();
    held.clear();
    watches.reset();
    changed();
}

ETCDCOLL_DECL void gateway_connection::state::next_request() {
    if (closes) {
        give_up();
        return;
    }
    parser.next();
    at = stage::head;
    called = nullptr;
    waiting = answered = heard = deaf = begun = false;
    messages.reset();
    watches.reset();
    renewals.clear();
}

ETCDCOLL_DECL void gateway_connection::state::receive_end() {
    if (over) return;
    within([this] {
        closes = true;
        if (watching()) fail_stream(1, "context canceled");
        if (!over) give_up();
    });
}

ETCDCOLL_DECL void gateway_connection::state::leave() {
    owner = nullptr;
    give_up();
}

// ---- unary calls ----------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL void gateway_connection::state::on_unary() {
    const auto& head = parser.head();
    if (head.method != "POST" || called == nullptr) {
        on_other_method();
        return;
    }
    if (called->what == service::absent) {
        refuse(unimplemented, "etcdserver: the in-memory etcd has no " + std::string(called->path));
    } else if (head.asks_for_leader && of.leader() == 0) {
        refuse(unavailable, "etcdserver: no leader");
    } else {
        std::shared_ptr<gateway_call> call;
        try {
            auto request = decode_call(called->what, parser.body(), of.message_limit());
            call = std::make_shared<gateway_call>(shared_from_this(), of, *called, std::move(request));
        } catch (const refusal& why) {
            refuse(why.code(), why.what());
            return;
        }
        waiting = true;
        of.admit(std::move(call));
    }
}

ETCDCOLL_DECL void gateway_connection::state::on_other_method() {
    constexpr std::string_view plain = "text/plain; charset=utf-8";
    const auto& head = parser.head();
    const bool version = head.path == "/version";
    const bool health = head.path == "/health";
    if (called == nullptr && !version && !health) {
        reply(404, head.path.starts_with("/v3/") ? "Not Found\n" : "404 page not found\n", plain);
    } else if (called != nullptr && head.method == "OPTIONS") {
        reply(200, {}, {});
    } else if (called != nullptr || head.method != "GET") {
        reply(405, "Method Not Allowed\n", plain);
    } else if (version) {
        const auto number = of.version();
        const auto series = number.substr(0, number.find('.', number.find('.') + 1)) + ".0";
        reply(200, "{\"etcdserver\":\"" + number + "\",\"etcdcluster\":\"" + series + "\"}");
    } else {
        const bool led = of.leader() != 0;
        reply(led ? 200 : 503, led ? R"({"health":"true","reason":""})" : R"({"health":"false","reason":"RAFT NO LEADER"})", plain);
    }
}

ETCDCOLL_DECL void gateway_connection::state::answer(int code, std::string text) {
    if (over) return; // nobody hears it
    within([&] {
        waiting = false;
        if (!messages) {
            if (code == 0) {
                reply(200, text);
            } else {
                refuse(code, text);
            }
        } else if (code == 0) {
            send_message("{\"result\":" + text + "}");
            keep_alive();
        } else {
            fail_stream(code, text);
        }
        if (!serving) serve_input();
    });
}

// The whole answer of the present request.
ETCDCOLL_DECL void gateway_connection::state::reply(int status, std::string_view text, std::string_view type) {
    auto& out = sink();
    out += "HTTP/1.1 ";
    append_digits(out, static_cast<std::size_t>(status));
    out.append(" ").append(reason_of(status)).append("\r\n");
    if (!type.empty()) out.append("Content-Type: ").append(type).append("\r\n");
    if (closes) out += "Connection: close\r\n";
    if (text.size() > largest_plain_reply) {
        out += "Transfer-Encoding: chunked\r\n\r\n";
        append_chunk(text);
        out += "0\r\n\r\n";
    } else {
        out += "Content-Length: ";
        append_digits(out, text.size());
        out += "\r\n\r\n";
        if (parser.head().method != "HEAD") out += text;
    }
    answered = true;
    changed();
    if (at == stage::whole && parser.fault() == nullptr) next_request();
}

// ---- the connection -------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL gateway_connection::gateway_connection(member& of) : state_(std::make_shared<state>(of, *this)) {}
ETCDCOLL_DECL gateway_connection::~gateway_connection() { state_->leave(); }
ETCDCOLL_DECL void gateway_connection::receive(std::string_view bytes) { state_->receive(bytes); }
ETCDCOLL_DECL void gateway_connection::receive_end() { state_->receive_end(); }
ETCDCOLL_DECL std::string gateway_connection::take_output() { return std::exchange(state_->output, {}); }
ETCDCOLL_DECL bool gateway_connection::finished() const noexcept { return state_->over; }
ETCDCOLL_DECL void gateway_connection::push() { state_->push(); }
ETCDCOLL_DECL void gateway_connection::lose_leader() { state_->lose_leader(); }
ETCDCOLL_DECL bool gateway_connection::watches() const noexcept { return state_->watching(); }

} // namespace etcdcoll::etcd::model
