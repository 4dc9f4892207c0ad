#pragma once
// Reads and writes of several keys that take effect together, or not at all.

#include <etcdcoll/recipes/receipt_book.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace etcdcoll {

/// What atomically() gives its body: the keys as they were at one revision, and what the body has written since. Valid while the body runs, and used by
/// one coroutine at a time.
class ETCDCOLL_API transaction {
public:
    /// The value of a key in the snapshot, or what this transaction has put; nothing where it is absent.
    ///
    /// Errors:  the client's. An error goes through the body; it may end the body's run, after which it is run again.
    /// Cancel:  terminal.
    /// Cost:    1 request for a key that has not been read yet; none in a repetition for what was read before.
    asio::awaitable<std::optional<std::string>> get(std::string key);
    /// Written when the body has ended.
    void put(std::string key, std::string value, etcd::lease_id lease = {});
    /// Deleted when the body has ended.
    void erase(std::string key);

    struct state;
    explicit transaction(state& of) noexcept : state_(of) {} // atomically() does
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

private:
    state& state_;
};

using transaction_body = std::function<asio::awaitable<void>(transaction&)>;

/// Runs `body`, and commits what it has written where no key that it has read or written was changed meanwhile; otherwise runs it again, on what is there
/// then. So the transactions have one order, and each sees what those before it have written (serializable), all of it at one revision, also while
/// it is doomed. Returns the revision of the commit; of a body that has written nothing, that of what it has read. A body may run several times: it
/// should have no other effects.
///
/// Where the reply to the commit is lost, it is sent again if it writes a key that the body has read and found: the comparison with that key's revision
/// keeps it from being executed twice. But when it is then refused, etcd does not tell whether its own first copy was before it or another's change: that
/// is outcome_unknown. So is any lost reply to a commit without such a key, which is not sent again: a late copy would find absent again what others have
/// deleted meanwhile. The form with a receipt_book always knows.
///
/// Errors:  timed_out (others were faster each time; which key); outcome_unknown; invalid_argument (more than 125 keys); what the body throws, and nothing
///          is written; the client's.
/// Cancel:  terminal; the commit may have been executed.
/// Cost:    1 request a key that is read, 1 to commit where anything was written; a repetition brings the new values of all keys with the refusal,
///          and waits 2 to 250 ms, with jitter.
ETCDCOLL_API asio::awaitable<etcd::revision> atomically(etcd::client client, transaction_body body, duration timeout = std::chrono::seconds(30));

/// As above, and exactly once however many replies are lost; outcome_unknown only where the deadline passes without any.
ETCDCOLL_API asio::awaitable<etcd::revision> atomically(receipt_book book, transaction_body body, duration timeout = std::chrono::seconds(30));

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/transaction.ipp>
#endif
