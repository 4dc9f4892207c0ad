#include "group_operation.hpp"

#include <span>
#include <stdexcept>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// How an epoch ends for one whose companion was cancelled.
bool is_end_of_epoch(errc why) { return why == errc::aborted || why == errc::rank_lost || why == errc::timed_out; }

group_options as_rank_of(int rank) {
    group_options options;
    options.name("pair").rank(rank).size(2).ttl(10s).timeout(20s).join_timeout(60s);
    return options;
}

std::string block_of(int rank, std::size_t size) { return std::string(size, static_cast<char>('a' + rank)); }

asio::awaitable<void> gather(group* in, std::size_t size) {
    const auto mine = block_of(in->rank(), size);
    const auto blocks = co_await in->allgather_bytes(std::as_bytes(std::span(mine)));
    for (int rank = 0; rank < in->size(); ++rank) {
        if (as_string_view(blocks.at(static_cast<std::size_t>(rank))) != block_of(rank, size)) throw std::runtime_error("a block is not what was brought");
    }
}

asio::awaitable<void> other_life(std::shared_ptr<other_rank> self) { co_await self->live(); }

} // namespace

asio::awaitable<void> call_barrier(group* in) { co_await in->barrier(); }
asio::awaitable<void> call_allgather_bytes(group* in) { co_await gather(in, 10); }
asio::awaitable<void> call_large_allgather(group* in) { co_await gather(in, 510'000); }

asio::awaitable<void> call_allgather(group* in) {
    const auto ranks = co_await in->allgather(in->rank());
    if (ranks != std::vector{0, 1}) throw std::runtime_error("a number is not what was brought");
}

asio::awaitable<bool> other_rank::join(client through, group* into) {
    const auto options = as_rank_of(1);
    try {
        auto joined = co_await group::join(std::move(through), options);
        *into = std::move(joined);
    } catch (const error& why) {
        if (!is_end_of_epoch(why.reason())) throw;
        co_return false;
    }
    co_return true;
}

asio::awaitable<bool> other_rank::meet(group* in) {
    try {
        co_await call_(in);
    } catch (const error& why) {
        if (!is_end_of_epoch(why.reason())) throw;
        co_return false;
    }
    ++meetings;
    co_return true;
}

asio::awaitable<void> other_rank::live() {
    const auto etcd = all_.rank(1).make_client();
    while (!over) {
        group mine;
        bool going = co_await join(etcd, &mine);
        if (!going) continue;
        while (going) going = co_await meet(&mine);
        co_await mine.leave();
    }
}

operation_of_group::operation_of_group(world& of, collective_call both_call)
    : operation(of), call_(both_call), other_(std::make_shared<other_rank>(of, both_call)) {
    const auto checker = group_checker::follow(of, "pair", 2);
    static_cast<void>(checker); // the world keeps it
    all.spawn(all.rank(1), [other = other_] { return other_life(other); });
}

operation_of_group::~operation_of_group() { other_->over = true; }

promises operation_of_group::promised() { return {.processes = 2, .others = {"etcdcoll/groups/"}}; }

asio::awaitable<void> operation_of_group::join() {
    const auto options = as_rank_of(0);
    auto joined = co_await group::join(etcd, options);
    mine_ = std::move(joined);
}

asio::awaitable<void> operation_of_group::prepare() { co_await join(); }

asio::awaitable<void> operation_of_group::meet_again() {
    const auto before = other_->meetings;
    co_await call();
    co_await pause(100ms);
    require(other_->meetings > before, "rank 1 has not left the collective that rank 0 has left");
}

} // namespace etcdcoll::sim
