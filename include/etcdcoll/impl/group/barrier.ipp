#pragma once

#include <etcdcoll/impl/group/collective_marks.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

namespace etcdcoll::detail {

// Arrive, then wait for the release: the last arrival and the release are one commit, so that a rank that is released knows all to have arrived.
ETCDCOLL_DECL asio::awaitable<void> group_state::barrier(collective_options options, std::string at) {
    const busy_mark busy(*this);
    const arrival mine = begin("barrier", options, std::move(at));
    co_await check_usable(mine);
    sequence_ = mine.sequence;
    if (size_ == 1) co_return;

    const cancel_mark cancelling(*this, mine);
    co_await meet(mine);
}

} // namespace etcdcoll::detail
