#pragma once

#include <etcdcoll/environment.hpp>
#include <etcdcoll/host.hpp>
#include <etcdcoll/impl/tcp_stream.hpp>

#include <boost/asio/steady_timer.hpp>

#include <mutex>
#include <random>
#include <utility>

namespace etcdcoll {

ETCDCOLL_DECL timer::~timer() = default;
ETCDCOLL_DECL byte_stream::~byte_stream() = default;
ETCDCOLL_DECL environment::~environment() = default;
ETCDCOLL_DECL std::string environment::host() const { return host_name(); }
ETCDCOLL_DECL std::int64_t environment::process_id() const noexcept { return detail::process_id(); }

ETCDCOLL_DECL std::size_t byte_stream::write_now(asio::const_buffer, error_code& failure) noexcept {
    failure.clear();
    return 0;
}

// "Connection refused" reads as "connection refused" behind a colon.
ETCDCOLL_DECL std::string byte_stream::explain(const error_code& failure) const {
    auto text = failure.message();
    if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z')
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

namespace detail {

// A cancelled Asio wait whose completion is queued already still reports success, so each arm() has a number and only the newest fires.
class system_timer final : public timer {
public:
    explicit system_timer(const asio::any_io_executor& executor) : state_(std::make_shared<state>(executor)) {}
    ~system_timer() override { disarm(); }

    void arm(time_point when, std::function<void()> function) override {
        const auto number = ++state_->number;
        state_->function = std::move(function);
        state_->timer.expires_at(when);
        state_->timer.async_wait([state = state_, number](error_code) {
            if (number != state->number) return;
            const auto due = std::exchange(state->function, nullptr);
            if (due) due();
        });
    }

    void disarm() noexcept override {
        ++state_->number;
        state_->function = nullptr;
        try {
            state_->timer.cancel();
        } catch (...) { // only Asio's signature makes this possible: a timer's cancel has nothing that can fail
        }
    }

private:
    struct state {
        explicit state(const asio::any_io_executor& executor) : timer(executor) {}
        asio::steady_timer timer;
        std::function<void()> function;
        std::uint64_t number = 0;
    };
    std::shared_ptr<state> state_;
};

class system_environment final : public environment {
public:
    system_environment() {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        engine_.seed(seed);
    }

    time_point now() const noexcept override { return std::chrono::steady_clock::now(); }
    std::chrono::system_clock::time_point wall_clock() const noexcept override { return std::chrono::system_clock::now(); }

    std::unique_ptr<timer> make_timer(const asio::any_io_executor& executor) override {
        return std::make_unique<system_timer>(executor);
    }

    std::unique_ptr<byte_stream> make_stream(const asio::any_io_executor& executor) override {
        return std::make_unique<tcp_stream>(executor);
    }

    std::uint64_t random() noexcept override {
        const std::scoped_lock lock(mutex_);
        return engine_();
    }

private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

} // namespace detail

ETCDCOLL_DECL std::shared_ptr<environment> environment::system() {
    static const auto instance = std::make_shared<detail::system_environment>();
    return instance;
}

} // namespace etcdcoll
