// Replies that no etcd sends: each is told by its name, costs neither the deadline nor more memory than the limit, and leaves the client usable.
#include "support.hpp"

#include <functional>
#include <vector>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

constexpr std::size_t smallest_limit = 64 * 1024;
// What a client reads of one reply at most: a header, a body, and the buffer that was being filled when one of them was too long.
constexpr std::uint64_t most_read(std::size_t limit) { return limit + 64 * 1024 + 256 * 1024; }

// Without jitter the attempts of a call begin 2.5, 7.5, 17.5, ... 317.5 and 567.5 ms after the first: none of them begins just before a deadline of 500 ms.
class no_jitter final : public environment {
public:
    time_point now() const noexcept override { return inner_->now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return inner_->wall_clock(); }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override { return inner_->make_timer(executor); }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override { return inner_->make_stream(executor); }
    std::uint64_t random() noexcept override { return 0; }

private:
    std::shared_ptr<environment> inner_ = environment::system();
};

struct hostile {
    std::string name;
    std::string reply;
    errc reason; ///< where it is all that ever comes
    std::string says;
    after_reply then = after_reply::keep_open;
    std::string endless = {};
    std::string only = {}; ///< the path of the call that it is for; empty: all
};

fault_rule sends(const hostile& row, const std::string& path) {
    fault_rule rule(path);
    rule.reply_with(row.reply, row.then).then_endlessly(row.endless);
    return rule;
}

const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

