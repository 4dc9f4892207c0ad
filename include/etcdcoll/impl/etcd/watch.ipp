#pragma once

#include <etcdcoll/etcd/watch.hpp>
#include <etcdcoll/impl/etcd/watch_queue.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>

namespace etcdcoll::etcd {

namespace detail {

ETCDCOLL_DECL asio::awaitable<watch_response> next_of(std::shared_ptr<watch_queue> queue) {
    co_await queue->fill(time_point::max());
    co_return queue->take();
}

ETCDCOLL_DECL asio::awaitable<std::optional<watch_response>> next_within_of(std::shared_ptr<watch_queue> queue, time_point deadline) {
    std::optional<watch_response> response;
    const bool filled = co_await queue->fill(deadline);
    if (filled) response = queue->take();
    co_return response;
}

ETCDCOLL_DECL asio::awaitable<revision> progress_of(std::shared_ptr<watch_queue> queue, revision at_least, duration timeout) {
    const auto reached = co_await queue->progress(at_least, timeout);
    co_return reached;
}

} // namespace detail

ETCDCOLL_DECL watch::watch(std::shared_ptr<etcdcoll::detail::client_core> core, std::shared_ptr<detail::watch_queue> queue)
    : core_(std::move(core)), queue_(std::move(queue)) {}
ETCDCOLL_DECL watch::watch(watch&&) noexcept = default;

ETCDCOLL_DECL watch& watch::operator=(watch&& other) noexcept {
    if (this == &other) return *this;
    cancel();
    core_ = std::move(other.core_);
    queue_ = std::move(other.queue_);
    return *this;
}

ETCDCOLL_DECL watch::~watch() { cancel(); }

ETCDCOLL_DECL void watch::cancel() noexcept {
    if (!queue_) return;
    asio::post(core_->strand(), [core = core_, queue = std::move(queue_)] { queue->cancel(*core->watches()); });
    queue_.reset();
}

ETCDCOLL_DECL asio::awaitable<watch_response> watch::next() {
    if (!queue_) throw error(errc::closed, "watch: cancelled");
    return etcdcoll::detail::on_strand(core_->strand(), detail::next_of(queue_));
}

ETCDCOLL_DECL asio::awaitable<std::optional<watch_response>> watch::next_within(duration timeout) {
    if (!queue_) throw error(errc::closed, "watch: cancelled");
    const auto limit = std::min(timeout, etcdcoll::detail::longest_timeout);
    return etcdcoll::detail::on_strand(core_->strand(), detail::next_within_of(queue_, core_->now() + limit));
}

ETCDCOLL_DECL asio::awaitable<revision> watch::progress(revision at_least, duration timeout) {
    if (!queue_) throw error(errc::closed, "watch: cancelled");
    if (at_least.value < 0) throw error(errc::invalid_argument, "watch: progress to a negative revision");
    const auto limit = std::min(timeout, etcdcoll::detail::longest_timeout);
    return etcdcoll::detail::on_strand(core_->strand(), detail::progress_of(queue_, at_least, limit));
}

} // namespace etcdcoll::etcd
