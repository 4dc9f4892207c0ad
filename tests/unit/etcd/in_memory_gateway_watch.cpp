#include "in_memory_gateway_support.hpp"

#include <algorithm>

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

// A client's watch stream, whose lines are read by the client's own decoder.
class watch_client {
public:
    explicit watch_client(test_member& member, std::string_view fields = "Connection: close\r\n") : connection(member) {
        connection.receive(open_stream("/v3/watch", fields));
    }

    /// Sends it, and tells what comes, in short.
    std::string ask(const std::string& text) {
        connection.receive(chunk(text));
        return news();
    }
    std::string create(const etcd::watch_request& request, std::int64_t id) { return ask(codec::encode_create(request, id, request.start)); }
    std::string push() {
        connection.push();
        return news();
    }
    std::string news() {
        raw = connection.take_output();
        auto text = raw;
        if (text.starts_with("HTTP/1.1 ")) {
            const auto end = text.find("\r\n\r\n") + 4;
            status = std::stoi(text.substr(9));
            text.erase(0, end);
        }
        std::string result;
        for (auto rest = lines(std::move(text)); !rest.empty(); rest.erase(0, rest.find('\n') + 1)) {
            const auto line = rest.substr(0, rest.find('\n'));
            messages.push_back(codec::decode_watch(line));
            result += shown(messages.back()) + (rest.find('\n') == std::string::npos ? "" : "; ");
            if (rest.find('\n') == std::string::npos) break;
        }
        return result;
    }

    model::gateway_connection connection;
    std::vector<codec::watch_message> messages;
    std::string raw;
    int status = 0;
    bool ended = false;

private:
    std::string lines(std::string text) {
        std::string result;
        while (!text.empty()) {
            const auto size = static_cast<std::size_t>(std::stoul(text, nullptr, 16));
            const auto begin = text.find("\r\n") + 2;
            result += text.substr(begin, size);
            text.erase(0, begin + size + 2);
            ended = size == 0;
        }
        return result;
    }

    // "#7@2 created", "#7@3 +a=1@3 -b@3", "#-1@4".
    static std::string shown(const codec::watch_message& m) {
        if (m.is_error) return "error " + std::to_string(m.error.code) + ": " + m.error.message;
        auto text = "#" + std::to_string(m.watch_id) + "@" + std::to_string(m.response.header.revision.value);
        if (m.created) text += " created";
        if (m.canceled) text += " canceled";
        if (!m.cancel_reason.empty()) text += " (" + m.cancel_reason + ")";
        if (m.compact_revision) text += " compacted " + std::to_string(m.compact_revision.value);
        if (m.fragment) text += " fragment";
        for (const auto& e : m.response.events) {
            text += e.type == etcd::event::kind::put ? " +" + e.kv.key + "=" + e.kv.value : " -" + e.kv.key;
            text += "@" + std::to_string(e.kv.mod_revision.value);
            if (e.prev_kv) text += "(" + e.prev_kv->value + ")";
        }
        return text;
    }
};

} // namespace

TEST_CASE("in_memory gateway watch: tells what changes from its creation on, a message for each revision") {
    test_member member;
    member.store.put({"a", "0"});
    watch_client client(member);
    CHECK(client.connection.watches());
    CHECK(client.connection.take_output().empty());
    CHECK(client.create(etcd::prefix("a"), 7) == "#7@2 created; ");
    CHECK(client.status == 200);
    CHECK(client.raw.find("Content-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n") != std::string::npos);
    CHECK(client.push().empty());
    member.store.put({"a", "1"});
    CHECK(client.push() == "#7@3 +a=1@3; ");
    member.store.txn(etcd::when().then(etcd::put("ab", "2"), etcd::put("b", "2"), etcd::erase("a")));
    member.store.put({"b", "3"});
    member.store.put({"ac", "4"});
    CHECK(client.push() == "#7@4 +ab=2@4 -a@4; #7@6 +ac=4@6; ");
    CHECK(client.push().empty());
    CHECK_FALSE(client.connection.finished());
}

TEST_CASE("in_memory gateway watch: the bytes of an event are etcd's") {
    test_member member;
    watch_client client(member);
    CHECK(client.ask(R"({"create_request":{"key":"dw=="}})") == "#0@1 created; ");
    CHECK(client.raw.ends_with("\r\n\r\n8d\r\n{\"result\":{" + std::string(header_text) + "1\",\"raft_term\":\"2\"},\"created\":true}}\n\r\n"));
    member.store.put({"w", "1"});
    client.push();
    CHECK(client.raw.find(R"(,"events":[{"kv":{"key":"dw==","create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="}}]}})") != std::string::npos);
    member.store.erase("w");
    client.push();
    CHECK(client.raw.find(R"(,"events":[{"type":"DELETE","kv":{"key":"dw==","mod_revision":"3"}}]}})") != std::string::npos);
    member.store.put({"w", std::string(2000, 'x')});
    client.push();
    CHECK(client.raw.ends_with("}\r\n1\r\n\n\r\n"));
}

TEST_CASE("in_memory gateway watch: numbers are the client's or the next free ones, and no number is used twice") {
    test_member member;
    watch_client client(member);
    CHECK(client.create("a", 0) == "#0@1 created; ");
    CHECK(client.create("a", 1) == "#1@1 created; ");
    CHECK(client.create("a", 0) == "#2@1 created; ");
    CHECK(client.create("a", -3) == "#-3@1 created; ");
    CHECK(client.create("a", 1) == "#-1@1 created canceled (mvcc: duplicate watch ID provided on the WatchStream); ");
    CHECK(client.create(etcd::key_range("b", "b"), 9) == "#-1@1 created canceled (mvcc: watcher range is empty); ");
    CHECK(client.ask(codec::encode_cancel(1)) == "#1@1 canceled; ");
    CHECK(client.ask(codec::encode_cancel(1)).empty());
    CHECK(client.create("a", 1) == "#1@1 created; ");
    CHECK(client.create(etcd::from(""), 10) == "#10@1 created; ");
    CHECK(client.ask("{}null").empty());
    member.store.put({"a", "1"});
    CHECK(client.push() == "#-3@2 +a=1@2; #0@2 +a=1@2; #1@2 +a=1@2; #2@2 +a=1@2; #10@2 +a=1@2; ");
}

