#include "support.hpp"

#include <etcdcoll/etcd/cluster.hpp>
#include <etcdcoll/etcd/maintenance.hpp>
#include <support/etcd_cluster.hpp>

#include <boost/asio/io_context.hpp>

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::member_id;

namespace {

const etcd::member* named(const std::vector<etcd::member>& all, member_id id) {
    for (const auto& one : all)
        if (one.id == id) return &one;
    return nullptr;
}

// Reserved while it lives, so that nobody listens there.
struct silent_peer {
    std::string url() const { return "http://" + proxy.endpoint(); }
    fault_proxy proxy;
};

asio::awaitable<void> lists_itself() {
    const auto executor = co_await asio::this_coro::executor;
    etcd::cluster c(client(executor, quiet(test_etcd().endpoint())));
    for (const bool linearizable : {true, false}) {
        const auto reply = co_await c.member_list(linearizable);
        REQUIRE(reply.members.size() == 1);
        CHECK(reply.header.cluster_id != 0);
        CHECK(reply.members[0].id.value == reply.header.member_id);
        CHECK(reply.members[0].client_urls == std::vector<std::string>{test_etcd().endpoint()});
        CHECK(reply.members[0].peer_urls == std::vector<std::string>{test_etcd().peer_url()});
        CHECK(!reply.members[0].name.empty());
        CHECK(!reply.members[0].is_learner);
    }
}

asio::awaitable<void> learner_comes_and_goes(std::string endpoint, std::string own_peer) {
    const auto executor = co_await asio::this_coro::executor;
    etcd::cluster c(client(executor, quiet(endpoint)));
    const silent_peer peer;
    const silent_peer other;
    const std::vector<std::string> first{peer.url()};
    const std::vector<std::string> both{other.url(), peer.url()};
    const std::vector<std::string> no_url{"nonsense"};
    const std::vector<std::string> own{own_peer};
    const auto taken = co_await ending_of(c.member_add(own));
    CHECK(taken.reason == errc::already_exists);
    const auto added = co_await c.member_add(first, true);
    CHECK(added.member.id);
    CHECK(added.member.is_learner);
    CHECK(added.member.peer_urls == first);
    CHECK(added.member.name.empty());
    CHECK(added.members.size() == 2);

    const auto behind = co_await ending_of(c.member_promote(added.member.id));
    CHECK(behind.reason == errc::refused);
    CHECK(contains(behind.what, "in sync with leader"));

    const auto moved = co_await c.member_update(added.member.id, both);
    const auto* there = named(moved.members, added.member.id);
    REQUIRE(there != nullptr);
    CHECK(there->peer_urls.size() == 2);
    const auto removed = co_await c.member_remove(added.member.id);
    CHECK(removed.members.size() == 1);
    const auto gone = co_await ending_of(c.member_remove(added.member.id));
    CHECK(gone.reason == errc::not_found);
    const member_id unknown{12345};
    const auto stranger = co_await ending_of(c.member_update(unknown, first));
    CHECK(stranger.reason == errc::not_found);
    const auto nonsense = co_await ending_of(c.member_add(no_url));
    CHECK(nonsense.reason == errc::refused);
    CHECK(nonsense.context.key == "nonsense");
}

asio::awaitable<void> removed_member(etcd_cluster* servers) {
    const auto executor = co_await asio::this_coro::executor;
    const auto leader = servers->leader();
    const auto follower = servers->follower();
    client to_leader(executor, quiet(servers->member(leader).endpoint(), 20s));
    etcd::cluster c(to_leader);
    etcd::maintenance m(to_leader);
    const auto gone = co_await m.status(servers->member(follower).endpoint());
    // The leader may not have counted itself connected to the others long enough: refused for now, so it is asked again.
    const member_id leaves{gone.header.member_id};
    const auto removed = co_await c.member_remove(leaves);
    CHECK(removed.members.size() == 2);
    CHECK(named(removed.members, leaves) == nullptr);
    const auto still = co_await to_leader.put("k", "v");
    CHECK(still.header.revision.value > 0);
    const auto list = co_await c.member_list();
    CHECK(list.members.size() == 2);
}

} // namespace

TEST_CASE("cluster: lists a member with all its addresses") { run(lists_itself()); }

TEST_CASE("cluster: a learner joins, moves, is promoted only in sync, and leaves") {
    const command::local_etcd server;
    run(learner_comes_and_goes(server.endpoint(), server.peer_url()));
}

TEST_CASE("cluster: a member that is removed is no member, and the others go on") {
    etcd_cluster servers;
    run(removed_member(&servers), 60s);
}

TEST_CASE("cluster: what cannot work is refused before any I/O") {
    asio::io_context io;
    const client through(io.get_executor(), quiet("http://127.0.0.1:1"));
    etcd::cluster c(through);
    const auto reason = [](auto&& call) {
        try {
            static_cast<void>(call());
        } catch (const error& failure) {
            return failure.reason();
        }
        return errc{};
    };
    CHECK(reason([&] { return c.member_add({}); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.member_add({"http://a:1", ""}); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.member_update(member_id{1}, {}); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.member_update(member_id::none(), {"http://a:1"}); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.member_remove(member_id::none()); }) == errc::invalid_argument);
    CHECK(reason([&] { return c.member_promote(member_id::none()); }) == errc::invalid_argument);
    CHECK(through.metrics().calls == 0);
}
