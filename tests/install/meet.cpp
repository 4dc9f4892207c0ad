// A user's program: the ranks of a group meet, and each learns what the others brought.
#include <etcdcoll/etcdcoll.hpp>
#include <etcdcoll/json.hpp>

#include <boost/asio/awaitable.hpp>

#include <iostream>

boost::asio::awaitable<void> meet(etcdcoll::group& group) {
    nlohmann::json mine;
    mine["rank"] = group.rank();
    mine["host"] = etcdcoll::host_name();

    co_await group.barrier();
    auto all = co_await group.allgather(mine);

    for (auto& each : all) {
        std::cout << each.dump() << '\n';
    }
}

int main() {
    return etcdcoll::run(meet);
}
