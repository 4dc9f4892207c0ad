#pragma once

#include <etcdcoll/impl/group/group_state.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace etcdcoll::detail {

// How an epoch ends for this rank, and the sentence that says so.

/// How much later than its deadline a collective may end, for etcd to decide which was first.
inline constexpr std::chrono::milliseconds late_limit{300};

ETCDCOLL_DECL std::string group_state::title(const arrival& mine) const {
    return std::string(mine.op) + " " + std::to_string(mine.sequence) + " of group \"" + name_ + "\"";
}

// "allgather 16 (app.cpp:12)"
ETCDCOLL_DECL std::string arrival_text(const arrival_record& seen) {
    return seen.op + " " + std::to_string(seen.sequence) + (seen.at.empty() ? "" : " (" + seen.at + ")");
}

ETCDCOLL_DECL asio::awaitable<void> group_state::check_usable(const arrival& mine) {
    if (failure_ || view_.broken()) co_await fail(mine);
}

ETCDCOLL_DECL void group_state::fail_with(const error& why) {
    if (!failure_) failure_.emplace(why);
    changed_.notify_all();
}

// Throws. What came first is the cause; what followed (everybody leaves) is not.
ETCDCOLL_DECL asio::awaitable<void> group_state::fail(const arrival& mine) {
    if (failure_) throw error(*failure_);
    const auto& losses = view_.losses();
    // A loss that is known from a listing only has no place in the order: an end that somebody put says more.
    const bool lost = !losses.empty() && (!view_.end() || (losses.front().at && losses.front().at < view_.end()->at));
    if (lost) co_await fail_lost(mine);
    if (!view_.end()) fail_evicted();
    const auto ending = view_.end()->record;
    if (ending.why == end_record::kind::mismatch) co_await fail_mismatch(mine, ending);
    fail_ended(mine, ending);
}

ETCDCOLL_DECL void group_state::fail_evicted() {
    if (session_->lost()) throw error(*session_->lost());
    throw error(errc::lease_lost, "group \"" + name_ + "\": rank " + std::to_string(rank_) +
                                      " is no member any more: its lease was revoked, or epoch " + std::to_string(epoch_) +
                                      " is over and a new one has begun without it");
}

ETCDCOLL_DECL void group_state::fail_ended(const arrival& mine, const end_record& ending) {
    error_context context;
    context.call = mine.op;
    context.ranks = ending.ranks;
    const bool shared = ending.why == end_record::kind::timeout && ending.what.sequence == mine.sequence &&
                        std::find(ending.ranks.begin(), ending.ranks.end(), rank_) == ending.ranks.end();
    if (shared) throw error(errc::timed_out, title(mine) + ": " + ending.text, std::move(context));
    context.ranks = {ending.rank};
    auto sentence = title(mine) + ": aborted by rank " + std::to_string(ending.rank);
    if (ending.what.sequence != 0) sentence += " in " + arrival_text(ending.what);
    throw error(errc::aborted, sentence + ": " + ending.text, std::move(context));
}

ETCDCOLL_DECL asio::awaitable<void> group_state::fail_lost(const arrival& mine) {
    // What the lost rank wrote went with its lease; the revision before still has it.
    const auto losses = view_.losses();
    const auto limit = std::min(mine.deadline, core().now() + std::chrono::milliseconds(300));
    std::map<int, arrival_record> seen;
    if (losses.front().at) seen = co_await read_arrivals(limit, etcd::revision(losses.front().at.value - 1));

    error_context context;
    context.call = mine.op;
    std::string reasons;
    for (const auto& loss : losses) {
        context.ranks.push_back(loss.rank);
        if (!reasons.empty()) reasons += "; ";
        reasons += std::to_string(loss.rank) + ": " + (loss.record.left ? "left the group" : loss.at ? "lease expired" : "gone") + " on host " + loss.record.host + ", pid " +
                   std::to_string(loss.record.pid);
        const auto last = seen.find(loss.rank);
        if (last != seen.end()) reasons += ", last seen in " + arrival_text(last->second);
    }
    std::sort(context.ranks.begin(), context.ranks.end());
    auto sentence = title(mine) + ": lost " + ranks_text(context.ranks) + " of " + std::to_string(size_) + " (" + reasons + ")";
    throw error(errc::rank_lost, std::move(sentence), std::move(context));
}

// "rank 1 called barrier 4 (app.cpp:41) while ranks 0, 2 and 3 called allgather"
ETCDCOLL_DECL asio::awaitable<void> group_state::fail_mismatch(const arrival& mine, end_record ending) {
    const auto limit = std::min(mine.deadline, core().now() + std::chrono::seconds(1));
    // At the revision of the end: those who have read of it already may have left, and their arrivals with them.
    auto seen = co_await read_arrivals(limit, view_.end()->at);
    seen[rank_] = arrival_record{mine.sequence, mine.op, mine.at};
    seen[ending.rank] = ending.what;
    std::map<std::string, std::vector<int>> others;
    for (const auto& [rank, arrived] : seen)
        if (arrived.sequence == ending.what.sequence && arrived.op != ending.what.op) others[arrived.op].push_back(rank);

    error_context context;
    context.call = mine.op;
    context.ranks = {ending.rank};
    auto sentence = title(mine) + ": rank " + std::to_string(ending.rank) + " called " + arrival_text(ending.what);
    const char* joint = " while ";
    for (const auto& [op, ranks] : others) {
        sentence += joint + ranks_text(ranks) + " called " + op;
        if (ranks.size() == 1 && !seen[ranks.front()].at.empty()) sentence += " (" + seen[ranks.front()].at + ")";
        joint = " and ";
    }
    throw error(errc::collective_mismatch, std::move(sentence), std::move(context));
}

