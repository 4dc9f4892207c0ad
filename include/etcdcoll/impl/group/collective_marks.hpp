#pragma once
// What holds from the beginning of a collective to its end, however it ends.

#include <etcdcoll/impl/group/group_state.hpp>

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

} // namespace etcdcoll::detail
