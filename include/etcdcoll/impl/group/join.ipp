#pragma once

#include <etcdcoll/host.hpp>
#include <etcdcoll/impl/group/group_state.hpp>
#include <etcdcoll/version.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace etcdcoll::detail {

/// How often a log line says which ranks have not joined.
inline constexpr std::chrono::seconds join_notice{10};
/// How much later than its lease's time a key may go: etcd looks for expired leases twice a second.
inline constexpr std::chrono::milliseconds expiry_slack{1500};

struct group_state::epoch_listing {
    root_record root;
    etcd::revision root_changed;
    etcd::revision at;
    std::map<int, group_view::member> members;
    etcd::revision joined_created;
    bool whole = false; // nobody has gone since it began
    bool stale = false; // the root has changed meanwhile: read again
};

/// Nobody has gone: there are as many members as have ever joined.
ETCDCOLL_DECL bool whole(const group_view& view, const etcd::key_value* joined) {
    return !view.end() && joined != nullptr && joined->version == static_cast<std::int64_t>(view.members().size());
}

ETCDCOLL_DECL const etcd::key_value* key_read(const etcd::txn_response& reply, std::size_t index) {
    const auto& found = std::get<etcd::range_response>(reply.responses.at(index)).kvs;
    return found.empty() ? nullptr : &found.front();
}

ETCDCOLL_DECL std::string clock_text(std::int64_t since) {
    const auto when = static_cast<std::time_t>(since);
    std::tm parts{};
    ::localtime_r(&when, &parts);
    char text[16];
    std::strftime(text, sizeof text, "%H:%M:%S", &parts);
    return text;
}

ETCDCOLL_DECL int lowest_free(const std::map<int, group_view::member>& members) {
    int rank = 0;
    while (members.contains(rank)) ++rank;
    return rank;
}

// "ranks 2, 3 and 5"
ETCDCOLL_DECL std::string ranks_text(const std::vector<int>& ranks) {
    std::string text = ranks.size() == 1 ? "rank " : "ranks ";
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        std::size_t last = i; // a run of three or more is written 4-9
        while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
        if (i != 0) text += last + 1 == ranks.size() ? " and " : ", ";
        text += std::to_string(ranks[i]);
        if (last >= i + 2) {
            text += "-" + std::to_string(ranks[last]);
            i = last;
        }
    }
    return text;
}

ETCDCOLL_DECL std::string own_epoch_id(environment& system) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(system.random()));
    return text;
}

ETCDCOLL_DECL group_state::group_state(etcd::client client, group_options::values options, membership wanted)
    : client_(std::move(client)), options_(std::move(options)), wanted_(std::move(wanted)), name_(wanted_.name), size_(wanted_.size),
      since_(std::chrono::duration_cast<std::chrono::seconds>(core().system()->wall_clock().time_since_epoch()).count()),
      keys_(options_.key_namespace, wanted_.name), changed_(core().strand(), core().system()) {}

ETCDCOLL_DECL std::string group_state::own_member_value(bool left) const {
    const auto& self = *client_.core()->system();
    return encode(member_record{self.host(), self.process_id(), since_, left});
}

ETCDCOLL_DECL std::vector<etcd::op> group_state::membership_puts(const key_layout& keys, int rank) const {
    std::vector<etcd::op> puts;
    puts.emplace_back(etcd::put(keys.member(rank), own_member_value(false), session_->lease()));
    puts.emplace_back(etcd::put(keys.joined(), {}, session_->lease()));
    return puts;
}

ETCDCOLL_DECL asio::awaitable<void> group_state::join() {
    const auto deadline = core().now() + std::min<duration>(options_.join_timeout, longest_timeout);
    // The first contact has the patience of any call, so that a wrong address is told soon; what comes later has that of the join.
    const call_options first{.timeout = std::min(core().values().timeout, deadline - core().now())};
    session_ = co_await open_session(client_, options_.ttl, first);
    std::exception_ptr failed;
    try {
        co_await join_attempts(deadline);
    } catch (...) {
        failed = std::current_exception();
    }
    if (!failed) {
        session_->on_lost([weak = weak_from_this()](const error& why) {
            if (const auto self = weak.lock()) self->fail_with(why);
        });
        if (session_->lost()) fail_with(*session_->lost());
        co_return;
    }
    // What was put must not stand in the way of others; the caller need not wait for it.
    stop_watch();
    asio::co_spawn(core().strand(), revoke_session(session_), asio::detached);
    std::rethrow_exception(failed);
}

ETCDCOLL_DECL asio::awaitable<void> group_state::join_attempts(time_point deadline) {
    for (bool formed = false; !formed;) {
        if (session_->lost()) throw error(*session_->lost());
        std::optional<error> failed;
        try {
            formed = co_await join_once(deadline);
        } catch (const error& failure) {
            failed.emplace(failure);
        }
        if (!failed) continue;
        if (session_->lost()) throw error(*session_->lost());
        if (!worth_repeating(failed->reason()) || core().now() >= deadline) throw error(*failed);
        last_trouble_ = failed->what();
    }
}

