#pragma once
// Decides which endpoint the next attempt goes to: the one that works, then those that failed longest ago. No I/O.

#include <algorithm>
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
    endpoint_ring(std::size_t size, std::uint64_t first) : places_(size), current_(static_cast<std::size_t>(first % size)) {}

    /// Endpoints to choose from.
    std::size_t size() const noexcept {
        return static_cast<std::size_t>(std::count_if(places_.begin(), places_.end(), [](const place& p) { return p.used; }));
    }

    /// Takes an endpoint in or leaves it out; unknown ones before it are left out. The last one stays.
    void use(std::size_t index, bool wanted) {
        while (places_.size() <= index) places_.emplace_back().used = false;
        if (wanted || size() > 1) places_[index].used = wanted;
    }
    bool uses(std::size_t index) const noexcept { return index < places_.size() && places_[index].used; }

    /// Sticks to the current endpoint while it works. Otherwise, from the current one on, the first that never failed, else the one
    /// whose last failure is oldest.
    std::size_t pick() noexcept {
        std::optional<std::size_t> best;
        for (std::size_t step = 0; step < places_.size(); ++step) {
            const std::size_t index = (current_ + step) % places_.size();
            const auto& candidate = places_[index];
            if (!candidate.used) continue;
            if (!candidate.failed_at) {
                best = index;
                break;
            }
            if (!best || *candidate.failed_at < *places_[*best].failed_at) best = index;
        }
        current_ = best.value_or(current_);
        return current_;
    }

    void succeeded(std::size_t index) noexcept {
        if (index < places_.size()) places_[index].failed_at.reset();
    }
    void failed(std::size_t index, time_point now) noexcept {
        if (index < places_.size()) places_[index].failed_at = now;
    }

private:
    struct place {
        std::optional<time_point> failed_at;
        bool used = true;
    };
    std::vector<place> places_;
    std::size_t current_;
};

} // namespace etcdcoll::detail
