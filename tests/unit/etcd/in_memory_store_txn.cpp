#include "in_memory_store_support.hpp"

using namespace etcdcoll;
using namespace etcdcoll::test;
using namespace etcdcoll::etcd;

namespace {

const std::string duplicate = "3 etcdserver: duplicate key given in txn request";
const std::string too_many = "3 etcdserver: too many operations in txn request";
const std::string future = "11 etcdserver: mvcc: required revision is a future revision";

txn_request puts(std::size_t n, const std::string& begin = "k") {
    txn_request request;
    for (std::size_t i = 0; i < n; ++i) request.success.push_back(etcd::put(begin + std::to_string(i), ""));
    return request;
}

bool holds(test::store& data, compare one) { return data.txn(when(std::move(one))).succeeded; }

template <class T> const T& reply_of(const txn_response& reply, std::size_t nth) { return std::get<T>(reply.responses.at(nth)); }

} // namespace

TEST_CASE("in_memory store.txn: compares numbers and values; what is absent has zeros and no value") {
    test::store data;
    data.put({"a", "m"});
    data.put({"a", "m"});
    data.put({"b", ""});
    CHECK(holds(data, version("a") == 2));
    CHECK_FALSE(holds(data, version("a") != 2));
    CHECK(holds(data, create_revision("a") < 3));
    CHECK(holds(data, mod_revision("a") > 2));
    CHECK(holds(data, lease("a") == 0));
    CHECK(holds(data, value("a") == "m"));
    CHECK(holds(data, value("a") > "l"));
    CHECK_FALSE(holds(data, value("a") < "m"));
    CHECK(holds(data, value("a") < "\xff"));
    CHECK(holds(data, version("x") == 0));
    CHECK(holds(data, mod_revision("x") < 1));
    CHECK_FALSE(holds(data, value("x") == ""));
    CHECK_FALSE(holds(data, value("x") != "m"));
    CHECK(holds(data, value("b") == ""));
    CHECK(holds(data, version(key_range("a", "c")) > 0));
    CHECK_FALSE(holds(data, version(key_range("a", "c")) > 1));
    CHECK(holds(data, version(key_range("m", "a")) == 0));
    CHECK_FALSE(holds(data, value(prefix("x")) != "m"));
}

TEST_CASE("in_memory store.txn: its operations see those before them, its compares the state before all of it") {
    test::store data;
    data.put({"a", "1"});
    const auto nested = when(value("a") == "2").then(etcd::put("n", "new")).otherwise(etcd::put("n", "old"));
    const auto reply = data.txn(when(version("a") == 1)
                                    .then(etcd::get("a"), etcd::put("a", "2"), etcd::get("a"), nested, etcd::erase("b"), etcd::get("n")));
    CHECK(reply.succeeded);
    CHECK(reply.header.revision.value == 3);
    CHECK(text(reply_of<range_response>(reply, 0)) == "a=1");
    CHECK(reply_of<range_response>(reply, 0).header.revision.value == 2);
    CHECK(reply_of<put_response>(reply, 1).header.revision.value == 3);
    CHECK(text(reply_of<range_response>(reply, 2)) == "a=2");
    CHECK(reply_of<range_response>(reply, 2).header.revision.value == 3);
    CHECK_FALSE(reply_of<txn_response>(reply, 3).succeeded);
    CHECK(reply_of<txn_response>(reply, 3).header.revision.value == 0);
    CHECK(reply_of<delete_range_response>(reply, 4).deleted == 0);
    CHECK(text(reply_of<range_response>(reply, 5)) == "n=old");
    CHECK(data.current().value == 3);
}

TEST_CASE("in_memory store.txn: reads the state before it at the revision that it had") {
    test::store data;
    data.put({"a", "1"});
    const auto reply = data.txn(when().then(etcd::put("a", "2"), at("a", 2), etcd::erase("x"), etcd::put("b", "1"), at("b", 2)));
    CHECK(text(reply_of<range_response>(reply, 1)) == "a=1");
    CHECK(reply_of<range_response>(reply, 4).kvs.empty());
}

