#pragma once

#include <etcdcoll/impl/group/group_state.hpp>

namespace etcdcoll::detail {

// What every collective has in common: the number, the arrival (one transaction, safe to repeat), the wait for the release.

ETCDCOLL_DECL arrival group_state::begin(const char* op, collective_options options, std::string at) {
    if (left_) throw error(errc::closed, "group \"" + name_ + "\": this rank has left it");
    arrival mine;
    mine.sequence = sequence_ + 1;
    mine.op = op;
    mine.at = std::move(at);
    mine.started = core().now();
    mine.deadline = mine.started + (options.timeout > duration::zero() ? options.timeout : options_.timeout);
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
    const arrival_record record{mine.sequence, mine.op, mine.at};

    const end_record mismatch{end_record::kind::mismatch, rank_, record, {}, {}};
    auto neither = etcd::when(etcd::version(keys_.count()) > 0).then(etcd::put(keys_.end(), encode(mismatch), lease));
    auto first = etcd::when(etcd::version(keys_.count()) == before).then(counted).otherwise(std::move(neither));
    auto middle = etcd::when(etcd::value(keys_.count()) == signature).then(counted).otherwise(std::move(first));
    auto last = etcd::when(etcd::value(keys_.count()) == signature, etcd::version(keys_.count()) == before + size_ - 1)
                    .otherwise(std::move(middle));
    last.success.emplace_back(counted);
    if (mine.block) {
        last.success.emplace_back(etcd::get(etcd::prefix(keys_.blocks(mine.sequence))));
    } else {
        last.success.emplace_back(etcd::put(keys_.release(), encode_release_head(mine.sequence, false, {}), lease));
    }

    etcd::txn_request request;
    request.compares = own_guards();
    request.compares.push_back(etcd::mod_revision(keys_.arrival(rank_)) == arrival_changed_);
    request.success.emplace_back(etcd::put(keys_.arrival(rank_), encode(record), lease));
    if (mine.block) request.success.emplace_back(etcd::put(keys_.block(mine.sequence, rank_), *mine.block, lease));
    request.success.emplace_back(std::move(last)); // behind the block, which its range has to see
    for (const auto& key : {keys_.arrival(rank_), keys_.member(rank_), keys_.end(), keys_.count()})
        request.failure.emplace_back(etcd::get(key));
    if (mine.block) request.failure.emplace_back(etcd::get(etcd::prefix(keys_.blocks(mine.sequence))));
    return request;
}

ETCDCOLL_DECL std::vector<std::string> group_state::blocks_of(const std::vector<etcd::key_value>& listing, const std::string& prefix) const {
    std::vector<std::string> blocks(static_cast<std::size_t>(size_));
    for (const auto& kv : listing)
        if (const auto rank = key_layout::rank_behind(prefix, kv.key); rank && *rank < size_) blocks[static_cast<std::size_t>(*rank)] = kv.value;
    return blocks;
}

// Nothing while it does not say that this rank has arrived: the loss that prevents it comes by the watch.
ETCDCOLL_DECL std::optional<arrival_result> group_state::read_arrival(const arrival& mine, const etcd::txn_response& reply) {
    if (!reply.succeeded) return read_guard_failure(mine, reply);
    arrival_changed_ = reply.header.revision;
    arrival_result result;
    const auto& last = std::get<etcd::txn_response>(reply.responses.back());
    if (last.succeeded) {
        result.last = true;
        if (mine.block) {
            const auto& listing = std::get<etcd::range_response>(last.responses.at(1));
            result.blocks = blocks_of(listing.kvs, keys_.blocks(mine.sequence));
        } else {
            view_.note_release(release_record{mine.sequence, false, {}, {}}, reply.header.revision);
        }
        return result;
    }
    const auto& middle = std::get<etcd::txn_response>(last.responses.at(0));
    if (middle.succeeded) return result;
    const auto& first = std::get<etcd::txn_response>(middle.responses.at(0));
    if (first.succeeded) return result;
    const auto& neither = std::get<etcd::txn_response>(first.responses.at(0));
    if (neither.succeeded)
        view_.note_end(end_record{end_record::kind::mismatch, rank_, {mine.sequence, mine.op, mine.at}, {}, {}}, reply.header.revision);
    return result; // count is gone with the lease of its last writer: so is that member
}

ETCDCOLL_DECL std::optional<arrival_result> group_state::read_guard_failure(const arrival& mine, const etcd::txn_response& reply) {
    const auto* arrived = key_read(reply, 0);
    const auto* member = key_read(reply, 1);
    const auto* end = key_read(reply, 2);
    const auto* count = key_read(reply, 3);
    if (end != nullptr) view_.note_end(decode_end(end->key, end->value), end->mod_revision);
    if (member == nullptr || member->create_revision != member_created_) {
        fail_with(error(errc::lease_lost, "group \"" + name_ + "\": rank " + std::to_string(rank_) +
                                              " is no member any more: its lease was lost, or a new epoch has begun"));
        return std::nullopt;
    }
    if (arrived == nullptr || decode_arrival(arrived->key, arrived->value).sequence != mine.sequence) return std::nullopt;

    // An earlier attempt did it, and its reply was lost.
    arrival_changed_ = arrived->mod_revision;
    arrival_result result;
    const auto full = static_cast<std::int64_t>(mine.sequence) * size_;
    result.last = mine.block && count != nullptr && count->version == full && count->mod_revision == arrived->mod_revision;
    if (result.last) {
        const auto& listing = std::get<etcd::range_response>(reply.responses.at(4));
        result.blocks = blocks_of(listing.kvs, keys_.blocks(mine.sequence));
    }
    return result;
}

ETCDCOLL_DECL bool worth_repeating(errc reason) {
    return reason == errc::timed_out || reason == errc::connection_failed || reason == errc::unavailable || reason == errc::outcome_unknown ||
           reason == errc::bad_reply;
}

// Made in short calls, so that the end of the epoch is noticed in between also while etcd does not answer. Nothing when the collective was
// released, or the epoch ended, meanwhile.
ETCDCOLL_DECL asio::awaitable<std::optional<etcd::txn_response>> group_state::guarded_txn(etcd::txn_request request, const arrival& mine) {
    const auto slice = core().values().attempt_timeout;
    while (!view_.is_released(mine.sequence) && !view_.broken() && !failure_) {
        const auto left = mine.deadline - core().now();
        if (left <= duration::zero()) break;
        const call_options options{.timeout = std::min(slice, left), .guarded = true};
        std::optional<error> failed;
        try {
            auto reply = co_await client_.txn(request, options);
            co_return reply;
        } catch (const error& failure) {
            failed.emplace(failure);
        }
        if (!worth_repeating(failed->reason())) throw error(*failed);
        last_trouble_ = failed->what();
    }
    co_return std::nullopt;
}

ETCDCOLL_DECL asio::awaitable<arrival_result> group_state::arrive(const arrival& mine) {
    const auto request = arrival_request(mine);
    auto reply = co_await guarded_txn(request, mine);
    std::optional<arrival_result> result;
    if (reply) result = read_arrival(mine, *reply);
    co_return result.value_or(arrival_result{});
}

// Returns when this rank may go on; throws what prevents it, by the deadline.
ETCDCOLL_DECL asio::awaitable<void> group_state::wait_release(const arrival& mine) {
    const auto grace = std::min<duration>(std::chrono::milliseconds(500), (mine.deadline - mine.started) / 5);
    const auto diagnosis = mine.deadline - grace; // the names of the missing are read before the deadline, not after it
    auto notice = mine.started + std::chrono::seconds(10);
    std::map<int, arrival_record> seen;
    bool diagnosed = false;
    while (!view_.is_released(mine.sequence)) {
        if (failure_ || view_.broken()) co_await fail(mine);
        const auto now = core().now();
        if (now >= mine.deadline) {
            co_await fail_late(mine, seen);
            continue;
        }
        const bool look = !diagnosed && now >= diagnosis;
        if (look || now >= notice) {
            diagnosed = diagnosed || look;
            if (now >= notice) notice += std::chrono::seconds(10);
            const auto limit = std::min(mine.deadline, core().now() + std::chrono::seconds(1));
            auto newest = co_await read_arrivals(limit, etcd::revision());
            if (!newest.empty()) seen = std::move(newest);
            if (!look) log_waiting(mine, seen);
            continue;
        }
        const auto next = std::min(diagnosed ? mine.deadline : diagnosis, notice);
        const bool woken = co_await changed_.wait_until(std::min(next, mine.deadline));
        static_cast<void>(woken);
    }
}

} // namespace etcdcoll::detail
