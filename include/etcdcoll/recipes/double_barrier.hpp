#pragma once
// Processes that begin something together, and end it together.

#include <etcdcoll/session.hpp>

#include <memory>
#include <string>

namespace etcdcoll {

namespace detail {
class attendance;
}

/// A barrier before and a barrier behind a piece of work of n processes, whoever they are; after it the name can be used again. Move-only; one call at a time.
/// Keys: `<name>/@double_barrier/...`, one for each that is there, under its session's lease: who dies is not waited for when the others leave, but is
/// missing when they enter. (For processes that have ranks and meet more than twice there is etcdcoll::group.)
class ETCDCOLL_API double_barrier {
public:
    /// `label` tells others who is there; "host, pid 123" where it is empty. Throws errc::invalid_argument for a size below 1 or above 10,000, or a name that
    /// is empty, longer than 1024 bytes or contains "/@", and errc::closed where the session is not open.
    double_barrier(const session& of, std::string name, int size, std::string label = {});
    double_barrier(double_barrier&&) noexcept;
    double_barrier& operator=(double_barrier&&) noexcept;
    ~double_barrier(); ///< leaves, in the background, where leave() was not called

    /// Returns when `size` processes have called it: for all of them, or for none. Waits before that until those who were here last have left.
    ///
    /// Errors:  timed_out (how many of how many are there, and who); group_full (`size` others were there first); lease_lost and closed, when the session
    ///          has ended; invalid_argument, when it was entered already; the client's.
    /// Cancel:  terminal; withdrawn in the background. As after every error that leaves it open whether the others were released: they then see this
    ///          process leave.
    /// Cost:    1 request, and 1 more for the last; for the others a watch, 1 event and 1 more request.
    asio::awaitable<void> enter(duration timeout = std::chrono::seconds(300));

    /// Returns when all who entered have left, or died.
    ///
    /// Errors:  timed_out (who is still there): this process has left all the same; lease_lost and closed, when the session has ended; invalid_argument, when
    ///          it was not entered; the client's.
    /// Cancel:  terminal; left all the same, in the background.
    /// Cost:    1 request, and a watch, 1 event and 1 request for each that leaves later.
    asio::awaitable<void> leave(duration timeout = std::chrono::seconds(300));

private:
    std::shared_ptr<detail::attendance> here_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/double_barrier.ipp>
#endif
