#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;

namespace {

std::string events_from(const store& data, std::int64_t revision, bool prev_kv = false) {
    etcd::model::watcher from{etcd::prefix(""), prev_kv, false, false, {revision}};
    const auto batch = data.read(from);
    if (batch.compact_revision) return "compacted " + std::to_string(batch.compact_revision.value);
    std::string result = text(batch.events);
    for (const auto& one : batch.events)
        if (one.prev_kv) result += " (" + text({*one.prev_kv}) + ")";
    return result;
}

} // namespace

TEST_CASE("in_memory store.compact: refuses what was compacted, and the future") {
    store data;
    data.put({"a", "1"});
    CHECK(refused(data, [&] { data.compact({3}); }) == "11 etcdserver: mvcc: required revision is a future revision");
    CHECK(data.compact({0}).header.revision.value == 2); // as a new etcd does, once
    CHECK(refused(data, [&] { data.compact({0}); }) == "11 etcdserver: mvcc: required revision has been compacted");
    CHECK(data.compact({2}).header.revision.value == 2);
    CHECK(data.compacted().value == 2);
    CHECK(refused(data, [&] { data.compact({1}); }) == "11 etcdserver: mvcc: required revision has been compacted");
}

TEST_CASE("in_memory store.compact: leaves the state at its revision, and the changes from it on") {
    store data;
    for (const auto* value : {"1", "2", "3"}) data.put({"a", value}); // 2 to 4
    data.put({"b", "1"});                                           // 5
    data.erase("b");                                                // 6
    data.put({"a", "4"});                                           // 7
    data.compact({3});
    CHECK(events_from(data, 2) == "compacted 3");
    CHECK(events_from(data, 3) == "+a=2@3 +a=3@4 +b=1@5 -b@6 +a=4@7");
    CHECK(numbers(data.range(at("a", 3)).kvs.at(0)) == "2/3/2");
    data.compact({6});
    CHECK(events_from(data, 6) == "-b@6 +a=4@7");
    CHECK(text(data.range(at("a", 6))) == "a=3");
    data.compact({7});
    CHECK(events_from(data, 7) == "+a=4@7");
    data.put({"b", "2"});
    CHECK(events_from(data, 7) == "+a=4@7 +b=2@8");
    CHECK(numbers(data.range("b").kvs.at(0)) == "8/8/1");
}

TEST_CASE("in_memory store.compact: what was before its revision is told by no event") {
    store data;
    for (const auto* value : {"1", "2", "3"}) data.put({"a", value}); // 2 to 4
    CHECK(events_from(data, 2, true) == "+a=1@2 +a=2@3 +a=3@4 (a=1) (a=2)");
    data.compact({3});
    CHECK(events_from(data, 3, true) == "+a=2@3 +a=3@4 (a=2)");
}

TEST_CASE("in_memory store.compact: a key deleted and put again within its revision stays") {
    store data;
    data.put({"a", "1"});
    data.put({"b", "1"});
    data.txn(etcd::when().then(etcd::erase(etcd::from("a")), etcd::put("a", "2"))); // 4: etcd does not see that both are about a
    CHECK(events_from(data, 4) == "-a@4 -b@4 +a=2@4");
    data.compact({4});
    CHECK(events_from(data, 4) == "-b@4 +a=2@4");
    CHECK(text(data.range(all())) == "a=2");
    data.put({"a", "3"});
    data.compact({5});
    CHECK(events_from(data, 5) == "+a=3@5");
    CHECK(numbers(data.range("a").kvs.at(0)) == "4/5/2");
}

TEST_CASE("in_memory store.compact: at any moment, the states and changes from its revision on are as they were") {
    std::uint32_t random = 1;
    const auto draw = [&random](std::uint32_t below) {
        random = random * 1664525u + 1013904223u;
        return (random >> 16) % below;
    };
    store data;
    store twin; // never compacted
    for (int step = 0; step < 2000; ++step) {
        const std::string key(1, static_cast<char>('a' + draw(5)));
        for (auto* one : {&data, &twin}) {
            if (step % 3 == 0) one->erase(key);
            else one->put({key, std::to_string(step)});
        }
        REQUIRE(data.current() == twin.current());
        if (draw(20) != 0) continue;
        const auto oldest = std::max<std::int64_t>(data.compacted().value, 1);
        const auto cut = oldest + 1 + draw(static_cast<std::uint32_t>(data.current().value - oldest) + 1);
        if (cut > data.current().value) continue;
        data.compact({cut});
        for (auto revision = cut; revision <= data.current().value; ++revision) {
            auto request = all();
            request.revision.value = revision;
            REQUIRE(text(data.range(request)) == text(twin.range(request)));
        }
        REQUIRE(events_from(data, cut) == events_from(twin, cut));
    }
}
