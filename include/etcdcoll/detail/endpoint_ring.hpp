#pragma once
// Decides which endpoint the next attempt goes to: the one that works, then those that failed longest ago. No I/O.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace etcdcoll::detail {

class endpoint_ring {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// `first` spreads clients over the members: it is taken modulo the number of endpoints, which is at least 1.
    endpoint_ring(std::size_t size, std::uint64_t first) : failed_at_(size), current_(static_cast<std::size_t>(first % size)) {}

    std::size_t size() const noexcept { return failed_at_.size(); }

    /// Sticks to the current endpoint while it works. Otherwise, from the current one on, the first that never failed, else the one
    /// whose last failure is oldest.
    std::size_t pick() noexcept {
        std::size_t best = current_;
        for (std::size_t step = 0; step < size(); ++step) {
            const std::size_t index = (current_ + step) % size();
            if (!failed_at_[index]) {
                best = index;
                break;
            }
            if (*failed_at_[index] < *failed_at_[best]) best = index;
        }
        current_ = best;
        return best;
    }

    void succeeded(std::size_t index) noexcept { failed_at_[index].reset(); }
    void failed(std::size_t index, time_point now) noexcept { failed_at_[index] = now; }

private:
    std::vector<std::optional<time_point>> failed_at_;
    std::size_t current_;
};

} // namespace etcdcoll::detail
