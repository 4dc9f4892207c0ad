#pragma once

#include <etcdcoll/host.hpp>
#include <etcdcoll/impl/group/group_state.hpp>
#include <etcdcoll/version.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <cstdio>
#include <ctime>

namespace etcdcoll::detail {

/// How often a log line says who is missing.
inline constexpr std::chrono::seconds waiting_notice{10};
/// How much later than its lease's time a key may go: etcd looks for expired leases twice a second.
inline constexpr std::chrono::milliseconds expiry_slack{1500};

struct group_state::epoch_listing {
    root_record root;
    etcd::revision root_changed;
    etcd::revision at;
    std::vector<etcd::key_value> watched;
    std::map<int, group_view::member> members;
    bool whole = false; // nobody has gone since it began
    bool stale = false; // the root has changed meanwhile: read again
};

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
    return encode(member_record{host_name(), process_id(), since_, left});
}

ETCDCOLL_DECL std::vector<etcd::op> group_state::membership_puts(const key_layout& keys, int rank) const {
    std::vector<etcd::op> puts;
    puts.emplace_back(etcd::put(keys.member(rank), own_member_value(false), session_->lease()));
    puts.emplace_back(etcd::put(keys.joined(), {}, session_->lease()));
    return puts;
}

ETCDCOLL_DECL asio::awaitable<void> group_state::join() {
    const auto deadline = core().now() + options_.join_timeout;
    session_ = co_await open_session(client_, options_.ttl);
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
    for (;;) {
        if (session_->lost()) throw error(*session_->lost());
        auto root = co_await read_root();
        bool entered = false;
        if (!root) {
            entered = co_await begin_epoch(std::nullopt, 1);
        } else {
            auto listing = co_await list_epoch(*root);
            if (listing.stale) continue;
            const int own = wanted_.rank ? *wanted_.rank : lowest_free(listing.members);
            if (!listing.whole) {
                entered = co_await begin_epoch(*root, listing.root.epoch + 1);
            } else if (listing.root.size != size_ || own >= size_ || listing.members.contains(own)) {
                co_await wait_for_place(std::move(listing), deadline);
            } else {
                entered = co_await enter_epoch(*root, own);
            }
        }
        if (!entered) continue;
        const bool formed = co_await wait_formed(deadline);
        if (formed) co_return;
        stop_watch();
    }
}

ETCDCOLL_DECL asio::awaitable<std::optional<etcd::key_value>> group_state::read_root() {
    auto root = co_await client_.get(keys_.root());
    if (root) {
        const auto record = decode_root(root->key, root->value);
        if (record.protocol != protocol_version)
            throw error(errc::protocol_mismatch, "join \"" + name_ + "\": its members speak protocol " + std::to_string(record.protocol) +
                                                     ", this process speaks " + std::to_string(protocol_version));
    }
    co_return root;
}

ETCDCOLL_DECL asio::awaitable<group_state::epoch_listing> group_state::list_epoch(etcd::key_value root) {
    epoch_listing listing;
    listing.root = decode_root(root.key, root.value);
    listing.root_changed = root.mod_revision;
    auto keys = keys_;
    keys.use_epoch(listing.root.id);
    auto request = etcd::when(etcd::mod_revision(keys.root()) == root.mod_revision)
                       .then(etcd::get(etcd::prefix(keys.watched())), etcd::get(keys.joined()));
    auto reply = co_await client_.txn(std::move(request));
    listing.stale = !reply.succeeded;
    if (listing.stale) co_return listing;
    listing.at = reply.header.revision;
    listing.watched = std::move(std::get<etcd::range_response>(reply.responses.at(0)).kvs);
    const auto& joined = std::get<etcd::range_response>(reply.responses.at(1)).kvs;
    group_view view(keys, listing.root.size);
    view.list(listing.watched);
    listing.members = view.members();
    const auto joins = joined.empty() ? 0 : joined.front().version;
    listing.whole = !view.end() && joins > 0 && joins == static_cast<std::int64_t>(listing.members.size());
    for (const auto& [rank, known] : listing.members)
        if (known.record.left) listing.whole = false;
    co_return listing;
}

// False when another process was faster.
ETCDCOLL_DECL asio::awaitable<bool> group_state::begin_epoch(std::optional<etcd::key_value> old_root, std::int64_t number) {
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
    const call_options options{.guarded = true};
    const auto reply = co_await client_.txn(std::move(request), options);

    // The root that is there now may be the one that an earlier attempt, whose reply was lost, put.
    const auto* root = reply.succeeded ? nullptr : key_read(reply, 0);
    if (!reply.succeeded && (root == nullptr || root->value != value)) co_return false;
    const auto& watched = std::get<etcd::range_response>(reply.responses.at(reply.succeeded ? 3 : 1)).kvs;
    adopt(keys, rank, number, watched, reply.header.revision);
    co_return true;
}

