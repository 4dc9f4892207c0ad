#pragma once
// What operations are executed on, to be compared: an etcd through a client, or the store of the in-memory one.

#include "operation.hpp"
#include "outcome.hpp"

#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// Through a client, to an etcd that nobody has used.
class client_subject {
public:
    explicit client_subject(client through) : client_(std::move(through)) {}

    /// The first time changes nothing, and returns 1. Then it ends all watches and leases, deletes every key but "base", which it puts, and
    /// forgets the history; returns the revision of that.
    asio::awaitable<std::int64_t> begin();
    /// Its revisions are not relative any more. A watch is numbered from 0 by the order in which they began.
    asio::awaitable<outcome> execute(operation what);
    /// All that a watch has brought since the beginning, waiting until that are `count` lines, or `patience` has passed; compaction is a line of
    /// its own.
    asio::awaitable<std::vector<std::string>> watched(std::size_t number, std::size_t count, duration patience);

private:
    struct running {
        etcd::watch watch;
        std::vector<std::string> lines;
        bool over = false;
    };

    asio::awaitable<void> hear(running& one, std::size_t count, duration patience);

    client client_;
    bool used_ = false;
    std::vector<running> watches_;
};

/// Where versions of etcd differ from the newest ones, whom the store follows.
struct differences {
    /// Before 3.4.34 and 3.5.16 a compaction took the deletions of its own revision along.
    bool compaction_takes_deletions = false;
    /// From 3.6 on the operations of a transaction are checked in their order; before, all puts were checked before all ranges.
    bool txn_is_checked_in_order = false;
    /// Bytes of the number by which etcd's log knows a request: those of the member's number decide.
    std::size_t request_number = 10;
};

/// Of "3.4.23".
differences differences_of(const std::string& version);

/// The store itself.
class store_subject {
public:
    /// In the state that client_subject::begin() has left.
    store_subject(std::int64_t revision, etcd::model::limits most, differences of, std::function<time_point()> now);

    std::int64_t current() const noexcept { return store_.current().value; }
    outcome execute(const operation& what);
    std::vector<std::string> watched(std::size_t number);
    /// Whether etcd may answer so where the store answers so.
    bool allows(const operation& what, const outcome& its, const outcome& mine) const;

    /// May change an answer: how a comparison proves that it finds a wrong one.
    std::function<void(const operation&, outcome&)> distort;

private:
    struct running {
        etcd::model::watcher from;
        std::vector<std::string> lines;
        bool over = false;
    };

    outcome answer(const operation& what);

    etcd::model::store store_;
    differences of_;
    std::function<time_point()> now_;
    std::vector<running> watches_;
};

} // namespace etcdcoll::test
