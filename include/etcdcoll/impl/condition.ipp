#pragma once

#include <etcdcoll/impl/condition.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <mutex>
#include <optional>
#include <utility>

namespace etcdcoll::detail {

// One suspended coroutine, which can be resumed once.
class parked {
public:
    virtual ~parked() = default;
    virtual void resume() noexcept = 0;
    virtual void destroy() noexcept = 0;

    std::list<parked*>::iterator place;
    bool listed = false;
};

// Knows what waits on an execution context, so that it can be destroyed with it: nothing else holds a suspended coroutine.
class parking final : public asio::execution_context::service {
public:
    using key_type = parking;
    inline static asio::execution_context::id id;

    explicit parking(asio::execution_context& context) : asio::execution_context::service(context) {}

    void enter(parked& coroutine) {
        const std::scoped_lock lock(mutex_);
        coroutine.place = all_.insert(all_.end(), &coroutine);
        coroutine.listed = true;
    }
    // Not on the list, it may be what has outlived the context.
    void leave(parked& coroutine) noexcept {
        if (!coroutine.listed) return;
        const std::scoped_lock lock(mutex_);
        if (!std::exchange(coroutine.listed, false)) return;
        all_.erase(coroutine.place);
    }

    std::size_t size() {
        const std::scoped_lock lock(mutex_);
        return all_.size();
    }

private:
    // Destroying one may destroy or wake others.
    void shutdown() noexcept override {
        for (;;) {
            parked* next = nullptr;
            {
                const std::scoped_lock lock(mutex_);
                if (all_.empty()) return;
                next = all_.front();
                next->listed = false;
                all_.pop_front();
            }
            next->destroy();
        }
    }

    std::mutex mutex_;
    std::list<parked*> all_;
};

template <class Handler> class parked_handler final : public parked {
public:
    parked_handler(Handler handler, parking& owner)
        : handler_(std::move(handler)), work_(asio::get_associated_executor(*handler_)), owner_(owner) {
        owner_.enter(*this);
    }
    ~parked_handler() override { owner_.leave(*this); }

    auto slot() { return asio::get_associated_cancellation_slot(*handler_); }

    void resume() noexcept override {
        if (!handler_) return;
        owner_.leave(*this);
        auto handler = std::move(*handler_);
        handler_.reset();
        asio::post(std::move(handler));
        work_.reset();
    }
    void destroy() noexcept override {
        if (!handler_) return;
        const auto handler = std::move(*handler_); // what it destroys may be the last to hold this
        handler_.reset();
        work_.reset();
    }

private:
    std::optional<Handler> handler_;
    asio::executor_work_guard<asio::any_io_executor> work_; // the context does not run out of work while somebody waits
    parking& owner_;
};

// The deadline is the environment's, so that simulated time moves it.
struct condition::waiter {
    explicit waiter(condition& of) : owner(of) { of.waiters_.push_back(this); }
    // notify_all() takes the waiter out of the list, so the owner may be gone once `notified` is set.
    ~waiter() {
        if (!notified) owner.waiters_.remove(this);
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    void wake() noexcept {
        const auto mine = coroutine; // resuming takes it apart
        if (mine) mine->resume();
    }

    condition& owner;
    std::shared_ptr<parked> coroutine;
    bool notified = false;
    bool expired = false;
};

ETCDCOLL_DECL condition::condition(asio::any_io_executor executor, std::shared_ptr<environment> system)
    : executor_(std::move(executor)), system_(std::move(system)) {}

ETCDCOLL_DECL condition::~condition() { notify_all(); }

ETCDCOLL_DECL void condition::notify_all() noexcept {
    for (auto* waiting : std::exchange(waiters_, {})) {
        waiting->notified = true;
        waiting->wake();
    }
}

// The cancellation slot may keep what it was given beyond the wait, so that holds nothing alive.
struct condition::park {
    waiter* self;

    template <class Handler> void operator()(Handler&& handler) const {
        using stored = parked_handler<std::decay_t<Handler>>;
        auto& lot = asio::use_service<parking>(asio::query(self->owner.executor_, asio::execution::context));
        const auto coroutine = std::make_shared<stored>(std::forward<Handler>(handler), lot);
        self->coroutine = coroutine;
        auto slot = coroutine->slot();
        if (slot.is_connected()) {
            slot.assign([weak = std::weak_ptr<parked>(coroutine)](asio::cancellation_type) {
                if (const auto waiting = weak.lock()) waiting->resume();
            });
        }
    }
};

ETCDCOLL_DECL asio::awaitable<bool> condition::wait_until(time_point deadline) {
    waiter self(*this);
    std::unique_ptr<timer> limit;
    if (deadline != time_point::max()) {
        limit = system_->make_timer(executor_);
        limit->arm(deadline, [&self] {
            self.expired = true;
            self.wake();
        });
    }
    const park suspend{&self};
    auto woken = asio::async_initiate<const asio::use_awaitable_t<>, void()>(suspend, asio::use_awaitable);
    co_await std::move(woken);
    if (!self.notified && !self.expired) throw error(errc::cancelled, "cancelled");
    co_return self.notified;
}

ETCDCOLL_DECL asio::awaitable<void> condition::wait() {
    const bool notified = co_await wait_until(time_point::max());
    static_cast<void>(notified);
}

ETCDCOLL_DECL asio::awaitable<void> sleep_until(asio::any_io_executor executor, std::shared_ptr<environment> system,
                                                time_point deadline) {
    condition never(std::move(executor), std::move(system));
    const bool notified = co_await never.wait_until(deadline);
    static_cast<void>(notified);
}

ETCDCOLL_DECL std::size_t parked_coroutines(const asio::any_io_executor& executor) {
    return asio::use_service<parking>(asio::query(executor, asio::execution::context)).size();
}

} // namespace etcdcoll::detail
