#include "support.hpp"
#include "versions.hpp"

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/etcd/cluster.hpp>
#include <etcdcoll/etcd/maintenance.hpp>
#include <support/etcd_cluster.hpp>
#include <support/group.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::alarm_kind;
using etcd::member_id;
using etcd::revision;

namespace {

// A directory of the test's own, gone at its end.
class scratch {
public:
    scratch() : path_(std::filesystem::temp_directory_path() / ("etcdcoll-" + std::to_string(environment::system()->random()))) {
        std::filesystem::create_directory(path_);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { std::filesystem::remove_all(path_); }

    std::string file(const std::string& name) const { return path_ / name; }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
    }

private:
    std::filesystem::path path_;
};

std::string contents(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
    unsigned size = 0;
    REQUIRE(EVP_Digest(text.data(), text.size(), sum.data(), &size, EVP_sha256(), nullptr) == 1);
    return {reinterpret_cast<const char*>(sum.data()), size};
}

asio::awaitable<void> tells_how_it_is(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::maintenance m(c);
    const auto written = co_await c.put(p, "v");
    for (const auto& endpoint : {std::string(), test_etcd().endpoint()}) {
        const auto status = co_await m.status(endpoint);
        CHECK(status.version == command::etcd_version());
        CHECK(status.leader.value == status.header.member_id);
        CHECK(status.db_size > 0);
        CHECK(status.db_size_in_use > 0);
        CHECK(status.db_size_in_use <= status.db_size);
        CHECK(status.raft_index > 0);
        CHECK(status.raft_term > 0);
        CHECK(status.raft_applied_index > 0);
        CHECK(status.errors.empty());
        CHECK(!status.is_learner);
        CHECK(!status.downgrade_info.enabled);
        CHECK(status.storage_version.empty() == !etcd_is_at_least(6));
    }
    const auto nowhere = co_await ending_of(m.status("http://"));
    CHECK(nowhere.reason == errc::invalid_argument);
    const call_options brief{.timeout = 300ms};
    const auto nobody = co_await ending_of(m.status("http://127.0.0.1:1", brief));
    CHECK(nobody.reason == errc::connection_failed);
    CHECK(contains(nobody.what, "http://127.0.0.1:1"));
    const auto after = co_await c.get(p);
    CHECK(after);
}

asio::awaitable<void> hashes(std::string p) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(test_etcd().endpoint()));
    etcd::maintenance m(c);
    const auto written = co_await c.put(p, "v");
    const auto whole = co_await m.hash();
    CHECK(whole.header.revision >= written.header.revision);
    if (!etcd_is_at_least(5)) {
        const auto missing = co_await ending_of(m.hash_kv());
        CHECK(missing.reason == errc::unsupported);
        CHECK(contains(missing.what, "etcd 3.4"));
        co_return;
    }
    const auto then = co_await m.hash_kv(written.header.revision);
    const auto again = co_await c.put(p, "w");
    const auto same = co_await m.hash_kv(written.header.revision);
    CHECK(same.hash == then.hash);
    const auto now = co_await m.hash_kv();
    CHECK(now.hash != then.hash);
    CHECK(now.header.revision >= again.header.revision);
    if (etcd_is_at_least(6)) CHECK(then.hash_revision == written.header.revision);
    const revision future{now.header.revision.value + 100};
    const auto early = co_await ending_of(m.hash_kv(future));
    CHECK(early.reason == errc::refused);
}

asio::awaitable<void> full_database(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(endpoint));
    etcd::maintenance m(c);
    const std::string big(1'000'000, 'x');
    ending full;
    for (int i = 0; i < 20 && full.reason == errc{}; ++i) {
        full = co_await ending_of(c.put("big", big));
    }
    CHECK(full.reason == errc::no_space);
    const auto raised = co_await m.alarm_list();
    REQUIRE(raised.alarms.size() == 1);
    CHECK(raised.alarms[0].kind == alarm_kind::no_space);
    const auto status = co_await m.status();
    CHECK(raised.alarms[0].member.value == status.header.member_id);
    CHECK(status.errors.size() == 1);
    if (etcd_is_at_least(6)) CHECK(status.db_size_quota == 8 * 1024 * 1024);

    const auto erased = co_await c.delete_range("big");
    const auto compacted = co_await c.compact(erased.header.revision, true);
    CHECK(compacted.header.revision >= erased.header.revision);
    const auto smaller = co_await m.defragment(endpoint);
    static_cast<void>(smaller);
    const auto after = co_await m.status(endpoint);
    CHECK(after.db_size < status.db_size / 2);
    const auto disarmed = co_await m.alarm_disarm(raised.alarms[0]);
    REQUIRE(disarmed.alarms.size() == 1);
    CHECK(disarmed.alarms[0].kind == alarm_kind::no_space);
    const auto twice = co_await m.alarm_disarm(raised.alarms[0]);
    CHECK(twice.alarms.empty());
    const auto put = co_await c.put("big", big);
    CHECK(put.header.revision > erased.header.revision);
}

