// A service that joins a group on an io_context of its own:  etcdcoll run -n 2 -- ./service
#include <etcdcoll/etcdcoll.hpp>
#include <etcdcoll/json.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

// [snippet service]
boost::asio::awaitable<void> serve(etcdcoll::client etcd) {
    etcdcoll::group_options options;
    options.name("indexers").size(2).ttl(std::chrono::seconds(10)); // the rank: from the options, the environment, or assigned by etcd
    auto group = co_await etcdcoll::group::join(etcd, options);

    nlohmann::json mine; // <etcdcoll/json.hpp>: anything that nlohmann_json converts, CBOR on the wire
    mine["rank"] = group.rank();
    mine["shards"] = {2 * group.rank(), 2 * group.rank() + 1};
    const auto all = co_await group.allgather(mine);
    for (const auto& each : all) std::cout << each.dump() + "\n";

    co_await group.barrier();
    co_await group.leave(); // what this rank wrote goes at once; after a crash it goes with its lease
}
// [/snippet]

int main() {
    boost::asio::io_context io;
    int status = 0;
    boost::asio::co_spawn(io, serve(etcdcoll::client(io.get_executor())), [&status](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& why) {
            std::cerr << why.what() << '\n';
            status = 1;
        }
    });
    io.run();
    return status;
}
