// The etcd client by itself:  etcdcoll run -n 1 -- ./raw
#include <etcdcoll/etcdcoll.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

// [snippet raw]
boost::asio::awaitable<void> config(etcdcoll::client client) {
    using namespace etcdcoll::etcd;
    auto request = when(version("config/colour") == 0).then(put("config/colour", "red")).otherwise(get("config/colour"));
    const auto done = co_await client.txn(request);
    std::cout << (done.succeeded ? "set" : "was there") << " at revision " << done.header.revision.value << '\n';

    const auto found = co_await client.range(prefix("config/"));
    for (const auto& kv : found.kvs) std::cout << kv.key << " = " << kv.value << '\n';
}
// [/snippet]

int main() {
    boost::asio::io_context io;
    int status = 0;
    boost::asio::co_spawn(io, config(etcdcoll::client(io.get_executor())), [&status](std::exception_ptr failure) {
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
