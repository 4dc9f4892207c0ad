// Watch streams that no etcd sends: what cannot be right ends the stream, and the next one goes on without a loss; what is for nobody is dropped.
#include "support.hpp"

#include <etcdcoll/detail/base64.hpp>
#include <support/quick_environment.hpp>

#include <cstdint>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::revision;

namespace {

constexpr std::size_t smallest_limit = 64 * 1024;

std::string base64(const std::string& raw) {
    std::string text;
    detail::append_base64(text, raw);
    return text;
}

std::string chunk(const std::string& text) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return size + text + "\r\n";
}

const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string last_chunk = "0\r\n\r\n";

// One line of a stream, as a chunk. `at` is the store's revision in its header; 0: there is none.
std::string line(const std::string& rest, std::int64_t at = 1'000'000) {
    const auto revision = at != 0 ? R"(,"revision":")" + std::to_string(at) + "\"" : "";
    return chunk(R"({"result":{"header":{"cluster_id":"1","member_id":"2")" + revision + R"(,"raft_term":"2"},)" + rest + "}}\n");
}

const std::string created = line(R"("watch_id":"1","created":true)");

std::string put_event(const std::string& key, std::int64_t at) {
    return R"({"kv":{"key":")" + base64(key) + R"(","mod_revision":")" + std::to_string(at) + R"(","value":")" + base64("hostile") + "\"}}";
}

std::string events(const std::string& list, const std::string& rest = R"("watch_id":"1")") { return line(rest + R"(,"events":[)" + list + "]"); }

// Where a row of the table is at: the keys it may use, and revisions of which etcd holds nothing for them.
struct place {
    std::string p;
    std::int64_t base; ///< and two more behind it
};

struct hostile_stream {
    const char* name;
    std::string (*bytes)(const place&);
    std::string says;     ///< when the stream is opened again
    std::size_t taken = 0; ///< events of it that are delivered, "put <p>h=hostile" each
    std::uint64_t repeats = 0;
    after_reply then = after_reply::fin;
    const char* endless = "";
};

const std::string ended = "the stream ended; opening it again";
const std::string torn = "connection closed by the server (in the middle of the reply); opening it again";

