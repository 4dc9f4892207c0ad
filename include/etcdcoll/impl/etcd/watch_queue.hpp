#pragma once
// What the hub delivers to a watch, until one coroutine takes it.

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/client_core.hpp>
#include <etcdcoll/impl/etcd/watch_hub.hpp>

#include <atomic>
#include <deque>
#include <optional>

namespace etcdcoll::etcd::detail {

// Held by the hub as long as the watch lives, so it does not hold the hub: from begin() to on_failure() there is one.
class watch_queue final : public etcdcoll::detail::watch_sink {
public:
    explicit watch_queue(const etcdcoll::detail::client_core& core)
        : system_(core.system()), most_(core.values().watch_buffer), backlog_(core.counted.watch_backlog), filled_(core.strand(), system_),
          moved_(core.strand(), system_) {}
    ~watch_queue() override { drop(); }

    void on_response(watch_response response) override {
        bytes_ += etcdcoll::detail::size_of(response.events);
        *backlog_ += response.events.size();
        on_progress(response.events.back().kv.mod_revision);
        queue_.push_back(std::move(response));
        filled_.notify_all();
        if (bytes_ <= most_ || paused_ || hub_ == nullptr) return;
        paused_ = true;
        hub_->pause(id_);
    }

    void on_progress(revision at) override {
        told_ = std::max(told_, at);
        moved_.notify_all();
    }

    void on_failure(const error& failure) override {
        hub_ = nullptr;
        if (!failure_) failure_.emplace(failure);
        filled_.notify_all();
        moved_.notify_all();
    }

    void begin(etcdcoll::detail::watch_hub& hub, watch_request request, const std::shared_ptr<watch_queue>& self) {
        if (failure_) return;
        hub_ = &hub;
        id_ = hub.add(std::move(request), self);
    }

    void cancel(etcdcoll::detail::watch_hub& hub) {
        hub.remove(id_);
        drop();
        on_failure(error(errc::closed, "watch: cancelled"));
    }

    // True when there is something to take.
    asio::awaitable<bool> fill(time_point deadline) {
        while (queue_.empty()) {
            if (failure_) throw error(*failure_);
            const bool moved = co_await filled_.wait_until(deadline);
            if (!moved && queue_.empty() && !failure_) co_return false;
        }
        co_return true;
    }

    watch_response take() {
        auto response = std::move(queue_.front());
        queue_.pop_front();
        bytes_ -= etcdcoll::detail::size_of(response.events);
        *backlog_ -= response.events.size();
        if (paused_ && bytes_ <= most_ / 2 && hub_ != nullptr) {
            paused_ = false;
            hub_->resume(id_);
        }
        return response;
    }

    // An answer may be lost with the stream, or be withheld while another watch reads history: so it is asked for again.
    asio::awaitable<revision> progress(revision at_least, duration timeout) {
        const auto deadline = system_->now() + timeout;
        told_ = revision();
        auto ask_at = system_->now();
        for (;;) {
            if (failure_) throw error(*failure_);
            if (told_ && told_ >= at_least) co_return told_;
            if (hub_ != nullptr && !hub_->can_ask())
                throw error(errc::unsupported, "watch: a proxy in between holds open requests back, so the stream cannot be asked");
            const auto now = system_->now();
            if (now >= deadline)
                throw error(errc::timed_out, "watch: not known to have reached revision " + std::to_string(at_least.value) + " within " +
                                                 etcdcoll::detail::seconds_text(timeout));
            if (now >= ask_at && hub_ != nullptr) hub_->ask_progress();
            if (now >= ask_at) ask_at = now + std::chrono::milliseconds(1500);
            const auto until = std::min(deadline, ask_at);
            const bool moved = co_await moved_.wait_until(until);
            static_cast<void>(moved);
        }
    }

private:
    void drop() noexcept {
        for (const auto& response : queue_) *backlog_ -= response.events.size();
        queue_.clear();
        bytes_ = 0;
    }

    std::shared_ptr<environment> system_;
    std::size_t most_;
    std::shared_ptr<std::atomic<std::uint64_t>> backlog_;
    etcdcoll::detail::condition filled_;
    etcdcoll::detail::condition moved_;
    std::deque<watch_response> queue_;
    std::size_t bytes_ = 0;
    bool paused_ = false;
    revision told_; // since progress() was called
    std::optional<error> failure_;
    etcdcoll::detail::watch_hub* hub_ = nullptr;
    std::int64_t id_ = 0;
};

} // namespace etcdcoll::etcd::detail
