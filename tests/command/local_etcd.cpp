#include "local_etcd.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fstream>

using namespace command_tests;
using etcdcoll::command::local_etcd;
using etcdcoll::command::local_etcd_options;

namespace {

local_etcd_options below(const test_directory& directory) {
    local_etcd_options options;
    options.scratch_parent = directory.path();
    return options;
}

template <typename F>
std::string error_of(F f) {
    try {
        f();
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string write_script(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file.string();
}

} // namespace

TEST_CASE("local_etcd: serves when its constructor returns, and is gone with its directory after its destructor") {
    const test_directory directory;
    std::optional<local_etcd> etcd(std::in_place, below(directory));
    CHECK(contains(http_get(etcd->client_port(), "/health"), "\"health\":\"true\""));
    CHECK(etcd->endpoint() == "http://127.0.0.1:" + std::to_string(etcd->client_port()));
    CHECK(std::filesystem::exists(etcd->data_directory() / "member"));
    CHECK(etcd->running());
    CHECK(contains(etcd->log_tail(), "ready to serve client requests"));

    const observed_process server(etcd->pid());
    etcd.reset();
    CHECK(server.has_ended());
    CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("local_etcd: answers nothing while it is paused, and what was asked meanwhile once it is resumed") {
    const test_directory directory;
    local_etcd etcd(below(directory));
    for (int round = 0; round < 2; ++round) {
        etcd.pause();
        CHECK(etcd.running());
        unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(etcd.client_port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const std::string request = "GET /version HTTP/1.0\r\n\r\n";
        REQUIRE(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        CHECK_FALSE(readable(socket.get(), clock::now() + std::chrono::milliseconds(50)));
        etcd.resume();
        CHECK(readable(socket.get()));
    }
    etcd.resume();
}

TEST_CASE("local_etcd: a killed server leaves its port closed, and comes back there with the same data") {
    const test_directory directory;
    local_etcd etcd(below(directory));
    const auto endpoint = etcd.endpoint();
    const auto member = http_get(etcd.client_port(), "/version");
    etcd.kill();
    CHECK_FALSE(etcd.running());
    CHECK(etcd.pid() == -1);
    CHECK(http_get(etcd.client_port(), "/health").empty());
    REQUIRE(std::filesystem::exists(etcd.data_directory() / "member"));

    etcd.restart();
    CHECK(etcd.endpoint() == endpoint);
    CHECK(contains(http_get(etcd.client_port(), "/health"), "\"health\":\"true\""));
    CHECK(contains(etcd.log_tail(), "restarting")); // "member" in 3.4, "local member" in 3.5
}

TEST_CASE("local_etcd: a paused server can be stopped, and a given data directory is kept") {
    const test_directory directory;
    const test_directory data;
    auto options = below(directory);
    options.data_directory = data.path() / "kept";
    local_etcd etcd(options);
    const observed_process server(etcd.pid());
    etcd.pause();
    etcd.stop();
    CHECK(server.has_ended());
    CHECK(std::filesystem::is_empty(directory.path()));
    CHECK(std::filesystem::exists(data.path() / "kept" / "member"));
}

TEST_CASE("local_etcd: settings in the environment that are meant for clients or other servers do not reach it") {
    const test_directory directory;
    const environment_variable cluster("ETCD_INITIAL_CLUSTER", "elsewhere=http://127.0.0.1:1");
    const environment_variable endpoints("ETCD_ENDPOINTS", "http://127.0.0.1:2");
    local_etcd etcd(below(directory));
    CHECK(etcd.running());
}

TEST_CASE("local_etcd: tries other ports when one has been taken since it was chosen") {
    const test_directory directory;
    auto options = below(directory);
    const auto real = etcdcoll::command::find_etcd().string();
    const auto mark = (directory.path() / "second").string();
    options.binary = write_script(directory.path() / "unlucky",
                                  "[ -e " + mark + " ] && exec " + real + " \"$@\"\n: > " + mark +
                                      "\necho listen tcp: bind: address already in use >&2\nexit 1\n");
    local_etcd etcd(options);
    CHECK(contains(http_get(etcd.client_port(), "/health"), "\"health\":\"true\""));
}

TEST_CASE("local_etcd: a server that can't start is reported with the end of its log") {
    const test_directory directory;
    auto options = below(directory);
    options.arguments = {"--no-such-flag"};
    const auto error = error_of([&] { local_etcd etcd(options); });
    CHECK(contains(error, "exited with status 2"));
    CHECK(contains(error, "flag provided but not defined: -no-such-flag"));
    CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("local_etcd: a server that does not serve by the deadline is ended") {
    const test_directory directory;
    const test_directory scratch;
    auto options = below(scratch);
    options.start_deadline = std::chrono::milliseconds(100);
    options.binary = write_script(directory.path() / "silent", "echo $$ > " + (directory.path() / "pid").string() +
                                                                   "\nsleep 1000 &\nwait\n");
    const auto error = error_of([&] { local_etcd etcd(options); });
    CHECK(contains(error, "etcd does not serve 100 ms after its start"));
    CHECK(std::filesystem::is_empty(scratch.path()));
}

TEST_CASE("local_etcd: a missing binary is reported with the command that installs it") {
    const environment_variable path("PATH", "");
    const environment_variable binary("ETCDCOLL_ETCD", std::nullopt);
    const auto error = error_of([] { local_etcd etcd; });
    CHECK(contains(error, "apt-get install etcd-server"));
    CHECK(contains(error, "ETCDCOLL_ETCD"));
}

TEST_CASE("local_etcd: ETCDCOLL_ETCD names the binary, and a wrong one is reported by name") {
    const environment_variable binary("ETCDCOLL_ETCD", "/nonexistent/etcd");
    CHECK(contains(error_of([] { local_etcd etcd; }), "/nonexistent/etcd"));
}

TEST_CASE("local_etcd: knows the version of its binary") {
    const auto version = etcdcoll::command::etcd_version();
    CHECK(version.substr(0, 2) == "3.");
    CHECK(version.find_first_not_of("0123456789.-+abcdefghijklmnopqrstuvwxyz") == std::string::npos);
}
