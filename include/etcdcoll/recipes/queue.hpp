#pragma once
// A queue of byte strings: first in, first out, between any number of processes.

#include <etcdcoll/session.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace etcdcoll {

namespace detail {
class receipts;
}

/// A copyable handle; any thread may use it. Each item is taken by one consumer, once: no lost reply, repetition or late copy of a request loses it or doubles
/// it. Items stay when who pushed them is gone. What is popped is out of the queue: a consumer that dies with an item takes it along (where that must not be,
/// let what is done about an item be one transaction with a key of its own).
///
/// Order: an item whose push() has returned comes before every item whose push() is called after that, by whatever process. Keys: one each item,
/// `<name>/@queue/...`, which hold the items; and one small key below `<name>/@receipts/` for each call that a handle has under way at a time.
class ETCDCOLL_API queue {
public:
    /// Throws errc::invalid_argument for a name that is empty, longer than 1024 bytes or contains "/@", and errc::closed where the session is not open.
    queue(const session& of, std::string name);
    queue(const queue&) noexcept;
    queue& operator=(const queue&) noexcept;
    ~queue();

    /// Puts an item at the end. Any bytes, 1.5 MB at most less the name.
    ///
    /// Errors:  too_large; lease_lost and closed, when the session has ended; outcome_unknown, when the deadline passed without a reply: the item is in the
    ///          queue then, once, or never will be; the client's.
    /// Cancel:  terminal; as outcome_unknown.
    /// Cost:    2 requests.
    asio::awaitable<void> push(std::string item, duration timeout = std::chrono::seconds(8));

    /// Takes the first item, and waits for one where there is none.
    ///
    /// Errors:  timed_out (it is empty); lease_lost and closed, when the session has ended; the client's. An item that was taken in the very moment of an
    ///          error goes back, in the background, to where it stood, unless the session ends too.
    /// Cancel:  terminal; likewise, no item is lost. But one that was returned in the very moment of the cancellation is the caller's: what drops
    ///          the loser's result, as `q.pop() || timer` does, drops it. So bound the wait by `timeout`.
    /// Cost:    2 requests, and 1 for each time that another was faster. While the queue is empty a watch, and 1 event for each push.
    asio::awaitable<std::string> pop(duration timeout = std::chrono::seconds(300));

    /// Takes the first item; nothing where there is none.
    ///
    /// Errors, Cancel: as pop(). Cost: 1 request where it is empty, else as pop().
    asio::awaitable<std::optional<std::string>> try_pop(duration timeout = std::chrono::seconds(8));

    /// How many items there are. Cost: 1 request.
    asio::awaitable<std::int64_t> size();

private:
    std::shared_ptr<detail::receipts> book_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/queue.ipp>
#endif
