#pragma once

#include <etcdcoll/impl/group/collective_marks.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

namespace etcdcoll::detail {

// What every collective has in common: the number, the arrival (one transaction, safe to repeat), the wait for the release.

/// How often a log line says who is missing. In large groups less often, since every rank that waits reads all arrivals for it.
ETCDCOLL_DECL duration notice_interval(int size) { return std::chrono::seconds(10) * std::max(1, size / 64); }
/// The reply of a rank's own transaction follows the event that it caused within microseconds; it is waited for this long, as it says what the
/// next arrival compares.
inline constexpr std::chrono::milliseconds reply_limit{100};

ETCDCOLL_DECL arrival group_state::begin(const char* op, collective_options options, std::string at) {
    if (left_) throw error(errc::closed, "group \"" + name_ + "\": this rank has left it");
    arrival mine;
    mine.sequence = sequence_ + 1;
    mine.op = op;
    mine.at = std::move(at);
    mine.started = core().now();
    mine.deadline = mine.started + std::min<duration>(options.timeout > duration::zero() ? options.timeout : options_.timeout, longest_timeout);
    return mine;
}

// What every write of a member compares: a rank whose lease is lost, or whose epoch is over, changes nothing.
ETCDCOLL_DECL std::vector<etcd::compare> group_state::own_guards() const {
    std::vector<etcd::compare> guards;
    guards.push_back(etcd::create_revision(keys_.member(rank_)) == member_created_);
    guards.push_back(etcd::version(keys_.end()) == 0);
    return guards;
}

ETCDCOLL_DECL etcd::txn_request group_state::arrival_request(const arrival& mine) const {
    const auto lease = session_->lease();
    const auto signature = std::to_string(mine.sequence) + ' ' + mine.op;
    const auto before = static_cast<std::int64_t>(mine.sequence - 1) * size_; // arrivals of all collectives before this one
    const auto counted = etcd::put(keys_.count(), signature, lease);
    const arrival_record record{mine.sequence, mine.op, mine.at, mine.block ? mine.block->size() : 0};

    // A value compare with an absent key never holds, so the first arrival of all counts as well. Absent later, when its last writer has gone, the
    // count begins anew, but cannot get as far as this collective's number without that rank.
    const auto neither = etcd::when(etcd::value(keys_.count()) != signature, etcd::version(keys_.count()) != before).otherwise(counted);
    auto last = etcd::when(etcd::value(keys_.count()) == signature, etcd::version(keys_.count()) == before + size_ - 1).otherwise(neither);
    last.success.emplace_back(counted);
    if (mine.block) {
        last.success.emplace_back(etcd::get(etcd::prefix(keys_.blocks(mine.sequence))));
        last.success.emplace_back(etcd::get(etcd::prefix(keys_.arrivals())));
    } else {
        last.success.emplace_back(etcd::put(keys_.release(), encode_release_head(mine.sequence, false, {}), lease));
    }

    etcd::txn_request request;
    request.compares = own_guards();
    request.compares.push_back(etcd::mod_revision(keys_.arrival(rank_)) == arrival_changed_);
    request.success.emplace_back(etcd::put(keys_.arrival(rank_), encode(record), lease));
    if (mine.block) {
        const bool large = mine.block->size() > share();
        request.success.emplace_back(etcd::put(keys_.block(mine.sequence, rank_), large ? std::string() : *mine.block, lease));
        if (large) request.success.emplace_back(etcd::put(keys_.large_block(mine.sequence, rank_), *mine.block, lease));
    }
    request.success.emplace_back(std::move(last)); // behind the block and the arrival, which its ranges have to see
    return request;
}

// What stands in the way of an arrival. Not read by the arrival itself: each operation of a transaction costs etcd, also one that is not run.
ETCDCOLL_DECL etcd::txn_request group_state::look_request() const {
    etcd::txn_request request;
    for (const auto& key : {keys_.arrival(rank_), keys_.member(rank_), keys_.end(), keys_.count()})
        request.success.emplace_back(etcd::get(key));
    return request;
}

ETCDCOLL_DECL group_state::step group_state::read_arrival(const arrival& mine, const etcd::txn_response& reply) {
    if (!reply.succeeded) return step::look;
    arrival_changed_ = reply.header.revision;
    const auto& last = std::get<etcd::txn_response>(reply.responses.back());
    if (last.succeeded && mine.block)
        return read_blocks(std::get<etcd::range_response>(last.responses.at(1)).kvs, std::get<etcd::range_response>(last.responses.at(2)).kvs, mine);
    if (last.succeeded) {
        view_.note_release(release_record{mine.sequence, false, {}, {}}, reply.header.revision);
        return step::wait;
    }
    return std::get<etcd::txn_response>(last.responses.at(0)).succeeded ? step::mismatch : step::wait;
}

ETCDCOLL_DECL group_state::step group_state::read_look(const arrival& mine, const etcd::txn_response& reply) {
    const auto* arrived = key_read(reply, 0);
    const auto* member = key_read(reply, 1);
    const auto* end = key_read(reply, 2);
    const auto* count = key_read(reply, 3);
    // The watch brings the end, behind what was released before it. No member any more: it says whether it was the lease or a new epoch.
    if (end != nullptr || member == nullptr || member->create_revision != member_created_ || arrived == nullptr) return step::wait;

    arrival_changed_ = arrived->mod_revision;
    const auto sequence = decode_arrival(arrived->key, arrived->value).sequence;
    // The arrival at the collective before, whose reply never came: now it is known what to compare.
    if (sequence + 1 == mine.sequence) return step::arrive;
    if (sequence != mine.sequence) throw error(errc::corrupt, title(mine) + ": key \"" + arrived->key + "\" was changed by another process");
    // An earlier attempt did it, and its reply was lost. Where it was not counted, since another operation of this number is under way, nobody else would
    // say so. (A count of the next number is of ranks that were released already.)
    const auto number = std::to_string(mine.sequence) + ' ';
    if (count != nullptr && count->value.starts_with(number) && count->value != number + mine.op) return step::mismatch;
    const auto full = static_cast<std::int64_t>(mine.sequence) * size_;
    const bool last = mine.block && count != nullptr && count->version == full && count->mod_revision == arrived->mod_revision;
    return last ? step::read_blocks : step::wait;
}

ETCDCOLL_DECL bool worth_repeating(errc reason) {
    return reason == errc::timed_out || reason == errc::connection_failed || reason == errc::unavailable || reason == errc::outcome_unknown;
}

// Arrives and returns when this rank may go on; throws what prevents it, by the deadline.
ETCDCOLL_DECL asio::awaitable<void> group_state::meet(const arrival& mine) {
    const auto grace = std::min<duration>(std::chrono::milliseconds(500), (mine.deadline - mine.started) / 5);
    const auto diagnosis = mine.deadline - grace; // the names of the missing are read before the deadline, not after it
    auto notice = mine.started + notice_interval(size_);
    std::map<int, arrival_record> seen;
    bool diagnosed = false;

    request_mark request(*this);
    step sent = step::arrive;
    request.send(arrival_request(mine), mine.deadline);
    while (!view_.is_released(mine.sequence)) {
        if (failure_ || view_.broken()) co_await fail(mine);
        if (request.done()) {
            const step next = read_reply(mine, sent, request);
            if (next == step::mismatch) co_await end_by_mismatch(mine);
            if (next != step::wait && next != step::mismatch) {
                sent = next;
                request.send(next_request(mine, next), mine.deadline);
            }
            continue;
        }
        const auto now = core().now();
        if (now >= mine.deadline) {
            co_await fail_late(mine, seen);
            continue;
        }
        const bool last_look = !diagnosed && now >= diagnosis;
        if (last_look || now >= notice) {
            if (last_look) diagnosed = true;
            if (now >= notice) notice = now + notice_interval(size_);
            co_await say_who_is_missing(mine, seen, !last_look);
            continue;
        }
        const auto next = std::min(diagnosed ? mine.deadline : diagnosis, notice);
        const bool woken = co_await changed_.wait_until(std::min(next, mine.deadline));
        static_cast<void>(woken);
    }
    const auto enough = core().now() + reply_limit;
    while (request.under_way() && core().now() < enough) {
        const bool woken = co_await changed_.wait_until(enough);
        static_cast<void>(woken);
    }
    if (!request.done() || sent != step::arrive) co_return;
    try {
        const auto reply = request.take();
        if (reply.succeeded) arrival_changed_ = reply.header.revision;
    } catch (const std::exception&) { // the release says that it was counted; the next arrival looks at its revision
    }
}

ETCDCOLL_DECL group_state::step group_state::read_reply(const arrival& mine, step sent, request_mark& request) {
    try {
        const auto reply = request.take();
        switch (sent) {
        case step::arrive: return read_arrival(mine, reply);
        case step::look: return read_look(mine, reply);
        case step::publish: read_publication(mine, reply); break;
        case step::read_blocks:
            return read_blocks(std::get<etcd::range_response>(reply.responses.at(0)).kvs, std::get<etcd::range_response>(reply.responses.at(1)).kvs,
                               mine);
        case step::wait:
        case step::mismatch: break; // nothing is sent for these
        }
    } catch (const error& failure) {
        if (!worth_repeating(failure.reason())) throw;
        last_trouble_ = failure.what(); // the client has tried until the deadline
    }
    return step::wait;
}

ETCDCOLL_DECL etcd::txn_request group_state::next_request(const arrival& mine, step next) {
    switch (next) {
    case step::look: return look_request();
    case step::read_blocks: return blocks_request(mine);
    case step::publish: return publish_request(mine);
    default: return arrival_request(mine);
    }
}

// Reads who has arrived, for the error's sentence and, aloud, for the log.
ETCDCOLL_DECL asio::awaitable<void> group_state::say_who_is_missing(const arrival& mine, std::map<int, arrival_record>& seen, bool aloud) {
    if (aloud && !core().log().enabled(log_level::warning)) co_return;
    const auto limit = std::min(mine.deadline, core().now() + std::chrono::seconds(1));
    auto newest = co_await read_arrivals(limit, etcd::revision());
    if (!newest.empty()) seen = std::move(newest);
    if (!aloud || view_.is_released(mine.sequence)) co_return;

    const auto missing = not_arrived(mine, seen);
    const auto waited = seconds_text(core().now() - mine.started);
    const auto who = seen.empty() || missing.empty() ? "etcd (" + waited + ") " + trouble()
                                                     : ranks_text(missing) + " of " + std::to_string(size_) + " (" + waited + "; " + reasons(missing, seen) + ")";
    core().log().write(log_level::warning, title(mine) + ": waiting for " + who);
}

} // namespace etcdcoll::detail
