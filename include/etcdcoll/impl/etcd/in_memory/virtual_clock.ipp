#pragma once

#include <etcdcoll/impl/etcd/in_memory/virtual_clock.hpp>

#include <boost/asio/post.hpp>

namespace etcdcoll::etcd::model {

// What is due is handed to the executor, and by the time that it runs there the timer may have been disarmed or armed anew: each arm() has a
// number, and only the newest counts.
class virtual_clock::due_timer final : public timer {
public:
    due_timer(std::shared_ptr<virtual_clock> clock, asio::any_io_executor executor)
        : clock_(std::move(clock)), state_(std::make_shared<state>(std::move(executor))) {}
    ~due_timer() override { disarm(); }

    void arm(time_point when, std::function<void()> function) override {
        disarm();
        const auto round = ++state_->round;
        state_->function = std::move(function);
        when_ = when;
        number_ = clock_->at(when, [state = state_, round] {
            asio::post(state->executor, [state, round] {
                if (round != state->round) return;
                const auto due = std::exchange(state->function, nullptr);
                if (due) due();
            });
        });
    }

    void disarm() noexcept override {
        ++state_->round;
        state_->function = nullptr;
        if (number_ != 0) clock_->forget(when_, std::exchange(number_, 0));
    }

private:
    struct state {
        explicit state(asio::any_io_executor executor_) : executor(std::move(executor_)) {}
        asio::any_io_executor executor;
        std::function<void()> function;
        std::uint64_t round = 0;
    };

    std::shared_ptr<virtual_clock> clock_;
    std::shared_ptr<state> state_;
    time_point when_;
    number number_ = 0;
};

ETCDCOLL_DECL time_point virtual_clock::now() const noexcept {
    const std::scoped_lock lock(mutex_);
    return now_;
}

ETCDCOLL_DECL std::optional<time_point> virtual_clock::next() const {
    const std::scoped_lock lock(mutex_);
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first.first;
}

ETCDCOLL_DECL std::size_t virtual_clock::size() const {
    const std::scoped_lock lock(mutex_);
    return due_.size();
}

ETCDCOLL_DECL void virtual_clock::advance_to(time_point when) {
    for (;;) {
        std::function<void()> function;
        {
            const std::scoped_lock lock(mutex_);
            if (due_.empty() || due_.begin()->first.first > when) {
                now_ = std::max(now_, when);
                return;
            }
            auto first = due_.extract(due_.begin());
            now_ = std::max(now_, first.key().first);
            function = std::move(first.mapped());
        }
        function();
    }
}

// What is destroyed may come back here.
ETCDCOLL_DECL void virtual_clock::clear() noexcept {
    std::map<std::pair<time_point, number>, std::function<void()>> gone;
    const std::scoped_lock lock(mutex_);
    gone.swap(due_);
}

ETCDCOLL_DECL virtual_clock::number virtual_clock::at(time_point when, std::function<void()> function) {
    const std::scoped_lock lock(mutex_);
    due_.emplace_hint(due_.end(), std::pair(when, ++last_), std::move(function));
    return last_;
}

ETCDCOLL_DECL void virtual_clock::forget(time_point when, number which) noexcept {
    std::function<void()> forgotten; // whose destruction may come back here
    const std::scoped_lock lock(mutex_);
    const auto found = due_.find({when, which});
    if (found == due_.end()) return;
    forgotten.swap(found->second);
    due_.erase(found);
}

ETCDCOLL_DECL std::unique_ptr<timer> virtual_clock::make_timer(const asio::any_io_executor& executor) {
    return std::make_unique<due_timer>(shared_from_this(), executor);
}

} // namespace etcdcoll::etcd::model
