#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::lease_id;

namespace {

constexpr time_point begin{};
constexpr lease_id seven{7};

} // namespace

TEST_CASE("in_memory store.grant: gives two seconds at least, and the number that is asked for") {
    store data;
    for (const std::int64_t asked : {-5, 0, 1, 2}) CHECK(data.grant(asked, {}, begin).ttl == 2s);
    CHECK(data.grant(3, seven, begin).ttl == 3s);
    CHECK(data.grant(9'000'000'000, lease_id{-1}, begin).id == lease_id{-1});
    const auto chosen = data.grant(3, {}, begin).id;
    CHECK(chosen.value > 0);
    CHECK(chosen != data.grant(3, {}, begin).id);
    CHECK(data.current().value == 1);
    CHECK(refused(data, [&] { data.grant(3, seven, begin); }) == "9 etcdserver: lease already exists");
    CHECK(refused(data, [&] { data.grant(9'000'000'001, seven, begin); }) == "11 etcdserver: too large lease TTL");
}

TEST_CASE("in_memory store.revoke: deletes the lease's keys in their order, as one revision") {
    store data;
    data.grant(3, seven, begin);
    data.grant(3, lease_id{8}, begin);
    for (const auto* key : {"c", "a", "b", "d", "e"}) data.put({key, "1", seven});
    data.put({"b", "1"});
    data.put({"d", "1", lease_id{8}});
    data.erase("e");
    etcd::model::watcher from{etcd::prefix(""), false, false, false, {10}};
    CHECK(data.revoke(seven).header.revision.value == 10);
    CHECK(text(data.read(from).events) == "-a@10 -c@10");
    CHECK(text(data.range(all())) == "b=1 d=1");
    CHECK(refused(data, [&] { data.revoke(seven); }) == "5 etcdserver: requested lease not found");
    CHECK(refused(data, [&] { data.put({"a", "1", seven}); }) == "5 etcdserver: requested lease not found");
    data.grant(3, seven, begin);
    CHECK(data.revoke(seven).header.revision.value == 10); // it has no keys: no revision
}

TEST_CASE("in_memory store.time_to_live: counts whole seconds down, and lists the keys when it is asked") {
    store data;
    data.grant(10, seven, begin);
    data.put({"b", "1", seven});
    data.put({"a", "1", seven});
    const auto reply = data.time_to_live(seven, true, begin + 2500ms);
    CHECK(reply.ttl == 7s);
    CHECK(reply.granted_ttl == 10s);
    CHECK(reply.keys == std::vector<std::string>{"a", "b"});
    CHECK(data.time_to_live(seven, false, begin).keys.empty());
    const auto gone = data.time_to_live(lease_id{8}, true, begin);
    CHECK(gone.ttl == -1s);
    CHECK(gone.granted_ttl == 0s);
    CHECK(gone.id == lease_id{8});
}

TEST_CASE("in_memory store.keep_alive: gives the full time again, and 0 where nothing is left to prolong") {
    store data;
    data.grant(10, seven, begin);
    CHECK(data.keep_alive(seven, begin + 9s).ttl == 10s);
    CHECK(data.time_to_live(seven, false, begin + 9s).ttl == 10s);
    CHECK(data.keep_alive(seven, begin + 19s).ttl == 0s);
    CHECK(data.keep_alive(lease_id{8}, begin).ttl == 0s);
    CHECK(data.time_to_live(seven, false, begin + 19s).ttl == 0s);
}

TEST_CASE("in_memory store.expire: revokes what has run out, oldest first, each as a revision of its own") {
    store data;
    data.grant(5, lease_id{3}, begin);
    data.grant(4, lease_id{2}, begin);
    data.grant(9, lease_id{1}, begin);
    for (const std::int64_t id : {1, 2, 3}) data.put({std::to_string(id), "", lease_id{id}});
    CHECK(data.leases().leases == std::vector<lease_id>{{2}, {3}, {1}});
    CHECK(data.next_expiry() == begin + 4s);
    data.expire(begin + 3999ms);
    CHECK(data.current().value == 4);
    int changes = 0;
    data.on_change = [&] { ++changes; };
    etcd::model::watcher from{etcd::prefix(""), false, false, false, {5}};
    data.expire(begin + 5s);
    CHECK(text(data.read(from).events) == "-2@5 -3@6");
    CHECK(changes == 2);
    CHECK(data.leases().leases == std::vector<lease_id>{{1}});
    data.expire(begin + 9s);
    CHECK_FALSE(data.next_expiry());
}

TEST_CASE("in_memory store.leader_changed: a new leader gives every lease its time again, and the time of an election") {
    store data;
    data.grant(5, seven, begin);
    data.leader_changed(begin + 4s);
    CHECK(data.next_expiry() == begin + 10s);
    CHECK(data.keep_alive(seven, begin + 4s).ttl == 5s);
    CHECK(data.next_expiry() == begin + 9s);
}