ETCDCOLL_DECL asio::awaitable<std::map<int, arrival_record>> group_state::read_arrivals(time_point limit, etcd::revision at) {
    std::map<int, arrival_record> seen;
    const auto left = limit - core().now();
    if (left <= duration::zero()) co_return seen;
    const call_options options{.timeout = left};
    etcd::range_request request(etcd::prefix(keys_.arrivals()));
    request.revision = at;
    try {
        const auto reply = co_await client_.range(request, options);
        for (const auto& kv : reply.kvs)
            if (const auto rank = key_layout::rank_behind(keys_.arrivals(), kv.key)) seen[*rank] = decode_arrival(kv.key, kv.value);
    } catch (const error& failure) {
        if (failure.reason() == errc::cancelled) throw;
        last_trouble_ = failure.what(); // a sentence without the last detail is better than none
    }
    co_return seen;
}

ETCDCOLL_DECL std::vector<int> group_state::not_arrived(const arrival& mine, const std::map<int, arrival_record>& seen) const {
    std::vector<int> missing;
    for (int rank = 0; rank < size_; ++rank) {
        const auto last = seen.find(rank);
        if (rank != rank_ && (last == seen.end() || last->second.sequence < mine.sequence)) missing.push_back(rank);
    }
    return missing;
}

ETCDCOLL_DECL std::string group_state::reasons(const std::vector<int>& missing, const std::map<int, arrival_record>& seen) const {
    std::string text;
    for (const int rank : missing) {
        if (!text.empty()) text += "; ";
        if (text.size() > 500) return text + "...";
        const auto member = view_.members().find(rank);
        const auto last = seen.find(rank);
        text += std::to_string(rank) + ": alive";
        if (member != view_.members().end()) text += " on host " + member->second.record.host + ", pid " + std::to_string(member->second.record.pid);
        text += last == seen.end() ? ", has called no collective yet" : ", last seen in " + arrival_text(last->second);
    }
    return text;
}

// What keeps this rank from etcd, as far as it is known.
ETCDCOLL_DECL std::string group_state::trouble() const {
    const auto& watching = client_.core()->watches()->trouble();
    return watching.empty() ? last_trouble_ : "watch: " + watching;
}

// Whether the time was up before the last rank arrived is decided in etcd, so that all ranks see the same. Returns where the release was first.
ETCDCOLL_DECL asio::awaitable<void> group_state::fail_late(const arrival& mine, const std::map<int, arrival_record>& seen) {
    error_context context;
    context.call = mine.op;
    auto text = "timed out after " + seconds_text(mine.deadline - mine.started);
    if (!seen.empty()) context.ranks = not_arrived(mine, seen);
    if (!context.ranks.empty()) {
        text += ", missing " + ranks_text(context.ranks) + " of " + std::to_string(size_) + " (" + reasons(context.ranks, seen) + ")";
    } else {
        text += seen.empty() ? ", and etcd does not say who is missing" : ", though all ranks have arrived: the release did not come";
        if (const auto why = trouble(); !why.empty()) text += " (" + why + ")";
    }
    const end_record record{end_record::kind::timeout, rank_, {mine.sequence, mine.op, mine.at}, text, context.ranks};
    const call_options options{.timeout = late_limit, .guarded = true};
    const auto enough = core().now() + late_limit; // for both: the end, and to hear of it
    bool decided = false;
    try {
        decided = co_await put_end(record, release_changed(), options);
    } catch (const error& failure) {
        if (failure.reason() == errc::cancelled) throw;
    }
    // By this rank or another, or it was released: the watch says which was first.
    while (decided && !failure_ && !view_.broken() && !view_.is_released(mine.sequence) && core().now() < enough) {
        const bool woken = co_await changed_.wait_until(enough);
        static_cast<void>(woken);
    }
    if (failure_ || view_.broken() || view_.is_released(mine.sequence)) co_return;
    auto sentence = title(mine) + ": " + text;
    const error why(errc::timed_out, std::move(sentence), std::move(context));
    fail_with(why);
    throw error(why);
}

ETCDCOLL_DECL void group_state::give_up(const arrival& mine, const std::string& why) {
    if (failure_ || view_.broken() || left_) return;
    const end_record record{end_record::kind::abort, rank_, {mine.sequence, mine.op, mine.at}, why, {}};
    fail_with(error(errc::aborted, title(mine) + ": aborted by rank " + std::to_string(rank_) + ": " + why));
    end_epoch(record);
}

