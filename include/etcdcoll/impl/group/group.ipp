#pragma once

#include <etcdcoll/group.hpp>
#include <etcdcoll/impl/group/group_state.hpp>

#include <etcdcoll/impl/group/allgather.ipp>
#include <etcdcoll/impl/group/arrive.ipp>
#include <etcdcoll/impl/group/barrier.ipp>
#include <etcdcoll/impl/group/end.ipp>
#include <etcdcoll/impl/group/join.ipp>
#include <etcdcoll/impl/group/options.ipp>
#include <etcdcoll/impl/group/records.ipp>
#include <etcdcoll/impl/group/watching.ipp>

#include <boost/asio/post.hpp>

namespace etcdcoll {

namespace detail {

ETCDCOLL_DECL const std::shared_ptr<group_state>& joined(const std::shared_ptr<group_state>& state) {
    if (!state) throw error(errc::closed, "this group was never joined, or it was moved from");
    return state;
}

// "app.cpp:41"
ETCDCOLL_DECL std::string place_of(const std::source_location& where) {
    const std::string_view file = where.file_name();
    const auto slash = file.rfind('/');
    return std::string(slash == std::string_view::npos ? file : file.substr(slash + 1)) + ":" + std::to_string(where.line());
}

// Each of these keeps the state alive while it runs, also when the handle goes meanwhile.
ETCDCOLL_DECL asio::awaitable<void> run_join(std::shared_ptr<group_state> state) { co_await state->join(); }
ETCDCOLL_DECL asio::awaitable<void> run_abort(std::shared_ptr<group_state> state, std::string text) { co_await state->abort(std::move(text)); }
ETCDCOLL_DECL asio::awaitable<void> run_leave(std::shared_ptr<group_state> state) { co_await state->leave(); }

ETCDCOLL_DECL asio::awaitable<void> run_barrier(std::shared_ptr<group_state> state, collective_options options, std::string at) {
    co_await state->barrier(options, std::move(at));
}

ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> run_allgather(std::shared_ptr<group_state> state, std::string mine, collective_options options,
                                                               std::string at) {
    auto result = co_await state->allgather(std::move(mine), options, std::move(at));
    co_return result;
}

} // namespace detail

ETCDCOLL_DECL group::group() noexcept = default;
ETCDCOLL_DECL group::group(std::shared_ptr<detail::group_state> state) : state_(std::move(state)) {}
ETCDCOLL_DECL group::group(group&&) noexcept = default;

ETCDCOLL_DECL group& group::operator=(group&& other) noexcept {
    group old(std::move(*this)); // stops what stood here
    state_ = std::move(other.state_);
    return *this;
}

ETCDCOLL_DECL group::~group() {
    if (state_) asio::post(state_->core().strand(), [state = state_] { state->stop(); });
}

ETCDCOLL_DECL asio::awaitable<group> group::join(etcd::client client, group_options options) {
    auto wanted = detail::resolve_membership(options.get());
    const auto strand = client.core()->strand();
    group result(std::make_shared<detail::group_state>(std::move(client), options.get(), std::move(wanted)));
    co_await detail::on_strand(strand, detail::run_join(result.state_));
    co_return result;
}

ETCDCOLL_DECL int group::rank() const { return detail::joined(state_)->rank(); }
ETCDCOLL_DECL int group::size() const { return detail::joined(state_)->size(); }
ETCDCOLL_DECL const std::string& group::name() const { return detail::joined(state_)->name(); }
ETCDCOLL_DECL std::int64_t group::epoch() const { return detail::joined(state_)->epoch(); }

ETCDCOLL_DECL asio::awaitable<void> group::barrier(collective_options options, std::source_location where) {
    const auto& state = detail::joined(state_);
    return detail::on_strand(state->core().strand(), detail::run_barrier(state, options, detail::place_of(where)));
}

ETCDCOLL_DECL asio::awaitable<std::vector<bytes>> group::allgather_bytes(std::span<const std::byte> mine, collective_options options,
                                                                        std::source_location where) {
    const auto& state = detail::joined(state_);
    return detail::on_strand(state->core().strand(),
                             detail::run_allgather(state, std::string(as_string_view(mine)), options, detail::place_of(where)));
}

ETCDCOLL_DECL asio::awaitable<void> group::abort(std::string text) {
    const auto& state = detail::joined(state_);
    return detail::on_strand(state->core().strand(), detail::run_abort(state, std::move(text)));
}

ETCDCOLL_DECL asio::awaitable<void> group::leave() {
    const auto& state = detail::joined(state_);
    return detail::on_strand(state->core().strand(), detail::run_leave(state));
}

} // namespace etcdcoll