std::vector<hostile_stream> streams() {
    using at = const place&;
    using enum after_reply;
    static const auto long_piece = chunk(std::string(8000, 'x'));
    return {
        {"an event before the watch was created", [](at w) { return head + events(put_event(w.p + "h", w.base)) + created + last_chunk; }, ended, 1},
        {"events of a revision that is over, in a message of their own",
         [](at w) { return head + created + events(put_event(w.p + "h", w.base + 1)) + events(put_event(w.p + "h", w.base)) + last_chunk; }, ended, 1, 1},
        {"the same revision twice",
         [](at w) { return head + created + events(put_event(w.p + "h", w.base + 1)) + events(put_event(w.p + "h", w.base + 1)) + last_chunk; }, ended, 1, 1},
        {"an event without a key and a value", [](at) { return head + created + events(R"({"type":"PUT"})"); }, "an event without a key; opening"},
        {"an event that is none", [](at) { return head + created + events("7"); }, "a list holds what is not an object; opening"},
        {"an event without a revision", [](at) { return head + created + events(R"({"kv":{"key":"aw=="}})"); }, "an event without a revision; opening"},
        {"an event of a negative revision", [](at w) { return head + created + events(put_event(w.p + "h", -5)); }, "mod_revision is not a revision; opening"},
        {"an event of the last revision that there is", [](at w) { return head + created + events(put_event(w.p + "h", INT64_MAX)); }, "mod_revision is not a revision; opening"},
        {"an event of a kind that there is not", [](at) { return head + created + events(R"({"type":"TWIST","kv":{"key":"aw==","mod_revision":"6"}})"); }, "an event of an unknown kind; opening"},
        {"events without the revision of the store", [](at w) { return head + created + line(R"("watch_id":"1","events":[)" + put_event(w.p + "h", w.base) + "]", 0); }, "header.revision is missing; opening"},
        {"events that are no list", [](at) { return head + created + line(R"("watch_id":"1","events":{})"); }, "events is not a list; opening"},
        {"events for an unknown watch", [](at w) { return head + created + events(put_event(w.p + "h", w.base), R"("watch_id":"77")") + last_chunk; }, ended},
        {"events for watch 0", [](at w) { return head + created + events(put_event(w.p + "h", w.base), R"("canceled":false)") + last_chunk; }, ended},
        {"the creation of a watch that nobody asked for", [](at) { return head + line(R"("watch_id":"99","created":true)") + last_chunk; }, ended},
        {"the creation of the same watch, again and again", [](at) { return head + created + created + created + last_chunk; }, ended},
        {"the creation of a watch at no revision", [](at) { return head + line(R"("watch_id":"1","created":true)", 0); }, "header.revision is missing; opening"},
        {"the end of a watch that nobody asked for", [](at) { return head + created + line(R"("watch_id":"99","canceled":true)") + last_chunk; }, ended},
        {"the end of watch -1, when all are there", [](at) { return head + created + line(R"("watch_id":"-1","created":true,"canceled":true)") + last_chunk; }, ended},
        {"a watch's end at a negative revision", [](at) { return head + created + line(R"("watch_id":"1","canceled":true,"compact_revision":"-9")", 0); }, "compact_revision is not a revision; opening"},
        {"a watch's number in words", [](at) { return head + line(R"("watch_id":"one","created":true)"); }, "watch_id is not a number of its kind; opening"},
        {"an error with a newline", [](at) { return head + created + chunk(R"({"error":{"code":14,"message":"etcdserver: no leader"}})" "\n"); }, "etcdserver: no leader; opening"},
        {"an error without a newline", [](at) { return head + created + chunk(R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}})") + last_chunk; }, "etcdserver: no leader; opening"},
        {"an error of megabytes", [](at) { return head + chunk(R"({"error":{"code":14,"message":")" + std::string(60'000, 'a') + R"("}})" "\n"); }, "aaa...; opening"},
        {"an object that is neither result nor error", [](at) { return head + created + chunk("{}\n"); }, "neither a result nor an error; opening"},
        {"half a line, then an orderly end", [](at) { return head + created + chunk(R"({"result":{"header":)") + last_chunk; }, "not JSON: incomplete JSON; opening"},
        {"half a line, then a cut", [](at) { return head + created + chunk(R"({"result":{"header":)"); }, torn},
        {"half a line, then a reset", [](at) { return head + created + chunk(R"({"result":{"header":)"); }, "(in the middle of the reply); opening", 0, 0, rst},
        {"a line without end", [](at) { return head + created; }, "a message is larger than the limit; opening", 0, 0, keep_open, long_piece.c_str()},
        {"a line of another language", [](at) { return head + chunk("<html>\n"); }, "not JSON: syntax error; opening"},
        {"brackets without end", [](at) { return head + chunk(std::string(50'000, '[') + "\n"); }, "not JSON: too deep; opening"},
        {"broken UTF-8", [](at) { return head + line("\"watch_id\":\"1\",\"cancel_reason\":\"\xc3\x28\""); }, "not JSON: syntax error; opening"},
        {"a chunk that is none", [](at) { return head + created + "hello\r\n"; }, "bad chunk; opening"},
        {"a reply that is complete at once", [](at) { return std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); }, ended},
        {"204", [](at) { return std::string("HTTP/1.1 204 No Content\r\n\r\n"); }, "HTTP status 204; opening"},
        {"100 Continue without end", [](at) { return std::string(); }, "status 100; opening", 0, 0, keep_open, "HTTP/1.1 100 Continue\r\n\r\n"},
        {"early hints before the stream", [](at) { return "HTTP/1.1 103 Early Hints\r\n\r\n" + head + created + last_chunk; }, ended},
        {"101", [](at) { return std::string("HTTP/1.1 101 Switching Protocols\r\n\r\n"); }, "status 101; opening"},
        {"gzip", [](at) { return std::string("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x1f\x8b\x08\x01\r\n"); }, "Content-Encoding that nobody asked for; opening"},
        {"garbage", [](at) { return std::string("\xde\xad\xbe\xef\r\n\r\n"); }, "not a reply of etcd: bad version; opening"},
        {"a header without end", [](at) { return std::string("HTTP/1.1 200 OK\r\nX-Long: "); }, "header limit exceeded; opening", 0, 0, keep_open, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
        {"nothing", [](at) { return std::string(); }, "connection closed by the server (waiting for the reply); opening"},
    };
}

// Instead of a stream.
std::vector<hostile_stream> refusals() {
    using at = const place&;
    return {
        {"302", [](at) { return std::string("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 5\r\n\r\nmoved"); }, "moved; opening"},
        {"503 of an intermediary", [](at) { return std::string("HTTP/1.1 503 Busy\r\nContent-Length: 13\r\n\r\n<html></html>"); }, "<html></html>; opening"},
        {"500 of etcd", [](at) { return std::string("HTTP/1.1 500 No\r\nContent-Length: 34\r\n\r\n" R"({"code":2,"message":"malformed, "})" "\n"); }, "malformed, ; opening"},
    };
}

// Reads `n` events: "put key=value" of each.
asio::awaitable<std::vector<std::string>> next_events(etcd::watch* from, std::size_t n) {
    std::vector<std::string> seen;
    while (seen.size() < n) {
        const auto response = co_await from->next();
        for (const auto& e : response.events) seen.push_back("put " + e.kv.key + "=" + e.kv.value);
    }
    co_return seen;
}

// The first three of the four revisions at the end hold nothing of `p`, the last one is that of its first key.
asio::awaitable<place> prepare(client direct, std::string p) {
    for (int i = 0; i < 3; ++i) {
        const auto other = co_await direct.put("other" + p, "");
        CHECK(other.header.revision.value > 0);
    }
    const auto first = co_await direct.put(p + "0", "0");
    co_return place{p, first.header.revision.value - 3};
}

asio::awaitable<void> one_stream(std::string p, hostile_stream row, fault_rule rule, int hurry = 1) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client direct(executor, quiet(test_etcd().endpoint()));
    const auto where = co_await prepare(direct, p);
    rule.reply_with(row.bytes(where), row.then).then_endlessly(row.endless);
    const auto id = proxy.add(rule);

    std::string said;
    auto options = quiet(proxy.endpoint());
    options.reply_limit(smallest_limit).log(logger(log_level::info, [&said](log_level, std::string_view text) { said += text; }));
    if (hurry != 1) options.system(std::make_shared<quick_environment>(hurry));
    client c(executor, options);
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{where.base}));
    const auto seen = co_await next_events(&changes, row.taken + 1);
    std::vector<std::string> expected(row.taken, "put " + p + "h=hostile");
    expected.push_back("put " + p + "0=0");
    INFO(row.name << ": " << said);
    CHECK(seen == expected);
    CHECK(proxy.hits(id) == 1);
    CHECK(contains(said, "watch: http://" + proxy.endpoint() + ": "));
    CHECK(contains(said, row.says));
    CHECK(said.size() < 1000);
    CHECK(c.metrics().watch_streams == 2);
    CHECK(c.metrics().watch_repeats == row.repeats);
    CHECK(c.metrics().bytes_received < smallest_limit + 64 * 1024 + 256 * 1024 + 4096);

    // It is a watch like any other now, and other calls were never harmed.
    const auto put = co_await c.put(p + "1", "1");
    CHECK(put.header.revision.value > where.base);
    const auto next = co_await next_events(&changes, 1);
    CHECK(next == std::vector<std::string>{"put " + p + "1=1"});
}

asio::awaitable<void> lane_of(std::string p, const std::vector<hostile_stream>* rows, int lane, std::size_t split) {
    for (std::size_t i = static_cast<std::size_t>(lane); i < rows->size(); i += 8) {
        const auto& row = (*rows)[i];
        if (split != 0 && *row.endless != '\0') continue;
        fault_rule rule("/v3/watch");
        rule.split_response(split);
        const auto own = p + std::to_string(i) + "/";
        co_await one_stream(own, row, rule);
    }
}

void meet(const std::vector<hostile_stream>& rows, std::size_t split) {
    const auto p = unique_prefix();
    const auto lane = [&](int number) { return lane_of(p, &rows, number, split); };
    run_ranks(8, lane, 60s);
}

// ---- what ends a watch ----------------------------------------------------------------------------------------------------------

asio::awaitable<void> ends_with(std::string p, std::string bytes, errc reason, std::string says) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    proxy.add(fault_rule("/v3/watch").reply_with(bytes));
    client c(executor, quiet(proxy.endpoint()));
    auto changes = c.watch(etcd::watch_request(etcd::prefix(p), revision{7}));
    auto waiting = changes.next();
    const auto end = co_await ending_of(std::move(waiting));
    INFO(end.what);
    CHECK(end.reason == reason);
    CHECK(end.what.starts_with("watch"));
    CHECK(contains(end.what, says));
    CHECK(end.what.size() < 1000);
    // The client is as good as new.
    auto again = c.watch(etcd::prefix(p));
    const auto warm = co_await c.put("other" + p, "");
    auto other = c.watch(etcd::watch_request(etcd::prefix("other" + p), warm.header.revision));
    const auto there = co_await next_events(&other, 1); // the watch before it is there, too
    CHECK(there.size() == 1);
    const auto put = co_await c.put(p + "1", "1");
    CHECK(put.header.revision.value > 0);
    const auto next = co_await next_events(&again, 1);
    CHECK(next == std::vector<std::string>{"put " + p + "1=1"});
}

asio::awaitable<void> refused_in_pieces(std::string reply, errc reason, std::size_t split) {
    const auto executor = co_await asio::this_coro::executor;
    fault_proxy proxy;
    proxy.add(fault_rule("/v3/watch").times(fault_rule::always).reply_with(reply).split_response(split, 300ms));
    client c(executor, quiet(proxy.endpoint()));
    auto changes = c.watch("k");
    auto waiting = changes.next();
    const auto end = co_await ending_of(std::move(waiting));
    CHECK(end.reason == reason);
}

} // namespace

