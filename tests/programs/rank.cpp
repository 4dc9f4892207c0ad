// A rank that a test starts as a process, kills and stops: joins the group of its environment, says "joined", and calls barrier and allgather in turn
// until one fails or standard input ends. It says how it ended in one line: "left <collectives>" or "<code>: <sentence>".
#include <etcdcoll/etcdcoll.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <iostream>

#include <poll.h>

namespace {

// Rank 0 decides for all when it is over, so that all make the same number of calls.
bool asked_to_end() {
    pollfd input{0, POLLIN, 0};
    return ::poll(&input, 1, 0) > 0;
}

boost::asio::awaitable<void> live(etcdcoll::client etcd) {
    etcdcoll::group_options options;
    options.ttl(std::chrono::seconds(std::atoi(std::getenv("TEST_TTL")))).timeout(std::chrono::seconds(60)).join_timeout(std::chrono::seconds(60));
    auto group = co_await etcdcoll::group::join(etcd, options);
    std::cout << "joined epoch " << group.epoch() << std::endl;
    long count = 0;
    for (bool over = false; !over; count += 2) {
        co_await group.barrier();
        const int mine = group.rank() == 0 && asked_to_end() ? -1 : group.rank();
        const auto all = co_await group.allgather(mine);
        over = all.at(0) == -1;
        for (int rank = 1; rank < group.size(); ++rank)
            if (all.at(static_cast<std::size_t>(rank)) != rank) throw std::runtime_error("wrong result");
        if (count == 0) std::cout << "running" << std::endl;
    }
    co_await group.leave();
    std::cout << "left " << count << std::endl;
}

} // namespace

int main() {
    boost::asio::io_context io;
    int status = 0;
    boost::asio::co_spawn(io, live(etcdcoll::client(io.get_executor())), [&](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const etcdcoll::error& why) {
            std::cout << why.code().message() << ": " << why.what() << std::endl;
            status = 3;
        } catch (const std::exception& why) {
            std::cout << "exception: " << why.what() << std::endl;
            status = 4;
        }
    });
    io.run();
    return status;
}
