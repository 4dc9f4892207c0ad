#pragma once
// What holds from the beginning of a collective to its end, however it ends.

#include <etcdcoll/impl/group/group_state.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <exception>

namespace etcdcoll::detail {

class group_state::busy_mark {
public:
    explicit busy_mark(group_state& group) : group_(group) {
        if (group_.busy_)
            throw error(errc::invalid_argument, "group \"" + group_.name_ + "\": another collective of this rank is under way");
        group_.busy_ = true;
    }
    busy_mark(const busy_mark&) = delete;
    busy_mark& operator=(const busy_mark&) = delete;
    ~busy_mark() { group_.busy_ = false; }

private:
    group_state& group_;
};

// A collective that ends with an exception which the group does not know of yet (a cancellation, a refusal by etcd) ends the epoch: this rank may
// have been counted in, and the others would wait for its next call in vain.
class group_state::cancel_mark {
public:
    cancel_mark(group_state& group, const arrival& mine) : group_(group), mine_(mine), exceptions_(std::uncaught_exceptions()) {}
    cancel_mark(const cancel_mark&) = delete;
    cancel_mark& operator=(const cancel_mark&) = delete;
    ~cancel_mark() {
        if (std::uncaught_exceptions() > exceptions_) group_.give_up(mine_, "the call was cancelled, or failed, on this rank");
    }

private:
    group_state& group_;
    const arrival& mine_;
    int exceptions_;
};

// A transaction beside the wait: what the watch says in the meantime (released, lost, aborted) must not wait for a reply that is stuck. Cancelled
// at the end of the scope.
class group_state::request_mark {
public:
    explicit request_mark(group_state& group) : group_(group) {}
    request_mark(const request_mark&) = delete;
    request_mark& operator=(const request_mark&) = delete;
    ~request_mark() { drop(); }

    void send(etcd::txn_request request, time_point deadline) {
        drop();
        under_way_ = std::make_shared<exchange>();
        const call_options options{.timeout = std::max<duration>(deadline - group_.core().now(), std::chrono::milliseconds(1)), .guarded = true};
        auto done = [group = group_.shared_from_this(), mine = under_way_](std::exception_ptr why, etcd::txn_response reply) {
            mine->done = true;
            mine->why = why;
            mine->reply = std::move(reply);
            group->changed_.notify_all();
        };
        asio::co_spawn(group_.core().strand(), group_.client_.txn(std::move(request), options),
                       asio::bind_cancellation_slot(under_way_->cancel.slot(), std::move(done)));
    }

    bool under_way() const noexcept { return under_way_ && !under_way_->done; }
    bool done() const noexcept { return under_way_ && under_way_->done; }

    /// The reply; rethrows the failure.
    etcd::txn_response take() {
        const auto mine = std::exchange(under_way_, nullptr);
        if (mine->why) std::rethrow_exception(mine->why);
        return std::move(mine->reply);
    }

private:
    struct exchange {
        asio::cancellation_signal cancel;
        std::exception_ptr why;
        etcd::txn_response reply;
        bool done = false;
    };

    void drop() {
        if (under_way()) under_way_->cancel.emit(asio::cancellation_type::terminal);
        under_way_.reset();
    }

    group_state& group_;
    std::shared_ptr<exchange> under_way_;
};

} // namespace etcdcoll::detail
