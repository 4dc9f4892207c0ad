#pragma once

#include <etcdcoll/etcd/election.hpp>
#include <etcdcoll/impl/etcd/service_call.hpp>

#include <boost/asio/post.hpp>

#include <deque>

namespace etcdcoll::etcd {

namespace detail {

// Never repeated, for the reason that lock_call has.
inline constexpr call_spec campaign_call{"campaign", "/v3/election/campaign", repeatability::once, true};
inline constexpr call_spec proclaim_call{"proclaim", "/v3/election/proclaim", repeatability::once};
inline constexpr call_spec leader_call{"leader", "/v3/election/leader", repeatability::repeatable};
inline constexpr call_spec resign_call{"resign", "/v3/election/resign", repeatability::idempotent}; // compares `rev`

ETCDCOLL_DECL void append_leader_key(std::string& text, const leader_key& leader) {
    codec::object_writer out(text);
    out.bytes("name", leader.name);
    out.bytes("key", leader.key);
    out.number("rev", leader.rev.value);
    out.number("lease", leader.lease.value);
}

ETCDCOLL_DECL std::string encode_campaign(std::string_view name, lease_id lease, std::string_view value) {
    std::string text;
    {
        codec::object_writer out(text);
        out.bytes("name", name);
        out.number("lease", lease.value);
        out.bytes("value", value);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_election(std::string_view name) {
    std::string text;
    {
        codec::object_writer out(text);
        out.bytes("name", name);
    }
    return text;
}

ETCDCOLL_DECL std::string encode_leader(const leader_key& leader, std::string_view value) {
    std::string text;
    {
        codec::object_writer out(text);
        append_leader_key(out.open("leader"), leader);
        out.bytes("value", value);
    }
    return text;
}

ETCDCOLL_DECL campaign_response read_campaign(const codec::json::object& from) {
    campaign_response reply;
    reply.header = codec::read_whole_header(from);
    const auto* leader = codec::find_object(from, "leader");
    if (leader == nullptr) throw codec::bad_reply("leader is missing");
    reply.leader.name = codec::bytes(*leader, "name");
    reply.leader.key = codec::bytes(*leader, "key");
    reply.leader.rev = codec::read_revision(*leader, "rev");
    reply.leader.lease.value = codec::integer<std::int64_t>(*leader, "lease");
    return reply;
}

ETCDCOLL_DECL leader_response read_leader(const codec::json::object& from) {
    leader_response reply;
    reply.header = codec::read_whole_header(from);
    const auto* kv = codec::find_object(from, "kv");
    if (kv == nullptr) throw codec::bad_reply("kv is missing");
    reply.kv = codec::read_key_value(*kv);
    return reply;
}

// No leader is an answer, for which etcd has but an error.
ETCDCOLL_DECL asio::awaitable<std::optional<leader_response>> leader_of(asio::awaitable<leader_response> asking) {
    std::optional<leader_response> found;
    try {
        found = co_await std::move(asking);
    } catch (const error& failure) {
        if (failure.reason() != errc::refused || failure.context().server_message != "election: no leader") throw;
    }
    co_return found;
}

ETCDCOLL_DECL void check_leader(const char* call, const leader_key& leader) {
    check_not_empty(call, "leader's key", leader.key);
    if (!leader.rev) throw error(errc::invalid_argument, std::string(call) + ": the leader has no revision");
}

} // namespace detail

// ---- the observer ---------------------------------------------------------------------------------------------------------------

// The leader is who has the oldest key under "<name>/". Who led at one revision is told by a range of that revision, and what changed since by
// a watch on the leader's key, so nobody in between is missed.
// Used on the client's strand only.
struct election_observer::state {
    state(client through_, const std::string& name) : through(std::move(through_)), prefix(name + "/") {}

    range_request oldest() const {
        range_request request(etcd::prefix(prefix));
        request.limit = 1;
        request.sort_order = sort_order::ascend;
        request.sort_target = sort_target::create;
        request.revision = at;
        return request;
    }

    // Who leads at `at`, and from where on to watch.
    void listed(range_response found) {
        const auto now = at ? at : found.header.revision;
        led = !found.kvs.empty();
        watched = led ? key_range(found.kvs.front().key) : etcd::prefix(prefix);
        if (led && !told(found.kvs.front())) tell(found.header, std::move(found.kvs.front()));
        seen = now;
        follow();
    }

    void follow() { changes.emplace(through.watch(watch_request(*watched, revision{seen.value + 1}))); }

    void changed(watch_response response) {
        seen = response.events.back().kv.mod_revision;
        for (auto& one : response.events) {
            if (led && one.type == event::kind::put) {
                tell(response.header, std::move(one.kv));
            } else if (led || one.type == event::kind::put) { // the leader has gone, or there is one again
                at = one.kv.mod_revision;
                list_again();
                return;
            }
        }
    }

    // Not by the revision alone: who waited in line wrote his value before his predecessor proclaimed the last one.
    bool told(const key_value& kv) const { return kv.mod_revision == last_revision && kv.key == last_key; }

    void tell(const response_header& header, key_value kv) {
        last_revision = kv.mod_revision;
        last_key = kv.key;
        leader_response one;
        one.header = header;
        one.kv = std::move(kv);
        ready.push_back(std::move(one));
    }

    void list_again() {
        watched.reset();
        changes.reset();
    }

    void compacted() {
        at = revision{};
        list_again();
    }

    client through;
    std::string prefix;
    revision at; // of the next listing; 0: the newest
    bool led = false;
    std::optional<key_range> watched; // the leader's key, or all where there is none
    revision seen;                    // what is watched was told up to there
    std::optional<watch> changes;     // nothing behind a watch that failed: the next one goes on where it was
    revision last_revision;       // what was told last
    std::string last_key;
    std::deque<leader_response> ready;
    bool cancelled = false;
};

ETCDCOLL_DECL election_observer::election_observer(std::shared_ptr<state> observed) : state_(std::move(observed)) {}
ETCDCOLL_DECL election_observer::election_observer(election_observer&&) noexcept = default;

ETCDCOLL_DECL election_observer& election_observer::operator=(election_observer&& other) noexcept {
    if (this == &other) return *this;
    cancel();
    state_ = std::move(other.state_);
    return *this;
}

ETCDCOLL_DECL election_observer::~election_observer() { cancel(); }

ETCDCOLL_DECL void election_observer::cancel() noexcept {
    if (!state_) return;
    const auto strand = state_->through.core()->strand();
    asio::post(strand, [ended = std::move(state_)] {
        ended->cancelled = true;
        if (ended->changes) ended->changes->cancel();
    });
    state_.reset();
}

ETCDCOLL_DECL asio::awaitable<leader_response> election_observer::next_of(std::shared_ptr<state> observed) {
    auto& s = *observed;
    while (s.ready.empty()) {
        if (s.cancelled) throw error(errc::closed, "observe: cancelled");
        bool lost = false;
        try {
            if (s.watched) {
                if (!s.changes) s.follow();
                auto response = co_await s.changes->next();
                s.changed(std::move(response));
            } else {
                auto request = s.oldest();
                auto found = co_await s.through.range(std::move(request));
                if (!s.cancelled) s.listed(std::move(found));
            }
        } catch (const error& failure) {
            lost = failure.reason() == errc::compacted;
            if (!lost && failure.reason() != errc::cancelled) s.changes.reset(); // the watch is over
            if (!lost) throw;
        }
        if (lost) s.compacted();
    }
    auto one = std::move(s.ready.front());
    s.ready.pop_front();
    co_return one;
}

ETCDCOLL_DECL asio::awaitable<leader_response> election_observer::next() {
    if (!state_) throw error(errc::closed, "observe: cancelled");
    return etcdcoll::detail::on_strand(state_->through.core()->strand(), next_of(state_));
}

// ---- the service ----------------------------------------------------------------------------------------------------------------

ETCDCOLL_DECL election_service::election_service(client through) : client_(std::move(through)) {}

ETCDCOLL_DECL asio::awaitable<campaign_response> election_service::campaign(std::string name, lease_id lease, std::string value,
                                                                            call_options options) {
    detail::check_not_empty("campaign", "name", name);
    if (!lease) throw error(errc::invalid_argument, "campaign: it needs a lease");
    auto body = detail::encode_campaign(name, lease, value);
    return detail::request<campaign_response>(client_, detail::campaign_call, std::move(body), std::move(name), options, detail::read_campaign);
}

ETCDCOLL_DECL asio::awaitable<response_header> election_service::proclaim(leader_key leader, std::string value, call_options options) {
    detail::check_leader("proclaim", leader);
    auto body = detail::encode_leader(leader, value);
    return detail::request<response_header>(client_, detail::proclaim_call, std::move(body), std::move(leader.name), options,
                                            detail::read_header_only);
}

ETCDCOLL_DECL asio::awaitable<std::optional<leader_response>> election_service::leader(std::string name, call_options options) {
    detail::check_not_empty("leader", "name", name);
    auto body = detail::encode_election(name);
    return detail::leader_of(
        detail::request<leader_response>(client_, detail::leader_call, std::move(body), std::move(name), options, detail::read_leader));
}

ETCDCOLL_DECL election_observer election_service::observe(std::string name) {
    detail::check_not_empty("observe", "name", name);
    return election_observer(std::make_shared<election_observer::state>(client_, name));
}

ETCDCOLL_DECL asio::awaitable<response_header> election_service::resign(leader_key leader, call_options options) {
    detail::check_leader("resign", leader);
    auto body = detail::encode_leader(leader, {});
    return detail::request<response_header>(client_, detail::resign_call, std::move(body), std::move(leader.name), options,
                                            detail::read_header_only);
}

} // namespace etcdcoll::etcd
