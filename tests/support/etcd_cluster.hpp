#pragma once
// A cluster of real etcd members on loopback ports, for tests of what happens when some of them are gone.

#include <support/blocking_http.hpp>

#include <local_etcd.hpp>

#include <memory>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// Members that all serve when the constructor returns. Their heartbeats and elections are etcd's defaults (100 ms, 1 s) unless the arguments say otherwise.
/// All calls block, are bounded, and throw std::runtime_error with the end of a member's log where they fail.
class etcd_cluster {
public:
    /// Every member runs with the options `each`; `access` is what leader() needs where they ask for client certificates or a token.
    explicit etcd_cluster(std::size_t size = 3, const command::local_etcd_options& each = {}, http_access access = {});

    std::size_t size() const noexcept { return members_.size(); }

    /// All members, in their order, with commas between.
    std::string endpoints() const;

    /// To kill(), pause() and resume(); restart() where a majority runs, else launch() enough of them first.
    command::local_etcd& member(std::size_t i) { return *members_.at(i); }

    /// The member that leads, as itself and the latest term have it; waits for an election where one is due. Killed and paused members are not asked.
    std::size_t leader();

    /// The first running member that does not lead.
    std::size_t follower();

    /// Kills those that run, starts all and returns when they serve, with the data they had.
    void restart();

private:
    void launch_all(const command::local_etcd_options& each);

    http_access access_;
    std::vector<std::unique_ptr<command::local_etcd>> members_;
};

} // namespace etcdcoll::test