std::string sized(const std::string& body, const std::string& first_line = "HTTP/1.1 200 OK") {
    return first_line + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string page(const std::string& status) { return sized("<html><h1>An intermediary</h1></html>", "HTTP/1.1 " + status); }

std::string revision_of(const std::string& number) { return sized(R"({"header":{"cluster_id":"1","revision":)" + number + R"(,"raft_term":"2"}})"); }

std::string repeated(std::string_view piece, std::size_t count) {
    std::string text;
    text.reserve(piece.size() * count);
    for (std::size_t i = 0; i < count; ++i) text += piece;
    return text;
}

// What is wrong before anybody looks at the body.
std::vector<hostile> broken_http() {
    using enum after_reply;
    const auto bad = errc::bad_reply;
    const auto lost = errc::connection_failed;
    const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
    return {
        {"nothing at all", "", lost, "connection closed by the server (waiting for the reply)", fin},
        {"nothing but a reset", "", lost, "(waiting for the reply)", rst},
        {"garbage", "\xde\xad\xbe\xef\x01\x02\x03 and some words\r\n\r\n", bad, "not a reply of etcd: "},
        {"another protocol's greeting", "SSH-2.0-OpenSSH_9.2p1\r\n", bad, "not a reply of etcd: bad version"},
        {"HTTP/0.9: a page without a status line", "<html>hello</html>\r\n", bad, "not a reply of etcd: bad version", fin},
        {"a status line without a version", "200 OK\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: bad version"},
        {"HTTP/2.0 in the status line", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: bad version"},
        {"a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: bad status"},
        {"a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: "},
        {"a status below 100", "HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}", bad, "status 99"},
        {"HTTP/2 frames", std::string("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\x10\x01\x40", 27), bad, "this port speaks HTTP/2 only"},
        {"a TLS alert", std::string("\x15\x03\x01\0\x02\x02\x46", 7), bad, "this port speaks TLS"},
        {"101 Switching Protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", bad, "status 101"},
        {"100 Continue without end", "", bad, "status 100", keep_open, repeated("HTTP/1.1 100 Continue\r\n\r\n", 5)},
        {"a reason without end", "HTTP/1.1 200 ", bad, "not a reply of etcd: header limit exceeded", keep_open, std::string(4096, 'O')},
        {"a header line without end", "HTTP/1.1 200 OK\r\nX-Long: ", bad, "not a reply of etcd: header limit exceeded", keep_open, std::string(4096, 'x')},
        {"header lines without end", "HTTP/1.1 200 OK\r\n", bad, "not a reply of etcd: header limit exceeded", keep_open, repeated("X-More: and more\r\n", 200)},
        {"a header of more than 64 KiB", head + "X-Long: " + std::string(70'000, 'x') + "\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: header limit exceeded"},
        {"a header that is none", "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: bad field"},
        {"a zero byte in the header", "HTTP/1.1 200 OK\r\nX: a" + std::string(1, '\0') + "b\r\nContent-Length: 2\r\n\r\n{}", bad, "not a reply of etcd: bad value"},
        {"half a header", head + "Content-Le", lost, "connection closed by the server (in the middle of the reply)", fin},
        {"chunks without end", chunked, errc::too_large, "the reply is larger than client_options::reply_limit", keep_open, repeated("8\r\n[1,2,3,4\r\n", 400)},
        {"a chunk size that overflows", chunked + "ffffffffffffffffff\r\n{}", bad, "not a reply of etcd: bad chunk"},
        {"a chunk of 2^64 - 1 bytes", chunked + "ffffffffffffffff\r\n{}", errc::too_large, "the reply is larger than client_options::reply_limit"},
        {"a negative chunk size", chunked + "-2\r\n{}\r\n0\r\n\r\n", bad, "not a reply of etcd: bad chunk"},
        {"a chunk longer than it says", chunked + "2\r\n{}}\r\n0\r\n\r\n", bad, "not a reply of etcd: bad chunk"},
        {"a chunk extension without end", chunked + "2;", bad, "not a reply of etcd: a line without an end", keep_open, std::string(4096, 'x')},
        {"a trailer without end", chunked + "2\r\n{}\r\n0\r\nX-Long: ", bad, "not a reply of etcd: a line without an end", keep_open, std::string(4096, 'x')},
        {"chunks without the last one", chunked + "2\r\n{}\r\n", lost, "connection closed by the server (in the middle of the reply)", fin},
        {"a negative length", head + "Content-Length: -1\r\n\r\n{}", bad, "not a reply of etcd: bad Content-Length"},
        {"a length of 2^63", head + "Content-Length: 9223372036854775808\r\n\r\n{}", errc::too_large, "the reply is larger than client_options::reply_limit"},
        {"a length beyond 2^64", head + "Content-Length: 18446744073709551617\r\n\r\n{}", bad, "not a reply of etcd: bad Content-Length"},
        {"a length in words", head + "Content-Length: two\r\n\r\n{}", bad, "not a reply of etcd: bad Content-Length"},
        {"two lengths that differ", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", bad, "not a reply of etcd: multiple Content-Length"},
        {"a length and chunks", head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", bad, "not a reply of etcd: "},
        {"a body shorter than its length", head + "Content-Length: 100\r\n\r\n{}", lost, "connection closed by the server (in the middle of the reply)", fin},
        {"a body longer than its length", head + "Content-Length: 2\r\n\r\n{}{}", bad, "is missing"},
        {"a body larger than the limit", sized(std::string(smallest_limit + 1, ' ')), errc::too_large, "the reply is larger than client_options::reply_limit"},
        {"a body without a length", head + "\r\n{}", bad, "the reply does not say how long it is", fin},
        {"a body without a length or an end", head + "\r\n", errc::too_large, "the reply is larger than client_options::reply_limit", keep_open, std::string(4096, ' ')},
        {"gzip", head + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01", bad, "the reply has a Content-Encoding that nobody asked for"},
        {"a transfer coding that nobody asked for", head + "Transfer-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x01", bad, "", fin},
    };
}

// Whole replies of someone who is not etcd, or not the etcd that is called.
std::vector<hostile> broken_words() {
    const auto bad = errc::bad_reply;
    const std::string json = "not a reply of etcd: not JSON: ";
    return {
        {"204 without a body", "HTTP/1.1 204 No Content\r\n\r\n", bad, "HTTP status 204"},
        {"302 to a login page", "HTTP/1.1 302 Found\r\nLocation: http://example.org/login\r\nContent-Length: 0\r\n\r\n", bad, "HTTP status 302"},
        {"a page in place of a reply", sized("<html><form>login</form></html>"), bad, json},
        {"400 of an intermediary", page("400 Bad Request"), bad, "<html><h1>An intermediary"},
        {"502 of an intermediary", page("502 Bad Gateway"), errc::unavailable, "<html><h1>An intermediary"},
        {"503 of an intermediary", page("503 Service Unavailable"), errc::unavailable, "<html><h1>An intermediary"},
        {"504 of an intermediary", page("504 Gateway Timeout"), errc::unavailable, "<html><h1>An intermediary"},
        {"an error under the status of a success", sized(R"({"error":"etcdserver: no","code":14,"message":"etcdserver: no"})"), bad, "is missing"},
        {"an empty body", sized(""), bad, json + "incomplete JSON"},
        {"an empty object", sized("{}"), bad, "not a reply of etcd: "},
        {"null", sized("null"), bad, "not a reply of etcd: not a JSON object"},
        {"a list", sized("[]"), bad, "not a reply of etcd: not a JSON object"},
        {"half an object", sized(R"({"header":{"revision":"6")"), bad, json + "incomplete JSON"},
        {"two objects", sized(R"({"header":{"revision":"6"}}{"header":{"revision":"6"}})"), bad, json + "extra data"},
        {"no revision", sized(R"({"header":{"cluster_id":"1","raft_term":"2"}})"), bad, "not a reply of etcd: "},
        {"no header", sized(R"({"kvs":[],"count":"0","succeeded":true,"ID":"7","TTL":"60","result":{}})"), bad, "not a reply of etcd: "},
        {"a header that is a list", sized(R"({"header":[],"result":[]})"), bad, "not a reply of etcd: "},
        {"a zero byte in the JSON", sized(R"({"header":{"revision":"6"},"x":")" + std::string(1, '\0') + "\"}"), bad, json},
        {"broken UTF-8", sized("{\"header\":{\"revision\":\"6\"},\"x\":\"\xc3\x28\"}"), bad, json + "syntax error"},
        {"UTF-8 that ends too early", sized("{\"header\":{\"revision\":\"6\"},\"x\":\"\xe2\x82\"}"), bad, json + "syntax error"},
        {"half a surrogate pair", sized(R"({"header":{"revision":"6"},"x":"\ud800"})"), bad, json},
        {"a header twice, the second one empty", sized(R"({"header":{"revision":"6"},"header":{}})"), bad, "is missing"},
        {"a list of numbers as long as the limit", sized("[" + repeated("1,", 32'000) + "1]"), bad, "not a reply of etcd: not a JSON object"},
        {"brackets as deep as the limit", sized(std::string(60'000, '[')), bad, json + "too deep"},
    };
}

// Revisions that are none.
std::vector<hostile> broken_revisions() {
    const auto bad = errc::bad_reply;
    const auto row = [bad](const std::string& number) { return hostile{"the revision " + number, revision_of(number), bad, "not a reply of etcd: "}; };
    return {row("1.5"), row("6.0"), row("-6"), row("\"-6\""), row("\"abc\""), row("\"\""), row("\"6 \""), row("9223372036854775808"),
            row("\"9223372036854775808\""), row("\"9223372036854775807\""), row("true"), row("[6]"), row("{}"), row("0"), row("null")};
}

// Fields of the wrong kind, each in the reply of its own call.
std::vector<hostile> broken_fields() {
    std::vector<hostile> rows;
    const auto add = [&rows](const char* path, const std::string& field, const std::string& says) {
        auto text = R"("header":{"cluster_id":"1","member_id":"2","revision":"6","raft_term":"2"},)" + field;
        text = std::string(path) == "/v3/lease/keepalive" ? R"({"result":{)" + text + "}}" : "{" + text + "}";
        rows.push_back({field, sized(text), errc::bad_reply, "not a reply of etcd: " + says, after_reply::keep_open, {}, path});
    };
    const auto* range = "/v3/kv/range";
    add(range, R"("kvs":{})", "kvs is not a list");
    add(range, R"("kvs":"YQ==")", "kvs is not a list");
    add(range, R"("kvs":[1])", "a list holds what is not an object");
    add(range, R"("kvs":[[]])", "a list holds what is not an object");
    add(range, R"("kvs":[{"key":1}])", "key is not a string");
    add(range, R"("kvs":[{"key":"YWI"}])", "key is not base64");
    add(range, R"("kvs":[{"key":"Y*=="}])", "key is not base64");
    add(range, R"("kvs":[{"key":"YQ==YQ=="}])", "key is not base64");
    add(range, R"("kvs":[{"key":"Y==="}])", "key is not base64");
    add(range, R"("kvs":[{"key":"===="}])", "key is not base64");
    add(range, R"("kvs":[{"key":"_-8="}])", "key is not base64");
    add(range, R"("kvs":[{"key":"YQ=\n"}])", "key is not base64");
    add(range, R"("kvs":[{"key":"YQ==","value":"\u00e9=="}])", "value is not base64");
    add(range, R"("kvs":[{"mod_revision":"-1"}])", "mod_revision is not a revision");
    add(range, R"("kvs":[{"version":1e99999}])", "version is not a number of its kind");
    add(range, R"("kvs":[{"lease":18446744073709551615}])", "lease is not a number of its kind");
    add(range, R"("count":0.5)", "count is not a number of its kind");
    add(range, R"("more":"true")", "more is not true or false");
    add("/v3/kv/put", R"("prev_kv":[])", "prev_kv is not an object");
    add("/v3/kv/put", R"("prev_kv":{"value":"A"})", "value is not base64");
    add("/v3/kv/deleterange", R"("deleted":"many")", "deleted is not a number of its kind");
    add("/v3/kv/deleterange", R"("prev_kvs":{"key":"YQ=="})", "prev_kvs is not a list");
    const auto* txn = "/v3/kv/txn";
    add(txn, R"("succeeded":"true")", "succeeded is not true or false");
    add(txn, R"("responses":{"response_put":{}})", "responses is not a list");
    add(txn, R"("responses":["response_put"])", "a list holds what is not an object");
    add(txn, R"("responses":[{}])", "an unknown kind of response in a transaction");
    add(txn, R"("responses":[{"response_dance":{}}])", "an unknown kind of response in a transaction");
    add(txn, R"("responses":[{"response_range":[]}])", "response_range is not an object");
    add(txn, R"("responses":)" + repeated(R"([{"response_txn":{"responses":)", 100) + "[]" + repeated("}}]", 100), "not JSON: too deep");
    add("/v3/lease/grant", R"("ID":{},"TTL":"60")", "ID is not a number of its kind");
    add("/v3/lease/grant", R"("ID":"7","TTL":"9000000001")", "TTL is not a time to live");
    add("/v3/lease/keepalive", R"("ID":"7","TTL":"-9223372036854775808")", "TTL is not a time to live");
    add("/v3/lease/keepalive", R"("ID":"7","TTL":"1 minute")", "TTL is not a number of its kind");
    add("/v3/lease/timetolive", R"("ID":"7","TTL":"60","grantedTTL":"9223372036854775807")", "grantedTTL is not a time to live");
    add("/v3/lease/timetolive", R"("ID":"7","TTL":"60","keys":["YQ==","YQ"])", "keys is not base64");
    add("/v3/lease/timetolive", R"("ID":"7","TTL":"60","keys":[{"key":"YQ=="}])", "keys is not a string");
    return rows;
}

// Good replies to another request than the one that was made.
std::vector<hostile> other_replies() {
    std::vector<hostile> rows;
    const auto add = [&rows](const char* path, const std::string& field, const std::string& says) {
        auto text = R"("header":{"cluster_id":"1","member_id":"2","revision":"6","raft_term":"2"})" + field;
        text = std::string(path) == "/v3/lease/keepalive" ? R"({"result":{)" + text + "}}" : "{" + text + "}";
        rows.push_back({field, sized(text), errc::bad_reply, "not a reply of etcd: " + says, after_reply::keep_open, {}, path});
    };
    const std::string other = R"({"key":"b3RoZXI=","mod_revision":"5"})";
    add("/v3/kv/range", R"(,"kvs":[)" + other + R"(],"count":"1")", "a key that was not asked for");
    add("/v3/kv/range", R"(,"kvs":[{"mod_revision":"5"}],"count":"1")", "a key that was not asked for");
    const auto* txn = "/v3/kv/txn";
    for (const auto* ran : {R"(,"succeeded":true)", ""}) {
        const auto with = [&](const std::string& list) { return ran + (R"(,"responses":[)" + list + "]"); };
        if (*ran != '\0') add(txn, ran, "0 responses to 1 operations");
        if (*ran != '\0') add(txn, with(""), "0 responses to 1 operations");
        add(txn, with(R"({"response_put":{}},{"response_put":{}})"), "2 responses to ");
        if (*ran != '\0') add(txn, with(R"({"response_delete_range":{}})"), "a response of another kind than its operation");
        if (*ran != '\0') add(txn, with(R"({"response_txn":{"responses":[{"response_put":{}}]}})"), "a response of another kind than its operation");
    }
    add("/v3/lease/grant", R"(,"TTL":"60")", "a lease that was not asked for");
    add("/v3/lease/grant", R"(,"ID":"7","TTL":"60")", "a lease that was not asked for");
    add("/v3/lease/keepalive", R"(,"TTL":"60")", "a lease that was not asked for");
    add("/v3/lease/keepalive", R"(,"ID":"7","TTL":"60")", "a lease that was not asked for");
    add("/v3/lease/timetolive", R"(,"ID":"7","TTL":"60","grantedTTL":"60")", "a lease that was not asked for");
    return rows;
}

// What only a larger limit lets in.
std::vector<hostile> large_texts() {
    const auto bad = errc::bad_reply;
    const std::size_t million = 1'000'000;
    const std::string json = "not a reply of etcd: not JSON: ";
    const auto open = repeated(R"({"a":)", million);
    return {
        {"a million brackets", sized(std::string(million, '[')), bad, json + "too deep"},
        {"a million brackets, and as many closed", sized(std::string(million, '[') + std::string(million, ']')), bad, json + "too deep"},
        {"a million objects within each other", sized(open + "1" + std::string(million, '}')), bad, json + "too deep"},
        {"two million numbers", sized("{\"x\":[" + repeated("1,", 2 * million) + "1]}"), bad, "is missing"},
        {"a number of a million digits", sized("{\"header\":{\"revision\":" + std::string(million, '9') + "},\"result\":7}"), bad, "not a reply of etcd: "},
        {"a string of megabytes that does not end", sized("{\"x\":\"" + std::string(4 * million, 'a')), bad, json + "incomplete JSON"},
        {"an error of megabytes", sized(R"({"code":14,"message":")" + std::string(4 * million, 'a') + "\"}", "HTTP/1.1 503 Busy"), errc::unavailable, "aaaa..."},
        {"a page of megabytes", sized(std::string(4 * million, '\xff'), "HTTP/1.1 502 Bad Gateway"), errc::unavailable, "????"},
    };
}

struct named_call {
    const char* name;
    const char* path;
    bool repeatable;
    std::function<asio::awaitable<ending>(client&, const std::string& p, etcd::lease_id)> start;
};

etcd::txn_request guarded(const std::string& p) {
    return etcd::when(etcd::version(p + "guarded") == 0).then(etcd::put(p + "guarded", "v")).otherwise(etcd::get(p + "guarded"));
}

std::vector<named_call> every_call() {
    using l = etcd::lease_id;
    using p = const std::string&;
    return {
        {"range", "/v3/kv/range", true, [](client& c, p k, l) { return ending_of(c.get(k + "k")); }},
        {"put", "/v3/kv/put", false, [](client& c, p k, l) { return ending_of(c.put(k + "new", "v")); }},
        {"delete_range", "/v3/kv/deleterange", false, [](client& c, p k, l) { return ending_of(c.delete_range(k + "k")); }},
        {"txn", "/v3/kv/txn", false, [](client& c, p k, l) { return ending_of(c.txn(etcd::when().then(etcd::put(k + "new", "v")))); }},
        {"txn", "/v3/kv/txn", true, [](client& c, p k, l) { return ending_of(c.txn(etcd::when().then(etcd::get(k + "k")))); }},
        {"txn", "/v3/kv/txn", true, [](client& c, p k, l) { return ending_of(c.txn(guarded(k), call_options{.guarded = true})); }},
        {"compact", "/v3/kv/compaction", false, [](client& c, p, l) { return ending_of(c.compact(etcd::revision{1})); }},
        {"lease_grant", "/v3/lease/grant", true, [](client& c, p, l) { return ending_of(c.lease_grant(60s)); }},
        {"lease_keep_alive", "/v3/lease/keepalive", true, [](client& c, p, l lease) { return ending_of(c.lease_keep_alive(lease)); }},
        {"lease_time_to_live", "/v3/lease/timetolive", true, [](client& c, p, l lease) { return ending_of(c.lease_time_to_live(lease)); }},
        {"lease_revoke", "/v3/lease/revoke", true, [](client& c, p, l lease) { return ending_of(c.lease_revoke(lease)); }},
    };
}

// Each reply meets each call once: a write's outcome is unknown, anything else is asked again and works.
asio::awaitable<void> once_each(std::string p, const std::vector<hostile>* rows, std::size_t limit, int lane, int lanes) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    std::string said;
    auto options = quiet(proxy.endpoint(), 60s);
    options.reply_limit(limit).attempt_timeout(20s).log(logger(log_level::debug, [&said](log_level, std::string_view line) { said += line; }));
    client c(executor, options);
    const auto put = co_await c.put(p + "k", "value");
    REQUIRE(put.header.revision.value > 0);
    const auto granted = co_await c.lease_grant(600s);
    const auto calls = every_call();
    for (std::size_t i = static_cast<std::size_t>(lane); i < rows->size(); i += static_cast<std::size_t>(lanes)) {
        const auto& row = (*rows)[i];
        for (const auto& call : calls) {
            if (!row.only.empty() && row.only != call.path) continue;
            const auto before = c.metrics();
            said.clear();
            const auto rule = proxy.add(sends(row, call.path));
            const auto end = co_await call.start(c, p, granted.id);
            const auto after = c.metrics();
            INFO(row.name << " for " << call.name << ": " << end.what << " / " << said);
            CHECK(proxy.hits(rule) == 1);
            CHECK(end.took < 15s);
            CHECK(after.bytes_received - before.bytes_received < most_read(limit) + 4096);
            if (call.repeatable) {
                CHECK(end.what == "");
                CHECK(after.attempts - before.attempts == 2);
                CHECK(contains(said, call.name));
                CHECK(contains(said, row.says));
            } else {
                CHECK(end.reason == errc::outcome_unknown);
                CHECK(end.what.starts_with(call.name));
                CHECK(contains(end.what, "http://" + proxy.endpoint() + ": "));
                CHECK(contains(end.what, row.says));
                CHECK(end.what.size() < 1000);
                CHECK(after.attempts - before.attempts == 1);
            }
            const auto found = co_await c.get(p + "k");
            REQUIRE(found);
            CHECK(found->value == "value");
            CHECK(c.metrics().attempts == after.attempts + 1);
            proxy.remove(rule);
        }
    }
    const auto nothing = co_await c.get(p + "new");
    CHECK(!nothing);
}

// Where nothing else ever comes, a read ends by its deadline and says what came.
asio::awaitable<void> for_ever(std::string p, const std::vector<hostile>* rows, int lane, int lanes) {
    const auto executor = co_await asio::this_coro::executor;
    fault_proxy proxy;
    auto options = quiet(proxy.endpoint(), 500ms);
    options.reply_limit(smallest_limit).system(std::make_shared<no_jitter>());
    for (std::size_t i = static_cast<std::size_t>(lane); i < rows->size(); i += static_cast<std::size_t>(lanes)) {
        const auto& row = (*rows)[i];
        if (!row.only.empty() && row.only != "/v3/kv/range") continue;
        client c(executor, options);
        const auto rule = proxy.add(sends(row, "/v3/kv/range").times(fault_rule::always));
        ending end;
        for (int tries = 0; tries < 5; ++tries) {
            auto reading = c.get(p + "k");
            end = co_await ending_of(std::move(reading));
            if (!contains(end.what, "took too long") || contains(row.says, "took too long")) break; // else the deadline came within an attempt
        }
        INFO(row.name << ": " << end.what);
        CHECK(end.reason == row.reason);
        CHECK(contains(end.what, row.says));
        CHECK(contains(end.what, "http://" + proxy.endpoint() + ": "));
        const bool lasting = row.says.starts_with("this port speaks"); // what a port speaks it speaks the next time, too
        const bool large = row.reason == errc::too_large; // asked for twice: a length may be garbage
        CHECK(contains(end.what, "gave up after") == !(lasting || large));
        CHECK((end.context.attempts > 1) == !lasting);
        CHECK(end.took < 5s);
        CHECK(c.metrics().bytes_received < c.metrics().attempts * most_read(smallest_limit));
        proxy.remove(rule);
    }
}

void meet_once(const std::vector<hostile>& rows, std::size_t limit = smallest_limit) {
    const auto p = unique_prefix();
    const auto lane = [&](int number) { return once_each(p + std::to_string(number) + "/", &rows, limit, number, 8); };
    run_ranks(8, lane, 100s);
}

void meet_for_ever(const std::vector<hostile>& rows) {
    const auto p = unique_prefix();
    const auto lane = [&](int number) { return for_ever(p, &rows, number, 8); };
    run_ranks(8, lane, 60s);
}

// ---- replies to somebody else ---------------------------------------------------------------------------------------------------

const std::string stale = sized(R"({"header":{"cluster_id":"1","revision":"1","raft_term":"2"},"kvs":[{"key":"aw==","value":"c3RhbGU="}],"count":"1"})");
const std::string stale_put = sized(R"({"header":{"cluster_id":"1","revision":"1","raft_term":"2"}})");

// A reply is followed by another one that nobody asked for, at once or while the connection is idle: the next call must not take it for its own.
asio::awaitable<void> one_reply_too_many(std::string p, bool at_once) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    const auto put = co_await c.put(p + "k", "value");
    CHECK(put.header.revision.value > 0);
    for (int round = 0; round < 20; ++round) {
        fault_rule rule("/v3/kv/put");
        rule.reply_with(stale_put + stale);
        if (!at_once) rule.stall_response(stale_put.size());
        const auto id = proxy.add(rule);
        const auto answered = co_await c.put(p + "other", "never sent");
        CHECK(answered.header.revision.value == 1);
        if (!at_once) CHECK(proxy.wait_for_stalled(1, 5s));
        if (!at_once) proxy.release();
        proxy.remove(id); // on the proxy's thread, behind the write: the bytes are there now
        const auto before = c.metrics();
        const auto found = co_await c.get(p + "k");
        REQUIRE(found);
        CHECK(found->value == "value");
        CHECK(c.metrics().connects == before.connects + 1);
        CHECK(c.metrics().attempts == before.attempts + 1);
    }
}

// Closed by the peer while it is idle, in either way: no call is lost to it, a write neither.
asio::awaitable<void> idle_end(std::string p, close_how how) {
    const auto executor = co_await asio::this_coro::executor;
    auto proxy = proxy_of(test_etcd());
    client c(executor, quiet(proxy.endpoint()));
    for (int round = 0; round < 20; ++round) {
        const auto first = co_await c.put(p + "k", "1");
        CHECK(first.header.revision.value > 0);
        proxy.cut_all(how);
        const auto second = co_await c.put(p + "k", "2");
        CHECK(second.header.revision.value > first.header.revision.value);
    }
    CHECK(c.metrics().attempts == 40);
    CHECK(c.metrics().connects == 21);
}

} // namespace

TEST_CASE("hostile replies: broken HTTP is told by its name, within the limits, and harms no other call") { meet_once(broken_http()); }
TEST_CASE("hostile replies: words that are not etcd's are told as such, and harm no other call") { meet_once(broken_words()); }
TEST_CASE("hostile replies: a revision that is none makes no reply") { meet_once(broken_revisions()); }
TEST_CASE("hostile replies: a field of the wrong kind makes no reply") { meet_once(broken_fields()); }
TEST_CASE("hostile replies: texts of megabytes are judged without recursion, and quoted in a line") { meet_once(large_texts(), 16 * 1024 * 1024); }

TEST_CASE("hostile replies: where broken HTTP is all that comes, a read ends by its deadline and says so") { meet_for_ever(broken_http()); }
TEST_CASE("hostile replies: where words of others are all that comes, a read ends by its deadline and says so") { meet_for_ever(broken_words()); }
TEST_CASE("hostile replies: where broken fields are all that comes, a read ends by its deadline and says so") { meet_for_ever(broken_fields()); }

TEST_CASE("hostile replies: a second reply behind the first is not taken for the next call's") {
    run(one_reply_too_many(unique_prefix(), true));
    run(one_reply_too_many(unique_prefix(), false));
}
TEST_CASE("hostile replies: a connection that ended while idle costs no call, not even a write") {
    run(idle_end(unique_prefix(), close_how::fin));
    run(idle_end(unique_prefix(), close_how::rst));
}
TEST_CASE("hostile replies: a reply to another request is no reply to this one") { meet_once(other_replies()); }