ETCDCOLL_DECL call_options group_state::within(time_point deadline, bool guarded) {
    const auto left = deadline - core().now();
    if (left <= duration::zero()) fail_join_late();
    return {.timeout = left, .guarded = guarded};
}

ETCDCOLL_DECL void group_state::fail_join_late() {
    error_context context;
    context.call = "join";
    throw error(errc::timed_out,
                "join \"" + name_ + "\": timed out after " + seconds_text(options_.join_timeout) + (last_trouble_.empty() ? "" : " (" + last_trouble_ + ")"),
                std::move(context));
}

// False when it has to be tried again.
ETCDCOLL_DECL asio::awaitable<bool> group_state::join_once(time_point deadline) {
    auto root = co_await read_root(deadline);
    bool entered = false;
    if (!root) {
        entered = co_await begin_epoch(std::nullopt, 1, deadline);
    } else {
        auto listing = co_await list_epoch(*root, deadline);
        if (listing.stale) co_return false;
        const int own = wanted_.rank ? *wanted_.rank : lowest_free(listing.members);
        if (!listing.whole) {
            entered = co_await begin_epoch(*root, listing.root.epoch + 1, deadline);
        } else if (listing.root.size != size_ || own >= size_ || listing.members.contains(own)) {
            co_await wait_for_place(std::move(listing), deadline);
        } else {
            entered = co_await enter_epoch(std::move(listing), own, deadline);
        }
    }
    if (!entered) co_return false;
    const bool formed = co_await wait_formed(deadline);
    if (!formed) co_await forget_epoch(deadline);
    co_return formed;
}

// The epoch broke before it was formed: what this rank has put there would lie around for as long as its session lives.
ETCDCOLL_DECL asio::awaitable<void> group_state::forget_epoch(time_point deadline) {
    stop_watch();
    const auto options = within(deadline, true);
    auto request = etcd::when(etcd::lease(keys_.member(rank_)) == session_->lease()).then(etcd::erase(etcd::prefix(keys_.epoch())));
    const auto erased = co_await client_.txn(std::move(request), options);
    static_cast<void>(erased);
}

ETCDCOLL_DECL asio::awaitable<std::optional<etcd::key_value>> group_state::read_root(time_point deadline) {
    const auto options = within(deadline, false);
    auto root = co_await client_.get(keys_.root(), options);
    if (root) {
        const auto record = decode_root(root->key, root->value);
        if (record.protocol != protocol_version)
            throw error(errc::protocol_mismatch, "join \"" + name_ + "\": its members speak protocol " + std::to_string(record.protocol) +
                                                     ", this process speaks " + std::to_string(protocol_version));
    }
    co_return root;
}

ETCDCOLL_DECL asio::awaitable<group_state::epoch_listing> group_state::list_epoch(etcd::key_value root, time_point deadline) {
    epoch_listing listing;
    listing.root = decode_root(root.key, root.value);
    listing.root_changed = root.mod_revision;
    auto keys = keys_;
    keys.use_epoch(listing.root.id);
    auto request = etcd::when(etcd::mod_revision(keys.root()) == root.mod_revision)
                       .then(etcd::get(etcd::prefix(keys.watched())), etcd::get(keys.joined()));
    const auto options = within(deadline, false);
    const auto reply = co_await client_.txn(std::move(request), options);
    listing.stale = !reply.succeeded;
    if (listing.stale) co_return listing;
    listing.at = reply.header.revision;
    const auto* joined = key_read(reply, 1);
    if (joined != nullptr) listing.joined_created = joined->create_revision;
    group_view view(keys, listing.root.size);
    view.list(std::get<etcd::range_response>(reply.responses.at(0)).kvs);
    listing.members = view.members();
    listing.whole = whole(view, joined);
    for (const auto& [rank, known] : listing.members)
        if (known.record.left || known.lease == session_->lease()) listing.whole = false; // own key: of an epoch that this rank saw break
    co_return listing;
}

