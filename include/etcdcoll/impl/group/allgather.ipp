#pragma once

#include <etcdcoll/impl/group/collective_marks.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

namespace etcdcoll::detail {

/// Blocks that together may have more bytes are not repeated in the release but read from their own keys.
inline constexpr std::size_t release_limit = 1'000'000;
/// About what one read of large blocks may bring.
inline constexpr std::size_t read_limit = 4'000'000;

// Every rank leaves its block with its arrival; the last one to arrive is given all blocks by its own transaction and publishes them as the
// release: one more transaction in all, where a list by every rank would be one more each.
ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group_state::allgather(std::string block, collective_options options, std::string at) {
    const busy_mark busy(*this);
    arrival mine = begin("allgather", options, std::move(at));
    co_await check_usable(mine);
    if (block.size() > 1'500'000)
        throw error(errc::too_large, title(mine) + ": a block of " + std::to_string(block.size()) + " bytes is more than the 1500000 that etcd takes");
    sequence_ = mine.sequence;
    if (size_ == 1) {
        std::vector<bytes> alone(1, to_bytes(block));
        co_return alone;
    }
    mine.block = std::move(block);

    const cancel_mark cancelling(*this, mine);
    co_await meet(mine);
    auto result = co_await read_release(mine);
    co_return result;
}

// Every rank can tell from its own block alone whether it fits: no more than an equal share of a release.
ETCDCOLL_DECL std::size_t group_state::share() const noexcept { return release_limit / static_cast<std::size_t>(size_); }

ETCDCOLL_DECL etcd::txn_request group_state::blocks_request(const arrival& mine) const {
    return etcd::when().then(etcd::get(etcd::prefix(keys_.blocks(mine.sequence))), etcd::get(etcd::prefix(keys_.arrivals())));
}

// A rank that was counted may be gone since, and its block with it: then there is nothing to publish, and the watch says why.
ETCDCOLL_DECL group_state::step group_state::read_blocks(const std::vector<etcd::key_value>& blocks, const std::vector<etcd::key_value>& arrivals,
                                                         const arrival& mine) {
    int there = 0;
    gathered_ = gathered();
    gathered_.lengths.resize(static_cast<std::size_t>(size_));
    gathered_.blocks.resize(static_cast<std::size_t>(size_));
    for (const auto& kv : arrivals) {
        const auto rank = key_layout::rank_behind(keys_.arrivals(), kv.key);
        if (!rank || *rank >= size_) continue;
        const auto record = decode_arrival(kv.key, kv.value);
        if (record.sequence != mine.sequence) continue;
        gathered_.lengths[static_cast<std::size_t>(*rank)] = record.length;
        ++there;
    }
    if (there != size_) {
        gathered_ = gathered();
        return step::wait;
    }
    const auto longest = *std::max_element(gathered_.lengths.begin(), gathered_.lengths.end());
    const auto prefix = keys_.blocks(mine.sequence);
    for (const auto& kv : blocks) {
        const auto rank = key_layout::rank_behind(prefix, kv.key);
        if (rank && *rank < size_) gathered_.blocks[static_cast<std::size_t>(*rank)] = kv.value;
    }
    if (longest > share()) gathered_.blocks.clear();
    return step::publish;
}

ETCDCOLL_DECL etcd::txn_request group_state::publish_request(const arrival& mine) {
    const bool listed = gathered_.blocks.empty();
    auto value = encode_release_head(mine.sequence, listed, gathered_.lengths);
    for (const auto& block : gathered_.blocks) value += block;

    etcd::txn_request request;
    request.compares = own_guards();
    request.compares.push_back(etcd::mod_revision(keys_.release()) == release_changed());
    request.compares.push_back(etcd::mod_revision(keys_.count()) == arrival_changed_); // an end deletes it, and may be gone itself
    request.success.emplace_back(etcd::put(keys_.release(), std::move(value), session_->lease()));
    request.failure.emplace_back(etcd::get(keys_.release()));
    return request;
}

// When the guard failed, an earlier attempt did it, or the epoch is over; both come by the watch as well.
ETCDCOLL_DECL void group_state::read_publication(const arrival& mine, const etcd::txn_response& reply) {
    if (reply.succeeded) {
        release_record release{mine.sequence, gathered_.blocks.empty(), std::move(gathered_.lengths), {}};
        for (const auto& block : gathered_.blocks) release.blocks += block;
        view_.note_release(std::move(release), reply.header.revision);
    } else if (const auto* there = key_read(reply, 0)) {
        auto release = decode_release(there->key, there->value);
        if (release.sequence == mine.sequence) view_.note_release(std::move(release), there->mod_revision);
    }
    gathered_ = gathered();
}

ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group_state::read_release(const arrival& mine) {
    const auto& release = view_.release()->record;
    if (release.lengths.size() != static_cast<std::size_t>(size_))
        throw error(errc::corrupt, title(mine) + ": the release holds " + std::to_string(release.lengths.size()) + " blocks");
    if (release.listed) {
        auto listed = co_await read_listed(mine, release, view_.release()->at);
        co_return listed;
    }
    std::vector<bytes> result;
    result.reserve(release.lengths.size());
    std::string_view rest = release.blocks;
    for (const auto length : release.lengths) {
        result.push_back(to_bytes(rest.substr(0, length)));
        rest.remove_prefix(length);
    }
    co_return result;
}

// At the revision of the release: also what a rank that has left meanwhile took with it.
ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group_state::read_listed(const arrival& mine, release_record release, etcd::revision at) {
    std::vector<std::optional<bytes>> found(release.lengths.size());
    for (const bool large : {false, true}) {
        const auto prefix = large ? keys_.large_blocks(mine.sequence) : keys_.blocks(mine.sequence);
        const auto longest = large ? *std::max_element(release.lengths.begin(), release.lengths.end()) : share();
        etcd::range_request request(etcd::prefix(prefix));
        request.limit = static_cast<std::int64_t>(std::max<std::size_t>(1, read_limit / std::max<std::size_t>(longest, 1)));
        request.revision = at;
        for (bool more = true; more;) {
            const call_options options{.timeout = std::max<duration>(mine.deadline - core().now(), std::chrono::milliseconds(1))};
            auto page = co_await client_.range(request, options);
            more = page.more && !page.kvs.empty();
            if (more) request.keys.key = page.kvs.back().key + '\0';
            for (auto& kv : page.kvs) {
                const auto rank = key_layout::rank_behind(prefix, kv.key);
                const auto index = static_cast<std::size_t>(rank.value_or(0));
                if (rank && *rank < size_ && (release.lengths[index] > share()) == large) found[index] = to_bytes(kv.value);
            }
        }
    }
    std::vector<bytes> result;
    for (std::size_t rank = 0; rank < found.size(); ++rank) {
        if (!found[rank] || found[rank]->size() != release.lengths[rank])
            throw error(errc::corrupt, title(mine) + ": the block of rank " + std::to_string(rank) + " is not what was released");
        result.push_back(std::move(*found[rank]));
    }
    co_return result;
}

} // namespace etcdcoll::detail
