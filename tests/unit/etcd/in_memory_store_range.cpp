#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::key_range;
using etcd::range_request;
using etcd::sort_order;
using etcd::sort_target;

namespace {

// By key: a, b, c, d. Versions 2, 1, 1, 3; create 2, 3, 4, 5; mod 6, 3, 4, 8; values 9, 7, 8, 1.
void fill(store& data) {
    for (const auto* kv : {"a0", "b7", "c8", "d0", "a9", "d0", "d1"}) data.put({std::string(1, kv[0]), std::string(1, kv[1])});
}

range_request sorted(sort_target by, sort_order order, std::int64_t limit = 0) {
    auto request = all();
    request.sort_target = by;
    request.sort_order = order;
    request.limit = limit;
    return request;
}

std::string keys(const etcd::range_response& reply) {
    std::string result;
    for (const auto& kv : reply.kvs) result += kv.key;
    return result + (reply.more ? "+" : "");
}

} // namespace

TEST_CASE("in_memory store.range: takes one key, the keys up to an end, or all from a key on") {
    store data;
    fill(data);
    data.put({std::string("\0", 1), "zero"});
    data.put({"\xff", "last"});
    CHECK(keys(data.range("b")) == "b");
    CHECK(keys(data.range("bb")).empty());
    CHECK(keys(data.range(key_range("b", "d"))) == "bc");
    CHECK(keys(data.range(key_range("b", "b"))).empty());
    CHECK(keys(data.range(key_range("d", "b"))).empty());
    CHECK(keys(data.range(etcd::from("c"))) == "cd\xff");
    CHECK(keys(data.range(all())) == std::string("\0abcd\xff", 6));
    CHECK(refused(data, [&] { data.range(""); }) == "3 etcdserver: key is not provided");
}

TEST_CASE("in_memory store.range: tells by `more` and `count` what the limit left out") {
    store data;
    fill(data);
    auto request = all();
    for (const std::int64_t limit : {-1, 0, 4, 5}) {
        request.limit = limit;
        CHECK(keys(data.range(request)) == "abcd");
    }
    request.limit = 3;
    CHECK(keys(data.range(request)) == "abc+");
    CHECK(data.range(request).count == 4);
    request.count_only = true;
    CHECK(keys(data.range(request)).empty());
    CHECK(data.range(request).count == 4);
}

TEST_CASE("in_memory store.range: sorts first and cuts then") {
    store data;
    fill(data);
    CHECK(keys(data.range(sorted(sort_target::key, sort_order::ascend, 3))) == "abc+");
    CHECK(keys(data.range(sorted(sort_target::key, sort_order::descend, 3))) == "dcb+");
    CHECK(keys(data.range(sorted(sort_target::version, sort_order::ascend))) == "bcad");
    CHECK(keys(data.range(sorted(sort_target::version, sort_order::descend))) == "dabc");
    CHECK(keys(data.range(sorted(sort_target::create, sort_order::descend, 1))) == "d+");
    CHECK(keys(data.range(sorted(sort_target::mod, sort_order::ascend, 4))) == "bcad");
    CHECK(keys(data.range(sorted(sort_target::value, sort_order::ascend, 2))) == "db+");
    CHECK(data.range(sorted(sort_target::value, sort_order::ascend, 2)).count == 4);
}

TEST_CASE("in_memory store.range: sorts by a target without an order what the limit, and one, has left") {
    store data;
    fill(data);
    CHECK(keys(data.range(sorted(sort_target::value, sort_order::none))) == "dbca");
    CHECK(keys(data.range(sorted(sort_target::value, sort_order::none, 2))) == "bc+"); // of a, b and c
    CHECK(keys(data.range(sorted(sort_target::value, sort_order::none, 1))) == "b+");
}

TEST_CASE("in_memory store.range: filters by revision before the limit, and counts what it has filtered out") {
    store data;
    fill(data);
    auto request = all();
    request.min_mod_revision.value = 4;
    CHECK(keys(data.range(request)) == "acd");
    CHECK(data.range(request).count == 4);
    request.max_mod_revision.value = 6;
    CHECK(keys(data.range(request)) == "ac");
    request.limit = 1;
    CHECK(keys(data.range(request)) == "a+");
    request = all();
    request.min_create_revision.value = 3;
    request.max_create_revision.value = 4;
    request.limit = 2;
    CHECK(keys(data.range(request)) == "bc");
}

TEST_CASE("in_memory store.range: leaves out values, but sorts by them") {
    store data;
    fill(data);
    auto request = sorted(sort_target::value, sort_order::ascend);
    request.keys_only = true;
    const auto reply = data.range(request);
    CHECK(keys(reply) == "dbca");
    CHECK(text(reply) == "d= b= c= a=");
}

TEST_CASE("in_memory store.range: reads every revision since the last compaction") {
    store data;
    data.put({"a", "1"});                                           // 2
    data.put({"b", "1"});                                           // 3
    data.erase("a");                                                // 4
    data.put({"c", "1"});                                           // 5
    data.put({"a", "2"});                                           // 6
    data.txn(etcd::when().then(etcd::put("b", "2"), etcd::erase("c"))); // 7
    const auto then = [&](std::int64_t revision) {
        auto request = all();
        request.revision.value = revision;
        return text(data.range(request));
    };
    CHECK(then(1).empty());
    CHECK(then(2) == "a=1");
    CHECK(then(3) == "a=1 b=1");
    CHECK(then(4) == "b=1");
    CHECK(then(5) == "b=1 c=1");
    CHECK(then(6) == "a=2 b=1 c=1");
    CHECK(then(7) == "a=2 b=2");
    CHECK(then(0) == "a=2 b=2");
    CHECK(data.range(at("a", 3)).header.revision.value == 7);
    CHECK(numbers(data.range(at("b", 3)).kvs.at(0)) == "3/3/1");
    CHECK(refused(data, [&] { data.range(at("a", 8)); }) == "11 etcdserver: mvcc: required revision is a future revision");
    data.compact({5});
    CHECK(refused(data, [&] { data.range(at("a", 4)); }) == "11 etcdserver: mvcc: required revision has been compacted");
    CHECK(then(5) == "b=1 c=1");
    CHECK(then(6) == "a=2 b=1 c=1");
    CHECK(then(7) == "a=2 b=2");
}