// False when another process was faster.
ETCDCOLL_DECL asio::awaitable<bool> group_state::begin_epoch(std::optional<etcd::key_value> old_root, std::int64_t number, time_point deadline) {
    auto keys = keys_;
    const auto id = own_epoch_id(*core().system());
    keys.use_epoch(id);
    const int rank = wanted_.rank.value_or(0);
    const auto value = encode(root_record{protocol_version, number, id, size_});

    etcd::txn_request request = etcd::when(etcd::mod_revision(keys.root()) == (old_root ? old_root->mod_revision.value : 0));
    request.success = membership_puts(keys, rank);
    request.success.emplace_back(etcd::put(keys.root(), value, session_->lease()));
    request.success.emplace_back(etcd::get(etcd::prefix(keys.watched())));
    if (old_root) {
        const auto old = decode_root(old_root->key, old_root->value);
        request.success.emplace_back(etcd::erase(etcd::prefix(keys.epoch_of(old.id))));
    }
    request.failure.emplace_back(etcd::get(keys.root()));
    request.failure.emplace_back(etcd::get(etcd::prefix(keys.watched())));
    const auto options = within(deadline, true);
    const auto reply = co_await client_.txn(std::move(request), options);

    // The root that is there now may be the one that an earlier attempt, whose reply was lost, put.
    const auto* root = reply.succeeded ? nullptr : key_read(reply, 0);
    if (!reply.succeeded && (root == nullptr || root->value != value)) co_return false;
    const auto& watched = std::get<etcd::range_response>(reply.responses.at(reply.succeeded ? 3 : 1)).kvs;
    const auto own = std::find_if(watched.begin(), watched.end(), [&](const etcd::key_value& kv) { return kv.key == keys.member(rank); });
    if (own == watched.end()) co_return false; // begun by an earlier attempt, and broken since
    adopt(keys, rank, number, watched, reply.header.revision);
    co_return true;
}

// False when the epoch turned out to be broken, or the rank was taken meanwhile.
ETCDCOLL_DECL asio::awaitable<bool> group_state::enter_epoch(epoch_listing listing, int rank, time_point deadline) {
    auto keys = keys_;
    keys.use_epoch(listing.root.id);
    // `joined` goes with its last writer. Were it made anew, its version would begin again, and a broken epoch could look whole.
    etcd::txn_request request =
        etcd::when(etcd::mod_revision(keys.root()) == listing.root_changed, etcd::create_revision(keys.joined()) == listing.joined_created,
                   etcd::create_revision(keys.member(rank)) == 0);
    request.success = membership_puts(keys, rank);
    for (auto* branch : {&request.success, &request.failure}) {
        branch->emplace_back(etcd::get(etcd::prefix(keys.watched())));
        branch->emplace_back(etcd::get(keys.joined()));
    }
    const auto options = within(deadline, true);
    const auto reply = co_await client_.txn(std::move(request), options);
    const std::size_t first = reply.succeeded ? 2 : 0;
    const auto& watched = std::get<etcd::range_response>(reply.responses.at(first)).kvs;

    group_view view(keys, size_);
    view.list(watched);
    const auto own = view.members().find(rank);
    if (own == view.members().end() || own->second.lease != session_->lease()) co_return false;
    if (!whole(view, key_read(reply, first + 1))) {
        // Broken since it was listed. Own key goes, so that nobody waits for it.
        auto undo = etcd::when(etcd::lease(keys.member(rank)) == session_->lease()).then(etcd::erase(keys.member(rank)));
        const auto undone = co_await client_.txn(std::move(undo), options);
        static_cast<void>(undone);
        co_return false;
    }
    adopt(keys, rank, listing.root.epoch, watched, reply.header.revision);
    co_return true;
}

ETCDCOLL_DECL void group_state::adopt(const key_layout& keys, int rank, std::int64_t number, const std::vector<etcd::key_value>& watched,
                                      etcd::revision at) {
    keys_ = keys;
    rank_ = rank;
    epoch_ = number;
    view_ = group_view(keys_, size_, rank_);
    view_.list(watched);
    const auto own = view_.members().find(rank_);
    if (own == view_.members().end())
        throw error(errc::lease_lost, "join \"" + name_ + "\": the member key of this process is gone: its lease is lost");
    member_created_ = own->second.created;
    arrival_changed_ = {};
    sequence_ = 0;
    start_watch({at.value + 1});
}

// "host gpu-3, pid 4121, since 14:02:11"
ETCDCOLL_DECL std::string process_text(const group_view::member& holder) {
    return "host " + holder.record.host + ", pid " + std::to_string(holder.record.pid) + ", since " + clock_text(holder.record.since);
}

// "rank 2 is held by host ..."; of the lowest rank where none is wanted.
ETCDCOLL_DECL std::string holder_text(const std::map<int, group_view::member>& members, const group_view::member& holder, std::optional<int> wanted) {
    return "rank " + std::to_string(wanted.value_or(members.begin()->first)) + " is held by " + process_text(holder);
}

// Ends a wait as soon as somebody goes from the epoch that a process would like to be in.
class departure_sink final : public watch_sink {
public:
    explicit departure_sink(condition& happened) : happened_(happened) {}
    void on_response(etcd::watch_response response) override {
        for (const auto& event : response.events) seen = seen || event.type == etcd::event::kind::erase;
        happened_.notify_all();
    }
    void on_failure(const error&) override {
        seen = true; // what happened is not known: look again
        happened_.notify_all();
    }
    bool seen = false;

private:
    condition& happened_;
};

