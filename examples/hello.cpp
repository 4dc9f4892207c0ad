// Four ranks that learn of each other:  etcdcoll run -n 4 -- ./hello
// [snippet hello]
#include <etcdcoll/etcdcoll.hpp>

#include <iostream>

boost::asio::awaitable<void> hello(etcdcoll::group& group) {
    auto names = co_await group.allgather(etcdcoll::host_name() + "#" + std::to_string(group.rank())); // std::vector<std::string>, by rank
    co_await group.barrier();
    std::string line = "rank " + std::to_string(group.rank()) + " of " + std::to_string(group.size()) + " met";
    for (const auto& name : names) line += " " + name;
    std::cout << line << '\n';
}

int main() { return etcdcoll::run(hello); } // joins the group that the environment names; on failure prints one sentence and returns 1
// [/snippet]
