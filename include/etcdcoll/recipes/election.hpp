#pragma once
// One process of all that lead, and a value that it proclaims to the others.

#include <etcdcoll/session.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace etcdcoll {

namespace detail {
class leader_news;
class place;
class receipts;
} // namespace detail

/// That this process leads. Move-only. Destroying it resigns in the background; resign() tells how that went. A leader who was paused too long, or cut
/// off, leads no more and may not know yet: what only the leader may change is changed by a transaction with still_leader() among its compares.
class ETCDCOLL_API leadership {
public:
    leadership(leadership&&) noexcept;
    leadership& operator=(leadership&&) noexcept;
    ~leadership();

    /// The fencing token: greater than that of every leader before.
    etcd::revision token() const;
    /// Holds as long as the leadership does.
    etcd::compare still_leader() const;
    const std::string& key() const;

    /// Every observer sees the value, once, and after what was proclaimed before.
    ///
    /// Errors:  lease_lost, when another may lead by now: nothing was proclaimed; outcome_unknown: it is proclaimed, or never will be; closed; the client's.
    /// Cancel:  terminal; as outcome_unknown.
    /// Cost:    1 request, 1 event an observer.
    asio::awaitable<void> proclaim(std::string value);

    /// The next candidate leads when this returns, or before.
    ///
    /// Errors:  lease_lost, when the leadership had been lost before; closed, when it was resigned before; outcome_unknown and the client's: it is then
    ///          resigned in the background.
    /// Cancel:  terminal; as outcome_unknown.
    /// Cost:    1 request.
    asio::awaitable<void> resign();

    /// Returns when the leadership is lost: the lease has ended, or somebody has deleted the key.
    ///
    /// Errors:  closed, when it was resigned instead, or the session was closed.
    /// Cancel:  terminal; the leadership stays.
    /// Cost:    a watch.
    asio::awaitable<void> lost();

private:
    friend class election;
    explicit leadership(std::shared_ptr<detail::place> held);
    std::shared_ptr<detail::place> held_;
};

/// What the leaders of an election proclaim, as it happens. Move-only; needs no session. One coroutine at a time.
class ETCDCOLL_API leader_feed {
public:
    /// Throws errc::invalid_argument for a name that cannot be an election's.
    leader_feed(etcd::client client, std::string name);
    leader_feed(leader_feed&&) noexcept;
    leader_feed& operator=(leader_feed&&) noexcept;
    ~leader_feed();

    /// Returns the value with which somebody leads, or which a leader has proclaimed: the first time, of him who leads now, or is the next to; from
    /// then on, every one of every leader, in order, once. `create_revision` tells leaders apart: it is their token. Where etcd's history was
    /// compacted while this process was cut off, what it took is left out.
    ///
    /// Errors:  timed_out; the client's and the watch's. After each the next call goes on.
    /// Cancel:  terminal; the next call goes on, and nothing is left out for it. But what drops the loser's result, as `feed.next() || timer` does,
    ///          can drop what was told in that very moment: bound the wait by `timeout`.
    /// Cost:    1 request at first and a watch; 1 event for each candidate that comes or goes, and each proclamation.
    asio::awaitable<etcd::key_value> next(duration timeout = std::chrono::seconds(300));

private:
    std::shared_ptr<detail::leader_news> news_;
};

/// A copyable handle; any thread may use it. The candidate that came first leads; two campaigns of one session are two candidates. Keys:
/// `<name>/@election/...`, one for each candidate, under its session's lease.
class ETCDCOLL_API election {
public:
    /// Throws errc::invalid_argument for a name that is empty, longer than 1024 bytes or contains "/@", and errc::closed where the session is not open.
    election(const session& of, std::string name);
    election(const election&) noexcept;
    election& operator=(const election&) noexcept;
    ~election();

    /// Returns when this process leads; `value` is then what it proclaims.
    ///
    /// Errors:  timed_out (who leads, and since which revision); lease_lost and closed, when the session has ended; the client's.
    /// Cancel:  terminal; the candidacy is withdrawn, in the background, as after every error.
    /// Cost:    1 request where nobody leads; otherwise 1 more, a watch of the one key before its own, and 1 event and 1 request when that goes.
    asio::awaitable<leadership> campaign(std::string value, duration timeout = std::chrono::seconds(300));

    /// Campaigns, runs `body` while this process leads, and resigns. When the leadership is lost the body is cancelled (terminal), and when it has ended
    /// lead() throws lease_lost. The body runs on a strand of the caller's executor; what it waits for must take a cancellation, as all of this
    /// library's calls do.
    ///
    /// Errors:  campaign()'s; what the body throws; lease_lost, when the leadership was lost before it was resigned; resign()'s.
    /// Cancel:  terminal; cancels the body and waits for its end. Resigned in the background.
    /// Cost:    campaign() and resign(), and a watch.
    asio::awaitable<void> lead(std::string value, std::function<asio::awaitable<void>(leadership&)> body,
                               duration timeout = std::chrono::seconds(300));

    /// Who leads: `value` is the last that was proclaimed, `create_revision` the token. Nothing where nobody does. Cost: 1 request.
    asio::awaitable<std::optional<etcd::key_value>> leader();

    /// What the leaders proclaim from now on.
    leader_feed observe() const;

private:
    static asio::awaitable<leadership> leadership_of(asio::awaitable<std::shared_ptr<detail::place>> campaigning);
    static asio::awaitable<void> lead_alone(std::shared_ptr<detail::receipts> book, std::string value,
                                            std::function<asio::awaitable<void>(leadership&)> body, duration timeout);
    static asio::awaitable<void> lead_here(std::shared_ptr<detail::receipts> book, std::string value,
                                           std::function<asio::awaitable<void>(leadership&)> body, duration timeout);
    std::shared_ptr<detail::receipts> book_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/election.ipp>
#endif
