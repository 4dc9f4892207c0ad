#pragma once
// Groups for tests: clients, options and what is left in etcd.

#include <support/run.hpp>

#include <etcdcoll/group.hpp>

#include <boost/asio/steady_timer.hpp>

#include <map>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// A group name of this test's own, with characters that a careless key layout would trip over.
std::string unique_group();

/// Short limits, so that a failing test ends soon; a lease of 3 s.
group_options options_for(const std::string& name, int size, int rank);

client client_for(const asio::any_io_executor& executor, const std::string& endpoint, logger log = logger(log_level::off, {}));

/// The keys of the group that are there now, with their versions, by name behind the group's prefix and epoch.
std::map<std::string, std::int64_t> keys_of(const std::string& endpoint, const std::string& group);

/// Waits until the group has no key any more (a lease may have to run out); false at the deadline.
bool wait_no_keys(const std::string& endpoint, const std::string& group, std::chrono::milliseconds deadline);

/// Returns when that many members of the group are there.
asio::awaitable<void> until_members(std::string endpoint, std::string group, std::size_t count);

/// Lets the ranks of one test, all on one thread, wait for each other without etcd.
class meeting {
public:
    explicit meeting(int expected) : expected_(expected) {}
    asio::awaitable<void> wait();

private:
    int expected_;
    int come_ = 0;
    std::vector<asio::steady_timer*> waiting_; // each in the frame of its coroutine
};

/// The message of the error that `waiting` ends with; fails the test when it does not, or with another code.
asio::awaitable<std::string> expect_error(asio::awaitable<void> waiting, errc reason);

/// One rank's life: joins, runs `body`, leaves.
asio::awaitable<void> member(std::string endpoint, group_options options, std::function<asio::awaitable<void>(group&)> body);

} // namespace etcdcoll::test
