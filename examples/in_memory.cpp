// A unit test of a service, without a server and without waiting: etcdcoll run -n 1 -- in_memory
#include <etcdcoll/etcdcoll.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <cassert>
#include <iostream>

namespace asio = boost::asio;
using namespace boost::asio::experimental::awaitable_operators;

// What is tested: two processes agree on their work, and one of them dies over it.
asio::awaitable<std::string> indexer(etcdcoll::client etcd, int rank, bool dies) {
    etcdcoll::group_options options;
    options.name("indexers").rank(rank).size(2).ttl(std::chrono::seconds(10));
    auto group = co_await etcdcoll::group::join(etcd, options);
    const auto shards = co_await group.allgather("shard-" + std::to_string(rank));
    if (dies) co_return "died";
    try {
        co_await group.barrier(); // that all have done their work
    } catch (const etcdcoll::error& failure) {
        co_return failure.what();
    }
    co_return "done: " + shards[0] + ", " + shards[1];
}

// [snippet in_memory]
int main() {
    etcdcoll::etcd::in_memory etcd;
    std::string survivor;
    etcd.run([&](etcdcoll::client client) -> asio::awaitable<void> {
        auto both = indexer(client, 0, false) && indexer(client, 1, true);
        const auto said = co_await std::move(both);
        survivor = std::get<0>(said);
    });
    std::cout << survivor << '\n'; // barrier 2 of group "indexers": lost rank 1 of 2 (1: lease expired on host ...): ten seconds, in no time
    assert(survivor.find("lost rank 1 of 2") != std::string::npos);
}
// [/snippet]
