#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::put_request;

TEST_CASE("in_memory store.put: each one is a revision, the first is 2, and counts the versions of its key") {
    store data;
    CHECK(data.current().value == 1);
    CHECK(data.put({"a", "1"}).header.revision.value == 2);
    CHECK(data.put({"b", "1"}).header.revision.value == 3);
    CHECK(data.put({"a", "2"}).header.revision.value == 4);
    const auto reply = data.range("a");
    CHECK(reply.header.revision.value == 4);
    CHECK(reply.count == 1);
    CHECK(text(reply) == "a=2");
    CHECK(numbers(reply.kvs.at(0)) == "2/4/2");
}

TEST_CASE("in_memory store.put: begins anew with a key that was deleted") {
    store data;
    data.put({"a", "1"});
    data.erase("a");
    data.put({"a", "2"});
    CHECK(numbers(data.range("a").kvs.at(0)) == "4/4/1");
}

TEST_CASE("in_memory store.put: tells what was there before when it is asked") {
    store data;
    put_request request("a", "1");
    request.prev_kv = true;
    CHECK_FALSE(data.put(request).prev_kv);
    request.value = "2";
    const auto old = data.put(request).prev_kv;
    REQUIRE(old);
    CHECK(old->value == "1");
    CHECK(numbers(*old) == "2/2/1");
}

TEST_CASE("in_memory store.put: keeps the value or the lease that it is told to keep") {
    store data;
    const auto lease = data.grant(10, {}, {}).id;
    data.put({"a", "1", lease});
    put_request request("a", "", {});
    request.ignore_value = true;
    data.put(request);
    CHECK(data.range("a").kvs.at(0).value == "1");
    CHECK(data.range("a").kvs.at(0).lease == etcd::lease_id::none());
    data.put({"a", "1", lease});
    request = put_request("a", "2");
    request.ignore_lease = true;
    data.put(request);
    CHECK(data.range("a").kvs.at(0).value == "2");
    CHECK(data.range("a").kvs.at(0).lease == lease);
    data.revoke(lease);
    CHECK(data.range("a").kvs.empty());
}

TEST_CASE("in_memory store.put: is refused as etcd does it") {
    store data;
    put_request request("", "1");
    CHECK(refused(data, [&] { data.put(request); }) == "3 etcdserver: key is not provided");
    request = put_request("a", "1");
    request.ignore_value = true;
    CHECK(refused(data, [&] { data.put(request); }) == "3 etcdserver: value is provided");
    request.value.clear();
    CHECK(refused(data, [&] { data.put(request); }) == "3 etcdserver: key not found");
    request = put_request("a", "1", etcd::lease_id{7});
    CHECK(refused(data, [&] { data.put(request); }) == "5 etcdserver: requested lease not found");
    request.ignore_lease = true;
    CHECK(refused(data, [&] { data.put(request); }) == "3 etcdserver: lease is provided");
}

TEST_CASE("in_memory store.put: takes what fits into etcd's log entry, and not a byte more") {
    store data;
    CHECK_NOTHROW(data.put({"k", std::string(1'572'839, 'x')}));
    CHECK(refused(data, [&] { data.put({"k", std::string(1'572'840, 'x')}); }) == "3 etcdserver: request is too large");
    CHECK(refused(data, [&] { data.put({"k", std::string(2'097'145, 'x')}); }) == "3 etcdserver: request is too large");
    CHECK(refused(data, [&] { data.put({"k", std::string(2'097'152, 'x')}); }) ==
          "8 grpc: received message larger than max (2097160 vs. 2097152)");
    CHECK_NOTHROW(data.txn(etcd::when().then(etcd::put("k", std::string(1'572'831, 'x')))));
    CHECK(refused(data, [&] { data.txn(etcd::when().then(etcd::put("k", std::string(1'572'832, 'x')))); }) == "3 etcdserver: request is too large");
}

TEST_CASE("in_memory store.erase: deletes a key, a range, a prefix, everything from a key on; of nothing it makes no revision") {
    store data;
    for (const auto* key : {"a", "b", "b1", "b2", "c", "d"}) data.put({key, "1"});
    CHECK(data.erase("x").deleted == 0);
    CHECK(data.erase("x").header.revision.value == 7);
    CHECK(data.erase(etcd::key_range("d", "a")).deleted == 0);
    CHECK(data.current().value == 7);
    CHECK(data.erase("a").header.revision.value == 8);
    CHECK(text(data.range(all())) == "b=1 b1=1 b2=1 c=1 d=1");
    CHECK(data.erase(etcd::key_range("b", "b2")).deleted == 2);
    CHECK(text(data.range(all())) == "b2=1 c=1 d=1");
    CHECK(data.erase(etcd::prefix("b")).deleted == 1);
    etcd::delete_range_request request(etcd::from("c"));
    request.prev_kv = true;
    const auto reply = data.erase(request);
    CHECK(reply.deleted == 2);
    CHECK(text(reply.prev_kvs) == "c=1 d=1");
    CHECK(data.current().value == 11);
    CHECK(refused(data, [&] { data.erase(""); }) == "3 etcdserver: key is not provided");
}

TEST_CASE("in_memory store.on_change: is called once a revision") {
    store data;
    std::vector<std::int64_t> seen;
    data.on_change = [&] { seen.push_back(data.current().value); };
    data.put({"a", "1"});
    data.erase("x");
    data.txn(etcd::when().then(etcd::put("a", "2"), etcd::put("b", "2")));
    data.txn(etcd::when().then(etcd::get("a")));
    data.erase(all().keys);
    CHECK(seen == std::vector<std::int64_t>{2, 3, 4});
}
