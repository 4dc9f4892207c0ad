#pragma once
// What watches bring, checked as it comes and against the server's whole history.

#include <etcdcoll/etcd/client.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// One change of one key.
struct change {
    change(std::int64_t revision_, bool erased_, std::string key_, std::string value_)
        : revision(revision_), erased(erased_), key(std::move(key_)), value(std::move(value_)) {}
    std::int64_t revision;
    bool erased;
    std::string key;
    std::string value;
    bool operator==(const change&) const = default;
    /// "7 put a=b", "8 erase a"; long values are cut.
    std::string text() const;
};

/// The changes that one watch has brought.
class change_log {
public:
    void add(const etcd::watch_response& response);
    const std::vector<change>& all() const noexcept { return all_; }
    /// The newest revision; 0 without any.
    std::int64_t last() const noexcept { return all_.empty() ? 0 : all_.back().revision; }
    /// What put_end() writes has come.
    bool ended() const noexcept { return !all_.empty() && all_.back().key.ends_with("~end"); }
    /// The first promise that a watch broke: a revision out of order, again, or in two responses. Empty: none.
    const std::string& fault() const noexcept { return fault_; }

private:
    std::vector<change> all_;
    std::string fault_;
};

/// Where `seen` first differs from what `history` has from revision `from` to `to`; empty: nowhere.
std::string difference(const std::vector<change>& seen, const std::vector<change>& history, std::int64_t from, std::int64_t to);

/// Reads a watch until it has brought revision `end`.
asio::awaitable<void> read_until(etcd::watch* from, change_log* into, std::int64_t end);

/// Writes a last key below `prefix` and returns its revision: a watch that has brought it has brought all. It may do so before this returns.
asio::awaitable<std::int64_t> put_end(client c, std::string prefix);

/// All changes below `prefix` from a revision on, up to one that is among them.
asio::awaitable<std::vector<change>> history_of(client c, std::string prefix, std::int64_t from, std::int64_t end);

/// Coroutines that run beside the test's own, which has to join() them: where it fails before that, what they use must bear it.
class crowd {
public:
    explicit crowd(asio::any_io_executor executor);
    void add(asio::awaitable<void> member);
    int running() const noexcept { return state_->running; }
    /// Returns when all have ended; rethrows what the first that failed has thrown.
    asio::awaitable<void> join();

private:
    struct state {
        explicit state(const asio::any_io_executor& executor) : done(executor, environment::system()) {}
        detail::condition done;
        int running = 0;
        std::exception_ptr failure;
    };

    asio::any_io_executor executor_;
    std::shared_ptr<state> state_; // outlives the crowd with the last of its members
};

} // namespace etcdcoll::test