asio::awaitable<void> corrupt_alarm(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(endpoint));
    etcd::maintenance m(c);
    const auto status = co_await m.status();
    const etcd::alarm corrupt(member_id{status.header.member_id}, alarm_kind::corrupt);
    const auto raised = co_await m.alarm_activate(corrupt);
    REQUIRE(raised.alarms.size() == 1);
    CHECK(raised.alarms[0].kind == alarm_kind::corrupt);
    const auto stuck = co_await ending_of(c.put("k", "v"));
    CHECK(stuck.reason == errc::refused);
    CHECK(contains(stuck.what, "corrupt cluster"));
    CHECK(stuck.context.attempts == 1);
    const auto all = co_await m.alarm_list(endpoint);
    CHECK(all.alarms.size() == 1);
    const auto disarmed = co_await m.alarm_disarm(corrupt);
    CHECK(disarmed.alarms.size() == 1);
    const auto put = co_await c.put("k", "v");
    CHECK(put.header.revision.value > 0);
}

// ---- snapshots ------------------------------------------------------------------------------------------------------------------

asio::awaitable<void> fill(client c, std::size_t megabytes) {
    etcd::batch writes(c);
    for (std::size_t i = 0; i < megabytes * 8; ++i) writes.put("k" + std::to_string(i), std::string(128 * 1024, static_cast<char>('a' + i % 26)));
    const auto done = co_await writes.run();
    done.check();
    CHECK(done.complete());
}

asio::awaitable<void> large_snapshot(std::string endpoint, const scratch* directory) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(endpoint));
    etcd::maintenance m(c);
    co_await fill(c, 21);
    const auto put = co_await c.put("needle", "in this haystack: " + endpoint);
    CHECK(put.header.revision.value > 0);
    const auto name = directory->file("snapshot.db");
    std::ofstream(name) << "an older one";
    const auto saved = co_await m.snapshot(name);
    CHECK(directory->files() == 1);
    const auto text = contents(name);
    CHECK(text.size() == saved.bytes);
    REQUIRE(text.size() > 21 * 1024 * 1024);
    CHECK(contains(text, "in this haystack: " + endpoint));
    CHECK(text.size() % 4096 == 32);
    CHECK(text.substr(16, 4) == "\xed\xda\x0c\xed"); // of a bbolt database
    CHECK(sha256(std::string_view(text).substr(0, text.size() - 32)) == text.substr(text.size() - 32));
    CHECK(saved.version.empty() == !etcd_is_at_least(6));
    const auto again = co_await m.snapshot(name, endpoint);
    CHECK(again.bytes == saved.bytes);
    CHECK(c.metrics().bytes_received > 2 * saved.bytes);
}

