#pragma once
// The main function of a program that runs as N ranks.

#include <etcdcoll/group.hpp>
#include <etcdcoll/host.hpp>

#include <functional>

namespace etcdcoll {

/// Joins the group that the environment names (as `etcdcoll run` sets it), runs `program`, leaves. Returns 0; when anything fails, prints one
/// sentence to standard error and returns 1. Runs its own single-threaded io_context.
ETCDCOLL_API int run(std::function<asio::awaitable<void>(group&)> program);

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/run.ipp>
#endif