TEST_CASE("in_memory store.txn: a branch that cannot be executed writes nothing") {
    test::store data;
    data.put({"a", "1"});
    CHECK(refused(data, [&] { data.txn(when().then(etcd::put("a", "2"), at("a", 3))); }) == future);
    CHECK(refused(data, [&] { data.txn(when().then(etcd::put("a", "2"), when().then(at("a", 3)))); }) == future);
    CHECK(refused(data, [&] { data.txn(when().then(etcd::put("a", "2"), etcd::put("b", "2", lease_id{7}))); }) ==
          "5 etcdserver: requested lease not found");
    put_request keeping("b", "");
    keeping.ignore_value = true;
    CHECK(refused(data, [&] { data.txn(when().then(etcd::put("a", "2"), keeping)); }) == "3 etcdserver: key not found");
    CHECK(refused(data, [&] { data.txn(when().then(at("a", 3))); }) == future);
    CHECK_NOTHROW(data.txn(when(version("a") == 7).then(at("a", 3), keeping).otherwise(etcd::put("a", "3"))));
    data.compact({3});
    CHECK(refused(data, [&] { data.txn(when().then(etcd::put("a", "2"), at("a", 2))); }) ==
          "11 etcdserver: mvcc: required revision has been compacted");
}

TEST_CASE("in_memory store.txn: takes a key twice only in branches that exclude each other") {
    test::store data;
    const auto twice = [&](txn_request request) { return refused(data, [&] { data.txn(request); }); };
    CHECK(twice(when().then(etcd::put("a", ""), etcd::put("a", ""))) == duplicate);
    CHECK(twice(when(version("a") == 9).then(etcd::put("a", ""), etcd::put("a", ""))) == duplicate);
    CHECK(twice(when().then(etcd::put("a", ""), etcd::erase("a"))) == duplicate);
    CHECK(twice(when().then(etcd::erase(prefix("a")), etcd::put("ab", ""))) == duplicate);
    CHECK(twice(when().then(etcd::put("a", ""), when().then(etcd::put("a", "")))) == duplicate);
    CHECK(twice(when().then(when().then(etcd::put("a", "")), when().otherwise(etcd::put("a", "")))) == duplicate);
    CHECK(twice(when().then(etcd::erase("a"), when().otherwise(etcd::put("a", "")))) == duplicate);
    CHECK(twice(when().then(when().then(etcd::erase("a")), when().then(etcd::put("a", "")))) == duplicate);
    const auto either = when().then(etcd::put("a", "1")).otherwise(etcd::put("a", "2"));
    CHECK_NOTHROW(data.txn(either));
    CHECK_NOTHROW(data.txn(when().then(either)));
    CHECK(twice(when().then(either, etcd::put("a", ""))) == duplicate);
    CHECK_NOTHROW(data.txn(when().then(etcd::erase("a"), etcd::erase("a"))));
}

TEST_CASE("in_memory store.txn: sees no key twice where etcd sees none") {
    test::store data;
    data.put({"a", "1"});
    // An open end is none for etcd's check, and deletes are compared with the puts of what stands behind them only.
    CHECK_NOTHROW(data.txn(when().then(etcd::put("b", "1"), etcd::erase(from("a")))));
    CHECK(data.range(all()).kvs.empty());
    CHECK_NOTHROW(data.txn(when().then(when().then(etcd::put("a", "1")), when().then(etcd::erase("a")))));
    CHECK(data.range(all()).kvs.empty());
}

TEST_CASE("in_memory store.txn: an operation that relies on a key that is deleted before it is refused") {
    test::store data;
    data.put({"a", "1"});
    put_request keeping("a", "");
    keeping.ignore_value = true;
    CHECK(refused(data, [&] { data.txn(when().then(etcd::erase(from("a")), keeping)); }) == "3 etcdserver: key not found");
}

TEST_CASE("in_memory store.txn: takes 128 operations a list, those of nested ones on top of the longest list around them") {
    test::store data;
    CHECK_NOTHROW(data.txn(puts(128)));
    CHECK(refused(data, [&] { data.txn(puts(129)); }) == too_many);
    auto both = puts(128);
    both.failure = puts(128).success;
    CHECK_NOTHROW(data.txn(both));
    CHECK(refused(data, [&] { data.txn(when().then(puts(128))); }) == too_many);
    CHECK_NOTHROW(data.txn(when().then(puts(127))));
    auto many = puts(64);
    many.success.push_back(puts(64, "n"));
    CHECK(refused(data, [&] { data.txn(many); }) == too_many);
    many.success.back() = puts(63, "n");
    CHECK_NOTHROW(data.txn(many));
    CHECK(refused(data, [&] { data.txn(when(version("") == 0)); }) == "3 etcdserver: key is not provided");
    CHECK(refused(data, [&] { data.txn(when().otherwise(when().then(etcd::get("")))); }) == "3 etcdserver: key is not provided");
}