TEST_CASE("in_memory gateway watch: history, the future, and what has been compacted") {
    test_member member;
    for (int i = 2; i <= 6; ++i) member.store.put({"a", std::to_string(i)});
    watch_client client(member);
    CHECK(client.create({"a", {5}}, 1) == "#1@6 created; #1@6 +a=5@5 +a=6@6; ");
    CHECK(client.create({"a", {8}}, 2) == "#2@6 created; ");
    CHECK(client.create({"a", {-5}}, 3).ends_with("+a=2@2 +a=3@3 +a=4@4 +a=5@5 +a=6@6; "));
    CHECK(client.create({"a", {7}}, 6) == "#6@6 created; ");
    member.store.put({"a", "7"});
    CHECK(client.push() == "#1@7 +a=7@7; #3@7 +a=7@7; #6@7 +a=7@7; ");
    member.store.compact({6});
    CHECK(client.create({"a", {5}}, 4) == "#4@7 created; #4@0 canceled compacted 6; ");
    CHECK(client.create({"a", {6}}, 5) == "#5@7 created; #5@7 +a=6@6 +a=7@7; ");
    CHECK(client.create({"a", {-5}}, 4) == "#4@7 created; #4@0 canceled compacted 6; ");
    member.store.put({"a", "8"});
    CHECK(client.push() == "#1@8 +a=8@8; #2@8 +a=8@8; #3@8 +a=8@8; #5@8 +a=8@8; #6@8 +a=8@8; ");
}

TEST_CASE("in_memory gateway watch: a compaction does not end one that is in step, however quiet its range is") {
    test_member member;
    watch_client client(member);
    client.create("quiet", 1);
    for (int i = 0; i < 5; ++i) member.store.put({"a", "1"});
    client.push();
    member.store.compact({6});
    member.store.put({"quiet", "1"});
    CHECK(client.push() == "#1@7 +quiet=1@7; ");
}

TEST_CASE("in_memory gateway watch: history comes in messages of a thousand revisions") {
    test_member member;
    for (int i = 0; i < 2500; ++i) member.store.txn(etcd::when().then(etcd::put("a", "1"), etcd::put("b", "1")));
    watch_client client(member);
    client.create({etcd::prefix(""), {1}}, 1);
    REQUIRE(client.messages.size() == 4);
    CHECK(client.messages[1].response.events.size() == 2000);
    CHECK(client.messages[2].response.events.size() == 2000);
    CHECK(client.messages[3].response.events.size() == 1000);
    CHECK(client.messages[1].response.header.revision.value == 2501);
}

TEST_CASE("in_memory gateway watch: progress is told once all that came before it has been, and while there is a watch") {
    test_member member;
    watch_client client(member);
    CHECK(client.ask(codec::encode_progress()).empty());
    client.create("a", 1);
    CHECK(client.ask(codec::encode_progress()) == "#-1@1; ");
    member.store.put({"a", "1"});
    member.store.put({"b", "1"});
    CHECK(client.ask(codec::encode_progress()) == "#1@2 +a=1@2; #-1@3; ");
    member.waits = true;
    CHECK(client.create({"a", {1}}, 2) == "#2@3 created; ");
    CHECK(client.ask(codec::encode_progress()).empty());
    CHECK(client.push() == "#2@3 +a=1@2; ");
    CHECK(client.ask(codec::encode_progress()) == "#-1@3; ");
    client.ask(codec::encode_cancel(1));
    client.ask(codec::encode_cancel(2));
    CHECK(client.ask(codec::encode_progress()).empty());
}

TEST_CASE("in_memory gateway watch: filters, and what was there before") {
    test_member member;
    watch_client client(member);
    etcd::watch_request request("a");
    request.prev_kv = true;
    client.create(request, 1);
    request.no_put = true;
    client.create(request, 2);
    request.no_erase = true;
    client.create(request, 3);
    request.no_put = false;
    client.create(request, 4);
    member.store.put({"a", "1"});
    member.store.erase("a");
    CHECK(client.push() == "#1@2 +a=1@2; #1@3 -a@3(1); #2@3 -a@3(1); #4@2 +a=1@2; ");
}

TEST_CASE("in_memory gateway watch: what exceeds the limit of a message is divided where that was asked for") {
    test_member member;
    member.limit = 1000;
    watch_client client(member);
    etcd::watch_request request(etcd::prefix(""));
    client.create(request, 1);
    request.fragment = true;
    client.create(request, 2);
    etcd::txn_request txn;
    for (const auto* key : {"a", "b", "c", "d", "e"}) txn.success.push_back(etcd::put(key, std::string(300, 'x')));
    member.store.txn(txn);
    client.push();
    REQUIRE(client.messages.size() == 6);
    CHECK(client.messages[2].response.events.size() == 5);
    CHECK(client.messages[3].fragment);
    CHECK(client.messages[3].response.events.size() == 2);
    CHECK(client.messages[4].fragment);
    CHECK_FALSE(client.messages[5].fragment);
    CHECK(client.messages[5].response.events.size() == 1);
    client.messages.clear();
    member.store.put({"a", std::string(3000, 'x')});
    client.push();
    CHECK_FALSE(client.messages.at(1).fragment);
}