// The place in the group is taken, perhaps by a process that died a moment ago: returns when somebody goes, throws when the holder turns out
// to be alive, which its lease tells when more of it is left than there would be had nobody renewed it.
ETCDCOLL_DECL asio::awaitable<void> group_state::wait_for_place(epoch_listing listing, time_point deadline) {
    const int wanted = wanted_.rank.value_or(-1);
    const auto holder = listing.members.contains(wanted) ? listing.members.at(wanted) : listing.members.begin()->second;
    // A rank that etcd is to assign may be any one's: then only time tells that all are alive.
    const bool any = listing.root.size == size_ && !wanted_.rank;
    condition departed(core().strand(), core().system());
    const auto departures = std::make_shared<departure_sink>(departed);
    auto keys = keys_;
    keys.use_epoch(listing.root.id);
    const watch_mark watching(*core().watches(), etcd::watch_request(etcd::prefix(keys.members()), {listing.at.value + 1}), departures);

    auto asked = core().now();
    auto options = within(deadline, false);
    auto before = co_await client_.lease_time_to_live(holder.lease, false, options);
    const auto granted = std::max<duration>(before.granted_ttl, std::chrono::seconds(2));
    const auto pause = any ? granted + expiry_slack : granted / 3 + std::chrono::seconds(1);
    auto check = asked + pause;
    while (!departures->seen && before.ttl > std::chrono::seconds(0)) {
        if (session_->lost()) throw error(*session_->lost());
        const bool woken = co_await departed.wait_until(std::min(check, deadline));
        if (woken || departures->seen) continue;
        if (core().now() >= deadline) {
            last_trouble_ = holder_text(listing.members, holder, wanted_.rank) + "; whether it is alive was not known yet";
            fail_join_late();
        }
        if (any) refuse_place(listing, holder);
        const auto elapsed = core().now() - asked;
        asked = core().now();
        options = within(deadline, false);
        const auto after = co_await client_.lease_time_to_live(holder.lease, false, options);
        // A new leader gives every lease its full time again, also those of the dead.
        const bool same_leader = after.header.raft_term == before.header.raft_term;
        if (!departures->seen && same_leader && after.ttl > std::chrono::seconds(0) && after.ttl > before.ttl - elapsed + std::chrono::seconds(1))
            refuse_place(listing, holder);
        before = after;
        check = asked + pause;
    }
}

ETCDCOLL_DECL void group_state::refuse_place(const epoch_listing& listing, const group_view::member& holder) {
    const auto about = "join \"" + name_ + "\": ";
    error_context context;
    context.call = "join";
    if (listing.root.size != size_)
        throw error(errc::world_size_mismatch,
                    about + "the group has a world size of " + std::to_string(listing.root.size) + " (" + process_text(holder) + "), this process says " +
                        std::to_string(size_),
                    std::move(context));
    if (!wanted_.rank)
        throw error(errc::group_full,
                    about + "all " + std::to_string(size_) + " ranks are held by live processes (" + holder_text(listing.members, holder, std::nullopt) + ")",
                    std::move(context));
    context.ranks.push_back(*wanted_.rank);
    throw error(errc::rank_taken,
                about + holder_text(listing.members, holder, wanted_.rank) + "; it is alive: its lease was renewed while this process waited", std::move(context));
}

// False when the epoch broke before it was formed.
ETCDCOLL_DECL asio::awaitable<bool> group_state::wait_formed(time_point deadline) {
    const auto started = core().now();
    auto notice = started + join_notice;
    while (!view_.formed()) {
        if (session_->lost()) throw error(*session_->lost());
        if (failure_) throw error(*failure_);
        if (view_.broken()) co_return false;
        const auto now = core().now();
        const auto missing = view_.absent();
        const auto who = ranks_text(missing) + " of " + std::to_string(size_);
        if (now >= deadline) {
            auto sentence = "join \"" + name_ + "\": timed out after " + seconds_text(options_.join_timeout) + ", " + who + " never joined";
            if (const auto why = core().watches()->trouble(); !why.empty()) sentence += ", as far as is known (watch: " + why + ")";
            error_context context;
            context.call = "join";
            context.ranks = missing;
            throw error(errc::timed_out, std::move(sentence), std::move(context));
        }
        if (now >= notice) {
            notice += join_notice;
            core().log().write(log_level::warning, "join \"" + name_ + "\": waiting for " + who + " (" + seconds_text(now - started) + ")");
        }
        const bool woken = co_await changed_.wait_until(std::min(deadline, notice));
        static_cast<void>(woken);
    }
    co_return true;
}

} // namespace etcdcoll::detail