TEST_CASE("hostile streams: what cannot be right ends the stream, the next one goes on, and what is for nobody is dropped") { meet(streams(), 0); }
TEST_CASE("hostile streams: the same, byte by byte") { meet(streams(), 1); }
TEST_CASE("hostile streams: a refusal in place of the stream is told, and asked again") { meet(refusals(), 0); }

TEST_CASE("hostile streams: silence is found by the probe, from the first byte on and in the middle of a line") {
    const hostile_stream silence{"half a line, then silence", [](const place&) { return head + created + chunk(R"({"result":{"header":)"); },
                                 "connection closed while in the middle of the reply; opening it again", 0, 0, after_reply::keep_open};
    const hostile_stream mute{"no byte at all", [](const place&) { return std::string(); }, "a proxy in between seems to hold open requests back", 0, 0, after_reply::keep_open};
    const auto begin = std::chrono::steady_clock::now();
    run(one_stream(unique_prefix(), silence, fault_rule("/v3/watch"), 4));
    run(one_stream(unique_prefix(), mute, fault_rule("/v3/watch"), 4));
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("hostile streams: a port that speaks something else ends its watches, and says what") {
    run(ends_with(unique_prefix(), std::string("\0\0\x12\x04\0\0\0\0\0", 9), errc::bad_reply, "this port speaks HTTP/2 only"));
    run(ends_with(unique_prefix(), std::string("\x15\x03\x01\0\x02\x02\x46", 7), errc::bad_reply, "this port speaks TLS"));
}

TEST_CASE("hostile streams: the end of a watch is told, with or without a reason") {
    run(ends_with(unique_prefix(), head + line(R"("watch_id":"1","canceled":true)"), errc::refused, "cancelled by the server"));
    run(ends_with(unique_prefix(), head + line(R"("watch_id":"1","created":true,"canceled":true,"cancel_reason":"because")"), errc::refused, "because"));
    run(ends_with(unique_prefix(), head + line(R"("watch_id":"-1","created":true,"canceled":true,"cancel_reason":")" + std::string(50'000, 'y') + "\""), errc::refused, "yyy..."));
    run(ends_with(unique_prefix(), head + line(R"("watch_id":"1","canceled":true,"compact_revision":"9")", 0), errc::compacted, "history begins at 9"));
    run(ends_with(unique_prefix(), "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nNot Found\n", errc::unsupported, "Not Found"));
}