// This rank has called another collective than the one under way, and was not counted: says so to all.
ETCDCOLL_DECL asio::awaitable<void> group_state::end_by_mismatch(const arrival& mine) {
    const end_record record{end_record::kind::mismatch, rank_, {mine.sequence, mine.op, mine.at}, {}, {}};
    const call_options options{.timeout = std::max<duration>(mine.deadline - core().now(), std::chrono::milliseconds(1)), .guarded = true};
    std::optional<error> failed;
    try {
        const bool decided = co_await put_end(record, std::nullopt, options);
        static_cast<void>(decided);
    } catch (const error& failure) {
        if (failure.reason() == errc::cancelled) throw;
        failed.emplace(failure);
    }
    if (!failed) co_return;
    // This rank knows it all the same; the others learn it at their deadlines.
    error_context context;
    context.call = mine.op;
    const error why(errc::collective_mismatch, title(mine) + ": another collective of this number is under way, and the others could not be told: " + failed->what(),
                    std::move(context));
    fail_with(why);
    throw error(why);
}

// Nobody waits for it: where etcd cannot be reached, the others have their own deadlines.
ETCDCOLL_DECL void group_state::end_epoch(end_record record) {
    asio::co_spawn(core().strand(), put_end_alone(shared_from_this(), std::move(record)), asio::detached);
}

ETCDCOLL_DECL asio::awaitable<void> group_state::put_end_alone([[maybe_unused]] std::shared_ptr<group_state> self, end_record record) {
    const call_options options{.guarded = true};
    try {
        const bool decided = co_await put_end(std::move(record), std::nullopt, options);
        static_cast<void>(decided);
    } catch (const std::exception& failure) {
        core().log().write(log_level::warning, "group \"" + name_ + "\": the others could not be told that it was aborted: " + failure.what());
    }
}

ETCDCOLL_DECL etcd::revision group_state::release_changed() const { return view_.release() ? view_.release()->at : etcd::revision{}; }

// True when the epoch is over, or, where `unless_changed` is given, the release has changed since then; an end is known from the watch, behind what
// was released before it. False when this rank is no member any more. The end goes with its writer's lease: without the count, which cannot get as
// far again without that rank, nothing is released after it even then.
ETCDCOLL_DECL asio::awaitable<bool> group_state::put_end(end_record record, std::optional<etcd::revision> unless_changed, call_options options) {
    etcd::txn_request request;
    request.compares = own_guards();
    if (unless_changed) request.compares.push_back(etcd::mod_revision(keys_.release()) == *unless_changed);
    request.success.emplace_back(etcd::put(keys_.end(), encode(record), session_->lease()));
    request.success.emplace_back(etcd::erase(keys_.count()));
    for (const auto& key : {keys_.end(), keys_.release(), keys_.member(rank_)}) request.failure.emplace_back(etcd::get(key));
    const auto reply = co_await client_.txn(std::move(request), options);
    if (reply.succeeded) co_return true;
    const auto* end = key_read(reply, 0);
    const auto* release = key_read(reply, 1);
    const auto* member = key_read(reply, 2);
    bool decided = end != nullptr;
    if (unless_changed && release != nullptr && release->mod_revision != *unless_changed) {
        view_.note_release(decode_release(release->key, release->value), release->mod_revision);
        decided = true;
    }
    if (!decided && (member == nullptr || member->create_revision != member_created_))
        fail_with(error(errc::lease_lost, "group \"" + name_ + "\": rank " + std::to_string(rank_) + " is no member any more"));
    changed_.notify_all();
    co_return decided;
}

ETCDCOLL_DECL asio::awaitable<void> group_state::abort(std::string text) {
    if (left_) throw error(errc::closed, "group \"" + name_ + "\": this rank has left it");
    if (session_->lost()) throw error(*session_->lost());
    const end_record record{end_record::kind::abort, rank_, {}, std::move(text), {}};
    const call_options options{.guarded = true};
    const bool decided = co_await put_end(record, std::nullopt, options);
    if (!decided && failure_) throw error(*failure_);
}

// However it ends, this rank is no member any more, and its lease is not renewed.
ETCDCOLL_DECL asio::awaitable<void> group_state::leave() {
    if (left_) co_return;
    left_ = true;
    stop_watch();
    fail_with(error(errc::closed, "group \"" + name_ + "\": this rank has left it"));
    const session_mark ending(*session_);
    if (session_->alive()) {
        // Tells an orderly end from a lost lease to those who still wait for this rank.
        auto request = etcd::when(etcd::create_revision(keys_.member(rank_)) == member_created_)
                           .then(etcd::put(keys_.member(rank_), own_member_value(true), session_->lease()));
        const call_options options{.guarded = true};
        const auto marked = co_await client_.txn(std::move(request), options);
        static_cast<void>(marked);
    }
    co_await session_->revoke();
}

ETCDCOLL_DECL void group_state::stop() noexcept {
    left_ = true;
    stop_watch();
    if (session_) session_->stop();
    try {
        fail_with(error(errc::closed, "group \"" + name_ + "\": it was destroyed"));
    } catch (...) { // no memory for the words
        changed_.notify_all();
    }
}

} // namespace etcdcoll::detail
