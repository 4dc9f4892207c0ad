#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;
using etcd::model::watcher;

namespace {

watcher watching(etcd::key_range keys, std::int64_t from) { return {std::move(keys), false, false, false, {from}}; }

} // namespace

TEST_CASE("in_memory store.read: brings each change of the range once, in order, as it was then") {
    store data;
    auto from = watching(etcd::key_range("b", "d"), 1);
    CHECK(data.read(from).events.empty());
    CHECK(from.next.value == 2);
    data.put({"a", "1"});
    data.put({"b", "1"});
    data.put({"b", "2"});
    data.erase("b");
    data.put({"d", "1"});
    const auto batch = data.read(from);
    CHECK(text(batch.events) == "+b=1@3 +b=2@4 -b@5");
    CHECK(numbers(batch.events.at(1).kv) == "3/4/2");
    CHECK(numbers(batch.events.at(2).kv) == "0/5/0");
    CHECK(from.next.value == 7);
    CHECK(data.read(from).events.empty());
    data.put({"c", "1"});
    CHECK(text(data.read(from).events) == "+c=1@7");
}

TEST_CASE("in_memory store.read: the events of a transaction come in the order of its execution") {
    store data;
    data.put({"x", "1"});
    data.put({"y", "1"});
    auto from = watching(etcd::prefix(""), 4);
    data.txn(etcd::when().then(etcd::put("b", "1"), etcd::erase(etcd::prefix("x")), etcd::when().then(etcd::put("a", "1")), etcd::erase("y")));
    CHECK(text(data.read(from).events) == "+b=1@4 -x@4 +a=1@4 -y@4");
}

TEST_CASE("in_memory store.read: filters, and brings what was there before") {
    store data;
    data.put({"a", "1"});
    data.put({"a", "2"});
    data.erase("a");
    watcher puts{etcd::key_range("a"), true, false, true, {2}};
    watcher erasures{etcd::key_range("a"), true, true, false, {2}};
    const auto put = data.read(puts).events;
    CHECK(text(put) == "+a=1@2 +a=2@3");
    CHECK_FALSE(put.at(0).prev_kv);
    CHECK(text({*put.at(1).prev_kv}) == "a=1");
    const auto erased = data.read(erasures).events;
    CHECK(text(erased) == "-a@4");
    CHECK(numbers(*erased.at(0).prev_kv) == "2/3/2");
}

TEST_CASE("in_memory store.read: waits for a revision of the future") {
    store data;
    auto from = watching("a", 4);
    data.put({"a", "1"});
    CHECK(data.read(from).events.empty());
    CHECK(from.next.value == 4);
    data.put({"a", "2"});
    data.put({"a", "3"});
    data.put({"a", "4"});
    CHECK(text(data.read(from).events) == "+a=3@4 +a=4@5");
}

TEST_CASE("in_memory store.read: stops behind that many revisions with an event, never within one") {
    store data;
    for (int i = 0; i < 5; ++i) {
        data.txn(etcd::when().then(etcd::put("a", std::to_string(i)), etcd::put("b", "")));
        data.put({"x", ""});
    }
    auto from = watching(etcd::key_range("a", "c"), 2);
    CHECK(text(data.read(from, 2).events) == "+a=0@2 +b=@2 +a=1@4 +b=@4");
    CHECK(text(data.read(from, 2).events) == "+a=2@6 +b=@6 +a=3@8 +b=@8");
    CHECK(text(data.read(from, 2).events) == "+a=4@10 +b=@10");
    CHECK(from.next.value == 12);
}

TEST_CASE("in_memory store.read: a watcher older than a compaction is told so, one at it reads on") {
    store data;
    for (int i = 0; i < 5; ++i) data.put({"a", std::to_string(i)});
    data.compact({4});
    auto old = watching("a", 3);
    const auto batch = data.read(old);
    CHECK(batch.compact_revision.value == 4);
    CHECK(batch.events.empty());
    auto there = watching("a", 4);
    CHECK(text(data.read(there).events) == "+a=2@4 +a=3@5 +a=4@6");
}

TEST_CASE("in_memory store.read: a revision below zero is compacted or the present, as etcd has it") {
    store data;
    data.put({"a", "1"});
    auto older = watching("a", -3);
    CHECK(data.read(older).compact_revision.value == -1);
    auto first = watching("a", -1);
    CHECK(data.read(first).events.empty());
    data.put({"a", "2"});
    CHECK(text(data.read(first).events) == "+a=2@3");
}