TEST_CASE("hostile streams: an error that comes in pieces is read to its end before it is judged") {
    const std::string body = R"({"error":"no","code":7,"message":"permission denied"})";
    const auto reply = "HTTP/1.1 403 Forbidden\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    run(refused_in_pieces(reply, errc::permission_denied, reply.size() - body.size() + 10), 2s);
}
TEST_CASE("hostile streams: an error without a body is an error all the same") {
    run(refused_in_pieces("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", errc::unsupported, 0), 2s);
}
TEST_CASE("hostile streams: no event is out of order, within one message neither") {
    const hostile_stream backwards{"backwards", [](const place& w) { return head + created + events(put_event(w.p + "h", w.base + 1) + "," + put_event(w.p + "x", w.base)) + last_chunk; },
                                   ended, 1, 1};
    run(one_stream(unique_prefix(), backwards, fault_rule("/v3/watch")));
}
TEST_CASE("hostile streams: an event of a key that is not watched ends the stream") {
    const hostile_stream foreign{"foreign", [](const place& w) { return head + created + events(put_event("somewhere else", w.base)) + last_chunk; }, "a key that was not asked for; opening"};
    run(one_stream(unique_prefix(), foreign, fault_rule("/v3/watch")));
}
TEST_CASE("hostile streams: fragments without end are a message larger than the limit") {
    const hostile_stream fragments{"fragments",
                                   [](const place& w) {
                                       std::string text = head + created;
                                       for (int i = 0; i < 500; ++i) text += events(put_event(w.p + std::string(1000, 'h'), w.base), R"("watch_id":"1","fragment":true)");
                                       return text + last_chunk;
                                   },
                                   "a message is larger than the limit; opening"};
    run(one_stream(unique_prefix(), fragments, fault_rule("/v3/watch")));
}