asio::awaitable<void> broken_snapshots(std::string endpoint, fault_proxy* proxy, const scratch* directory) {
    const auto executor = co_await asio::this_coro::executor;
    client direct(executor, quiet(endpoint));
    co_await fill(direct, 4);
    client c(executor, quiet(proxy->endpoint(), 300ms));
    etcd::maintenance m(c);
    const auto name = directory->file("s.db");

    proxy->add(fault_rule("/v3/maintenance/snapshot").cut_response_after(1'000'000));
    const auto cut = co_await ending_of(m.snapshot(name));
    CHECK(cut.reason == errc::connection_failed);
    CHECK(directory->files() == 0);

    proxy->add(fault_rule("/v3/maintenance/snapshot").stall_response(1'000'000));
    const auto stalled = co_await ending_of(m.snapshot(name));
    CHECK(stalled.reason == errc::timed_out);
    CHECK(stalled.took >= 250ms);
    CHECK(stalled.took < 5s);
    CHECK(directory->files() == 0);
    proxy->clear_rules();
    proxy->release();

    // It may take longer than the timeout as long as something comes.
    proxy->add(fault_rule("/v3/maintenance/snapshot").split_response(600'000, 100ms));
    const auto slow = co_await m.snapshot(name);
    CHECK(slow.bytes > 4 * 1024 * 1024);
    CHECK(directory->files() == 1);

    const auto reply = [](const std::string& body) {
        return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    const auto other = directory->file("t.db");
    const std::vector<std::string> lies{
        "", "{\"result\":{\"remaining_bytes\":\"5\",\"blob\":\"AAAA\"}}\n", "{\"result\":{\"blob\":\"AAAA\"}}\n{\"result\":{\"blob\":\"AAAA\"}}\n",
        "{\"result\":{\"blob\":\"*\"}}\n", "{\"what\":1}\n"};
    for (const auto& body : lies) {
        proxy->clear_rules();
        proxy->add(fault_rule("/v3/maintenance/snapshot").reply_with(reply(body), after_reply::fin));
        const auto lied = co_await ending_of(m.snapshot(other));
        CHECK(lied.reason == errc::bad_reply);
        CHECK(directory->files() == 1);
    }
    proxy->clear_rules();
    const auto no_place = co_await ending_of(m.snapshot(directory->file("no/such/place")));
    CHECK(no_place.reason == errc::file_failed);
    CHECK(contains(no_place.what, "No such file"));
    const auto is_directory = co_await ending_of(m.snapshot(directory->file("")));
    CHECK(is_directory.reason == errc::file_failed);
    CHECK(c.metrics().attempts == proxy->requests("/v3/maintenance/snapshot"));
}

// The first one has come half way when the second one begins, and goes on when that is done.
asio::awaitable<void> save(etcd::maintenance m, std::string name, meeting* done) {
    const auto saved = co_await m.snapshot(name);
    CHECK(saved.bytes > 4 * 1024 * 1024);
    co_await done->wait();
}

asio::awaitable<void> two_snapshots(std::string endpoint, fault_proxy* proxy, const scratch* directory) {
    const auto executor = co_await asio::this_coro::executor;
    client direct(executor, quiet(endpoint));
    co_await fill(direct, 4);
    client c(executor, quiet(proxy->endpoint()));
    const auto name = directory->file("s.db");
    meeting done(2);
    proxy->add(fault_rule("/v3/maintenance/snapshot").stall_response(1'000'000));
    asio::co_spawn(executor, save(etcd::maintenance(c), name, &done), asio::detached);
    while (directory->files() == 0) {
        const auto turn = co_await c.get("k");
        CHECK(!turn);
    }
    const auto changed = co_await direct.put("k", std::string(1'000'000, 'z'));
    CHECK(changed.header.revision.value > 0);
    etcd::maintenance m(direct);
    const auto second = co_await m.snapshot(name);
    CHECK(contents(name).size() == second.bytes);
    CHECK(directory->files() == 2);
    proxy->release();
    co_await done.wait();
    CHECK(directory->files() == 1);
    const auto text = contents(name);
    REQUIRE(text.size() > 4 * 1024 * 1024);
    CHECK(text.size() < second.bytes);
    CHECK(sha256(std::string_view(text).substr(0, text.size() - 32)) == text.substr(text.size() - 32));
}

// ---- leaders and versions -------------------------------------------------------------------------------------------------------

asio::awaitable<void> leadership_moves(etcd_cluster* servers) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(servers->endpoints()));
    etcd::maintenance m(c);
    const auto leader = servers->leader();
    const auto follower = servers->follower();
    const auto target = co_await m.status(servers->member(follower).endpoint());
    const member_id to{target.header.member_id};
    CHECK(target.leader != to);
    const auto asked_wrong = co_await ending_of(m.move_leader(to, servers->member(follower).endpoint()));
    CHECK(asked_wrong.reason == errc::refused);
    const auto moved = co_await m.move_leader(to, servers->member(leader).endpoint());
    static_cast<void>(moved);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto status = co_await m.status(servers->member(i).endpoint());
        CHECK(status.leader == to);
    }
    const auto put = co_await c.put("k", "v");
    CHECK(put.header.revision.value > 0);
}

