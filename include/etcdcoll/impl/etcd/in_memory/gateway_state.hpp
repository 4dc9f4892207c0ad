#pragma once
// What gateway_connection keeps: the request that is being read or answered, and what is still to be sent.

#include <etcdcoll/impl/etcd/in_memory/gateway.hpp>
#include <etcdcoll/impl/etcd/in_memory/gateway_call.hpp>
#include <etcdcoll/impl/etcd/in_memory/json_text.hpp>
#include <etcdcoll/impl/etcd/in_memory/request_parser.hpp>
#include <etcdcoll/impl/etcd/in_memory/watch_service.hpp>

#include <charconv>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

inline constexpr int unavailable = 14;

inline void append_digits(std::string& text, std::size_t value, int base = 10) {
    char digits[24];
    const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, value, base);
    static_cast<void>(failure);
    text.append(digits, end);
}

struct gateway_connection::state final : public answer_sink, public std::enable_shared_from_this<state> {
    state(member& of_, gateway_connection& owner_) : of(of_), owner(&owner_) {}

    void receive(std::string_view bytes);
    void receive_end();
    void answer(int code, std::string text) override;
    void push();
    void lose_leader();
    void leave();
    bool watching() const noexcept { return watches.has_value() && !answered; }

    std::string output;
    bool over = false;

private:
    // Reading the head, reading the body, or the whole of it has come and is not answered yet.
    enum class stage { head, body, whole };

    template <class Work> void within(Work work);
    void changed() noexcept { news = true; }

    // Reading.
    void serve(std::string_view& bytes);
    void serve_input();
    void on_head();
    void on_whole();
    void on_fault(const request_fault& fault);
    void next_request();
    void give_up();

    // Unary calls.
    void on_unary();
    void on_other_method();
    void reply(int status, std::string_view text, std::string_view type = "application/json");
    void refuse(int code, std::string_view text) { reply(http_status_of(code), error_text(code, text)); }

    // Streams.
    bool streams() const noexcept { return called != nullptr && (called->what == service::watch || called->what == service::keep_alive); }
    bool posted_stream() const noexcept { return streams() && parser.head().method == "POST"; }
    void begin_stream();
    void read_messages();
    void take(const json::value& message);
    void on_bad_message(std::string_view text);
    void end_messages();
    void keep_alive();
    void begin_reply(int status);
    void send_message(std::string_view text);
    void append_chunk(std::string_view text);
    void end_stream();
    void fail_stream(int code, std::string_view text);

    // Go's server reads a body to its end before it sends the first byte of an answer, unless the connection is to be closed behind it.
    bool duplex() const noexcept { return parser.head().close || parser.head().awaits_continue; }
    std::string& sink() noexcept { return at == stage::whole || duplex() ? output : held; }

    member& of;
    gateway_connection* owner; // none when it is gone: what is executed then is not answered
    request_parser parser;
    std::string input; // behind a request that is not answered yet, from `taken` on
    std::size_t taken = 0;
    std::string held; // of an answer that waits for the end of the body
    stage at = stage::head;
    const route* called = nullptr;
    bool closes = false;   // behind this answer
    bool waiting = false;  // for a call's answer
    bool answered = false; // completely
    bool serving = false;
    bool news = false;
    int depth = 0;

    // Of a stream.
    std::optional<message_reader> messages;
    bool heard = false; // a message
    bool deaf = false;  // no message is read any more
    bool begun = false; // the head of the answer is written
    bool renewing = false;
    std::deque<lease_keep_alive_request> renewals; // not executed yet
    std::optional<watch_service> watches;
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/gateway_streams.ipp>
#endif
