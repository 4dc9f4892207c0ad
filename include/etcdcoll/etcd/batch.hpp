#pragma once
// Many independent writes at the speed of few: packed into transactions, several of which are under way at once.
//
//     etcd::batch writes(client);
//     for (const auto& [key, value] : items) writes.put(key, value);
//     auto done = co_await writes.run();
//     if (!done.complete()) ...

#include <etcdcoll/etcd/client.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace etcdcoll::etcd {

enum class batch_fate {
    written,     ///< for certain
    not_written, ///< for certain
    unknown,     ///< its transaction was sent, and no answer came
};

/// What became of one operation.
struct batch_entry {
    batch_fate fate = batch_fate::not_written;
    etcd::revision revision;      ///< at which it was written
    std::int64_t deleted = 0;     ///< by an erase: 1 where the key was there
    std::optional<error> failure; ///< of its transaction, or of an earlier operation on its key; nothing where it was written
};

struct [[nodiscard]] batch_result {
    std::vector<batch_entry> operations; ///< in the order of put() and erase()
    std::size_t transactions = 0;        ///< that were sent

    /// Every operation was written.
    ETCDCOLL_API bool complete() const noexcept;
    /// Throws the first failure that there is.
    ETCDCOLL_API void check() const;
};

namespace detail {

struct batch_operation {
    batch_operation(std::string key_, std::string value_, lease_id lease_, bool erases_)
        : key(std::move(key_)), value(std::move(value_)), lease(lease_), erases(erases_) {}

    std::string key;
    std::string value;
    lease_id lease;
    bool erases;
};

} // namespace detail

/// Not for several threads at once.
class ETCDCOLL_API batch {
public:
    explicit batch(client through);

    /// Transactions under way at once, at most. Default 4. Throws errc::invalid_argument for 0.
    batch& transactions_in_flight(std::size_t most);

    /// Writes one key. Errors: invalid_argument, too_large, here and at once.
    batch& put(std::string key, std::string value, lease_id lease = {});
    /// Deletes one key.
    batch& erase(std::string key);
    std::size_t size() const noexcept { return operations_.size(); }

    /// Writes everything that was put in, and empties the batch. Operations on one key are executed in their order, each at a revision of
    /// its own; operations on different keys in any order, up to 128 at one revision. Each transaction is atomic, the batch is not: others
    /// see it half done, and where a transaction fails the others are executed all the same, but for later operations on its keys, which are
    /// not sent.
    ///
    /// Errors:  none that an operation's entry can tell.
    /// Cancel:  terminal; what was sent may be executed, nothing more is sent.
    /// Cost:    one transaction for up to 128 operations and 1.5 MiB; a key that is written n times makes at least n. Each takes
    ///          `each.timeout` at most, and is not repeated once a byte of it was sent, whatever `each.guarded` says.
    asio::awaitable<batch_result> run(call_options each = {});

private:
    batch& add(detail::batch_operation added, const char* call);

    client client_;
    std::vector<detail::batch_operation> operations_;
    std::size_t in_flight_ = 4;
};

} // namespace etcdcoll::etcd

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/batch.ipp>
#endif