asio::awaitable<void> downgrades(std::string endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    client c(executor, quiet(endpoint));
    etcd::maintenance m(c);
    using etcd::downgrade_action;
    if (!etcd_is_at_least(5)) {
        const auto missing = co_await ending_of(m.downgrade(downgrade_action::validate, "3.3.0"));
        CHECK(missing.reason == errc::unsupported);
        co_return;
    }
    const std::string lower = etcd_is_at_least(6) ? "3.5.0" : "3.4.0";
    const auto validated = co_await m.downgrade(downgrade_action::validate, lower, endpoint);
    CHECK(contains(validated.version, "3."));
    const auto far = co_await ending_of(m.downgrade(downgrade_action::validate, "2.0.0"));
    CHECK(far.reason == errc::refused);
    const auto enabled = co_await ending_of(m.downgrade(downgrade_action::enable, lower));
    CHECK((enabled.reason == errc{} || (enabled.reason == errc::outcome_unknown && !etcd_is_at_least(6))));
    if (etcd_is_at_least(6)) {
        const auto status = co_await m.status();
        CHECK(status.downgrade_info.enabled);
        CHECK(status.downgrade_info.target_version == lower);
    }
    const auto busy = co_await ending_of(m.downgrade(downgrade_action::enable, lower));
    CHECK(busy.reason == errc::refused);
    const auto cancelled = co_await ending_of(m.downgrade(downgrade_action::cancel, ""));
    CHECK((cancelled.reason == errc{} || (cancelled.reason == errc::outcome_unknown && !etcd_is_at_least(6))));
}

} // namespace

TEST_CASE("maintenance: a member tells how it is") { run(tells_how_it_is(unique_prefix())); }

TEST_CASE("maintenance: a hash of all keys up to a revision stays the same") { run(hashes(unique_prefix())); }

TEST_CASE("maintenance: a full database raises an alarm, and is of use again after defragment and disarm") {
    command::local_etcd_options options;
    options.arguments = {"--quota-backend-bytes=8388608"};
    const command::local_etcd server(options);
    run(full_database(server.endpoint()));
}

TEST_CASE("maintenance: a corrupt alarm stops every write until it is disarmed") {
    const command::local_etcd server;
    run(corrupt_alarm(server.endpoint()));
}

TEST_CASE("maintenance: a snapshot is complete, of bbolt's format, and ends with its own checksum") {
    const scratch directory;
    const command::local_etcd server;
    run(large_snapshot(server.endpoint(), &directory), 60s);
}

TEST_CASE("maintenance: a snapshot that breaks off, stalls or is not true leaves no file") {
    const scratch directory;
    const command::local_etcd server;
    auto proxy = proxy_of(server);
    run(broken_snapshots(server.endpoint(), &proxy, &directory));
}

TEST_CASE("maintenance: two snapshots to one name are complete, each for itself") {
    const scratch directory;
    const command::local_etcd server;
    auto proxy = proxy_of(server);
    run(two_snapshots(server.endpoint(), &proxy, &directory));
}

TEST_CASE("maintenance: the leader hands its office on when asked itself") {
    etcd_cluster servers;
    run(leadership_moves(&servers));
}

TEST_CASE("maintenance: a downgrade is validated, begun and cancelled") {
    const command::local_etcd server;
    run(downgrades(server.endpoint()), 60s);
}

TEST_CASE("maintenance: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client through(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::maintenance m(through);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return m.snapshot(""); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.move_leader(member_id::none()); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.alarm_activate({member_id{1}, alarm_kind::none}); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.alarm_activate({member_id::none(), alarm_kind::corrupt}); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.alarm_disarm({}); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.alarm_disarm({member_id{1}, alarm_kind::none}); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.alarm_disarm({member_id::none(), alarm_kind::no_space}); }) == errc::invalid_argument);
    CHECK(reason([&] { return m.downgrade(etcd::downgrade_action::enable, ""); }) == errc::invalid_argument);
    CHECK(through.metrics().calls == 0);
}
