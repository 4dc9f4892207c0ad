#pragma once
// Decides after each attempt of a call whether it is repeated, when, and how it ends. No I/O, no clock of its own.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace etcdcoll::detail {

/// What an attempt proved.
enum class attempt_outcome {
    done,     ///< a complete reply
    not_sent, ///< no byte of the request left this process: nothing was executed
    rejected, ///< the server said that it executed nothing and that a repetition may work
    unknown,  ///< sent, but no complete reply, or one that leaves open what happened
    final,    ///< an answer that a repetition would not change
};

enum class repeatability {
    repeatable, ///< a read
    idempotent, ///< a write whose repetition is the same to the caller; its fate still has to be told
    guarded,    ///< a transaction that executes once however often it is sent; its fate still has to be told
    once,       ///< a write that must not be executed twice
};

struct retry_policy {
    std::chrono::steady_clock::duration attempt_limit = std::chrono::milliseconds(1500); ///< a lost leader is replaced in 1 to 2 s
    std::chrono::steady_clock::duration renewed_limit = std::chrono::milliseconds(500);  ///< of a guarded write's attempts after a late one
    std::chrono::steady_clock::duration first_backoff = std::chrono::milliseconds(5);
    std::chrono::steady_clock::duration last_backoff = std::chrono::milliseconds(500);
};

class retry {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    enum class action { again, stop, stop_unknown, stop_late };
    struct decision {
        action what;
        time_point when; ///< with action::again: not before
    };

    retry(retry_policy policy, repeatability kind, std::size_t endpoints, time_point deadline)
        : policy_(policy), kind_(kind), endpoints_(endpoints), deadline_(deadline) {}

    /// When the attempt that starts now has to be given up. A write of unknown fate gets all the time there is: its answer is the only
    /// way to learn it. A guarded write that a follower has passed on to a leader who was dead already is lost, and again as long as the
    /// followers do not know it: so after an attempt without an answer the next ones are shorter, until each endpoint may have had one.
    time_point attempt_deadline(time_point now) {
        const bool shorter = kind_ == repeatability::guarded && late_ != 0 && late_ <= endpoints_;
        const auto limit = shorter ? std::min(policy_.renewed_limit, policy_.attempt_limit) : policy_.attempt_limit;
        attempt_deadline_ = kind_ == repeatability::once ? deadline_ : std::min(deadline_, now + limit);
        return attempt_deadline_;
    }

    /// `random` spreads the clients that a failure woke at the same moment.
    decision after(attempt_outcome outcome, time_point now, std::uint64_t random) {
        ++attempts_;
        if (outcome == attempt_outcome::unknown && now >= attempt_deadline_) ++late_;
        if (outcome == attempt_outcome::done) return {action::stop, now};
        if (outcome == attempt_outcome::unknown && kind_ != repeatability::repeatable) fate_unknown_ = true;
        if (outcome == attempt_outcome::final) return {fate_unknown_ ? action::stop_unknown : action::stop, now};
        if (fate_unknown_ && kind_ == repeatability::once) return {action::stop_unknown, now};
        const auto when = now + backoff(random);
        if (when >= deadline_) return {fate_unknown_ ? action::stop_unknown : action::stop_late, now};
        return {action::again, when};
    }

    int attempts() const noexcept { return attempts_; }
    /// An attempt may have been executed, and it matters.
    bool fate_unknown() const noexcept { return fate_unknown_; }

private:
    // Each endpoint is tried once without a pause; from then on the pause doubles, with jitter over its upper half.
    duration backoff(std::uint64_t random) {
        if (static_cast<std::size_t>(attempts_) < endpoints_) return duration::zero();
        const auto rounds = std::min<std::size_t>(static_cast<std::size_t>(attempts_) - endpoints_, 16);
        const auto full = std::min(policy_.last_backoff, duration(policy_.first_backoff.count() * (1LL << rounds)));
        return full / 2 + duration(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(full.count() / 2 + 1)));
    }

    retry_policy policy_;
    repeatability kind_;
    std::size_t endpoints_;
    time_point deadline_;
    int attempts_ = 0;
    std::size_t late_ = 0; // attempts that had no answer in time
    time_point attempt_deadline_ = time_point::max();
    bool fate_unknown_ = false; // an attempt may have been executed
};

} // namespace etcdcoll::detail
