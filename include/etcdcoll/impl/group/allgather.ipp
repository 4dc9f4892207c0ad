#pragma once

#include <etcdcoll/impl/group/collective_marks.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

namespace etcdcoll::detail {

/// Blocks that together have more bytes are not repeated in the release but read from their own keys.
inline constexpr std::size_t release_limit = 1'000'000;
/// About what one read of listed blocks may bring.
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
    if (size_ == 1) co_return std::vector<bytes>{to_bytes(block)};
    mine.block = std::move(block);

    const cancel_mark cancelling(*this, mine);
    const auto arrived = co_await arrive(mine);
    if (arrived.last) co_await publish(mine, arrived.blocks);
    co_await wait_release(mine);
    auto result = co_await read_release(mine);
    co_return result;
}

ETCDCOLL_DECL asio::awaitable<void> group_state::publish(const arrival& mine, const std::vector<std::string>& blocks) {
    release_record release;
    release.sequence = mine.sequence;
    std::size_t total = 0;
    for (const auto& block : blocks) {
        release.lengths.push_back(block.size());
        total += block.size();
    }
    release.listed = total > release_limit;
    auto value = encode_release_head(release.sequence, release.listed, release.lengths);
    if (!release.listed)
        for (const auto& block : blocks) release.blocks += block;
    value += release.blocks;

    etcd::txn_request request;
    request.compares = own_guards();
    request.compares.push_back(etcd::mod_revision(keys_.release()) == release_changed());
    request.success.emplace_back(etcd::put(keys_.release(), std::move(value), session_->lease()));
    for (const auto& key : {keys_.release(), keys_.member(rank_), keys_.end()}) request.failure.emplace_back(etcd::get(key));
    const auto reply = co_await guarded_txn(std::move(request), mine);
    if (!reply) co_return;
    if (reply->succeeded) {
        view_.note_release(std::move(release), reply->header.revision);
        co_return;
    }
    // An earlier attempt did it, or the epoch is over; both come by the watch as well.
    const auto& there = std::get<etcd::range_response>(reply->responses.at(0)).kvs;
    if (there.empty()) co_return;
    auto newest = decode_release(there.front().key, there.front().value);
    if (newest.sequence == mine.sequence) view_.note_release(std::move(newest), there.front().mod_revision);
}

ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group_state::read_release(const arrival& mine) {
    const auto& release = view_.release()->record;
    if (release.lengths.size() != static_cast<std::size_t>(size_))
        throw error(errc::corrupt, title(mine) + ": the release holds " + std::to_string(release.lengths.size()) + " blocks");
    if (release.listed) {
        auto listed = co_await read_listed(mine, release.lengths, view_.release()->at);
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
ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group_state::read_listed(const arrival& mine, std::vector<std::size_t> lengths, etcd::revision at) {
    const auto prefix = keys_.blocks(mine.sequence);
    const auto longest = *std::max_element(lengths.begin(), lengths.end());
    std::vector<std::optional<bytes>> found(lengths.size());
    etcd::range_request request(etcd::prefix(prefix));
    request.limit = static_cast<std::int64_t>(std::max<std::size_t>(1, read_limit / longest));
    request.revision = at;
    for (bool more = true; more;) {
        const call_options options{.timeout = std::max<duration>(mine.deadline - core().now(), std::chrono::milliseconds(1))};
        const auto page = co_await client_.range(request, options);
        more = page.more && !page.kvs.empty();
        for (const auto& kv : page.kvs)
            if (const auto rank = key_layout::rank_behind(prefix, kv.key); rank && *rank < size_)
                found[static_cast<std::size_t>(*rank)] = to_bytes(kv.value);
        if (more) request.keys.key = page.kvs.back().key + '\0';
    }
    std::vector<bytes> result;
    for (std::size_t rank = 0; rank < found.size(); ++rank) {
        if (!found[rank] || found[rank]->size() != lengths[rank])
            throw error(errc::corrupt, title(mine) + ": the block of rank " + std::to_string(rank) + " is not what was released");
        result.push_back(std::move(*found[rank]));
    }
    co_return result;
}

} // namespace etcdcoll::detail