// False when the epoch turned out to be broken, or the rank was taken meanwhile.
ETCDCOLL_DECL asio::awaitable<bool> group_state::enter_epoch(etcd::key_value root, int rank) {
    const auto record = decode_root(root.key, root.value);
    auto keys = keys_;
    keys.use_epoch(record.id);
    etcd::txn_request request =
        etcd::when(etcd::mod_revision(keys.root()) == root.mod_revision, etcd::create_revision(keys.member(rank)) == 0);
    request.success = membership_puts(keys, rank);
    for (auto* branch : {&request.success, &request.failure}) {
        branch->emplace_back(etcd::get(etcd::prefix(keys.watched())));
        branch->emplace_back(etcd::get(keys.joined()));
    }
    const call_options options{.guarded = true};
    const auto reply = co_await client_.txn(std::move(request), options);
    const std::size_t first = reply.succeeded ? 2 : 0;
    const auto& watched = std::get<etcd::range_response>(reply.responses.at(first)).kvs;
    const auto& joined = std::get<etcd::range_response>(reply.responses.at(first + 1)).kvs;

    group_view view(keys, size_);
    view.list(watched);
    const auto own = view.members().find(rank);
    if (own == view.members().end() || own->second.lease != session_->lease()) co_return false;
    const auto joins = joined.empty() ? 0 : joined.front().version;
    if (view.end() || joins != static_cast<std::int64_t>(view.members().size())) {
        // Broken since it was listed. Own key goes, so that nobody waits for it.
        auto undo = etcd::when(etcd::lease(keys.member(rank)) == session_->lease()).then(etcd::erase(keys.member(rank)));
        const auto undone = co_await client_.txn(std::move(undo), options);
        static_cast<void>(undone);
        co_return false;
    }
    adopt(keys, rank, record.epoch, watched, reply.header.revision);
    co_return true;
}

ETCDCOLL_DECL void group_state::adopt(const key_layout& keys, int rank, std::int64_t number, const std::vector<etcd::key_value>& watched,
                                      etcd::revision at) {
    keys_ = keys;
    rank_ = rank;
    epoch_ = number;
    view_ = group_view(keys_, size_);
    view_.list(watched);
    const auto own = view_.members().find(rank_);
    if (own == view_.members().end())
        throw error(errc::lease_lost, "join \"" + name_ + "\": the member key of this process is gone: its lease is lost");
    member_created_ = own->second.created;
    arrival_changed_ = {};
    sequence_ = 0;
    start_watch({at.value + 1});
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
    condition departed(core().strand(), core().system());
    const auto departures = std::make_shared<departure_sink>(departed);
    auto keys = keys_;
    keys.use_epoch(listing.root.id);
    const watch_mark watching(*core().watches(), etcd::watch_request(etcd::prefix(keys.members()), {listing.at.value + 1}), departures);

    const auto asked = core().now();
    const auto before = co_await client_.lease_time_to_live(holder.lease);
    const auto granted = std::max<duration>(before.granted_ttl, std::chrono::seconds(2));
    // A rank that etcd is to assign may be any one's: then only time tells that all are alive.
    const bool any = listing.root.size == size_ && !wanted_.rank;
    auto check = asked + (any ? granted + expiry_slack : granted / 3 + std::chrono::seconds(1));
    while (!departures->seen) {
        const bool woken = co_await departed.wait_until(std::min(check, deadline));
        if (woken || departures->seen) continue;
        if (any || core().now() >= deadline) refuse_place(listing, holder);
        const auto elapsed = core().now() - asked;
        const auto after = co_await client_.lease_time_to_live(holder.lease);
        if (!departures->seen && after.ttl > before.ttl - elapsed + std::chrono::seconds(1)) refuse_place(listing, holder);
        check = core().now() + granted / 3 + std::chrono::seconds(1);
    }
}

ETCDCOLL_DECL void group_state::refuse_place(const epoch_listing& listing, const group_view::member& holder) {
    const auto about = "join \"" + name_ + "\": ";
    const auto who = "host " + holder.record.host + ", pid " + std::to_string(holder.record.pid) + ", since " + clock_text(holder.record.since);
    error_context context;
    context.call = "join";
    if (listing.root.size != size_)
        throw error(errc::world_size_mismatch,
                    about + "the group has a world size of " + std::to_string(listing.root.size) + " (" + who + "), this process says " + std::to_string(size_),
                    std::move(context));
    if (!wanted_.rank)
        throw error(errc::group_full, about + "all " + std::to_string(size_) + " ranks are held by live processes (rank 0 by " + who + ")",
                    std::move(context));
    context.ranks = {*wanted_.rank};
    throw error(errc::rank_taken, about + ranks_text(context.ranks) + " is held by " + who + "; it is alive: its lease was renewed while this process waited",
                context);
}

// False when the epoch broke before it was formed.
ETCDCOLL_DECL asio::awaitable<bool> group_state::wait_formed(time_point deadline) {
    const auto started = core().now();
    auto notice = started + waiting_notice;
    while (!view_.formed()) {
        if (session_->lost()) throw error(*session_->lost());
        if (failure_) throw error(*failure_);
        if (view_.broken()) co_return false;
        const auto now = core().now();
        const auto missing = view_.absent();
        const auto who = ranks_text(missing) + " of " + std::to_string(size_);
        if (now >= deadline) {
            error_context context;
            context.call = "join";
            context.ranks = missing;
            throw error(errc::timed_out, "join \"" + name_ + "\": timed out after " + seconds_text(options_.join_timeout) + ", " + who + " never joined",
                        std::move(context));
        }
        if (now >= notice) {
            notice += waiting_notice;
            core().log().write(log_level::warning, "join \"" + name_ + "\": waiting for " + who + " (" + seconds_text(now - started) + ")");
        }
        const bool woken = co_await changed_.wait_until(std::min(deadline, notice));
        static_cast<void>(woken);
    }
    co_return true;
}

} // namespace etcdcoll::detail
