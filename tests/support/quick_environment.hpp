#pragma once
// The system's environment with a clock that runs faster, for tests of long waits.

#include <etcdcoll/environment.hpp>

namespace etcdcoll::test {

class quick_environment final : public environment {
public:
    explicit quick_environment(int factor) : factor_(factor) {}

    time_point now() const noexcept override { return begin_ + factor_ * (system_->now() - begin_); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return system_->wall_clock(); }
    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override {
        return std::make_unique<quick_timer>(system_->make_timer(executor), begin_, factor_);
    }
    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override { return system_->make_stream(executor); }
    std::uint64_t random() noexcept override { return system_->random(); }

private:
    class quick_timer final : public timer {
    public:
        quick_timer(std::unique_ptr<timer> inner, time_point begin, int factor) : inner_(std::move(inner)), begin_(begin), factor_(factor) {}
        void arm(time_point when, std::function<void()> function) override {
            // Rounded up: a timer never fires before its time.
            inner_->arm(begin_ + (when - begin_) / factor_ + std::chrono::nanoseconds(1), std::move(function));
        }
        void disarm() noexcept override { inner_->disarm(); }

    private:
        std::unique_ptr<timer> inner_;
        time_point begin_;
        int factor_;
    };

    std::shared_ptr<environment> system_ = environment::system();
    time_point begin_ = system_->now();
    int factor_;
};

} // namespace etcdcoll::test
