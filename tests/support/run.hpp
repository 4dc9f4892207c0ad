#pragma once
// Runs a test's coroutines to their end, never longer than a hard deadline; and the etcd that the tests of one program share.

#include <local_etcd.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace etcdcoll::test {

namespace asio = boost::asio;

/// A coroutine of one rank. It is called once for each rank, and outlives what it has returned, so it may capture.
using rank_function = std::function<asio::awaitable<void>(int rank)>;

/// Runs `body` on a single-threaded io_context of its own, and then what it has left behind (a client that closes), until nothing is
/// left to do. Rethrows what `body` has thrown. At the deadline the test fails; what hangs is destroyed where it stands.
void run(asio::awaitable<void> body, std::chrono::milliseconds deadline = std::chrono::seconds(30));

/// Runs `function(0)` to `function(n - 1)` concurrently on one io_context, waits for all of them, and rethrows the exception that was
/// thrown first. At the deadline the test fails and names the ranks that hang.
void run_ranks(int n, rank_function function, std::chrono::milliseconds deadline = std::chrono::seconds(30));

/// One server for the test program, started on first use. A test that stops, pauses or restarts a server starts its own. Fails the test,
/// with what to install, where there is none.
command::local_etcd& test_etcd();

/// Begins the keys of one test, and of no other test on the same server.
std::string unique_prefix();

} // namespace etcdcoll::test
