#pragma once
// Finds a shortest sequence that still fails: it proposes shorter ones, and is told whether they fail.
//
// After A. Zeller and R. Hildebrandt, Simplifying and isolating failure-inducing input (2002): whole chunks are left out first, single elements last.

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace etcdcoll::test {

/// When it ends, no element can be left out, and none can be replaced by a simpler one, without the failure being gone.
template <class T> class shrinker {
public:
    using simplify = std::function<std::vector<T>(const T&)>;

    explicit shrinker(std::vector<T> failing, simplify simpler = {}) : shortest_(std::move(failing)), simpler_(std::move(simpler)) { restart(); }

    /// What is to be tried next; nothing at the end.
    std::optional<std::vector<T>> next() {
        if (chunk_ != 0) return std::optional(leave_out());
        return replace_one();
    }
    void tell(bool fails) {
        if (chunk_ != 0) {
            tell_of_chunk(fails);
        } else if (fails) {
            shortest_ = std::move(tried_);
            variants_.reset();
            replaced_ = true;
        } else {
            ++variant_;
        }
    }
    const std::vector<T>& shortest() const noexcept { return shortest_; }

private:
    void restart() {
        chunk_ = (shortest_.size() + 1) / 2;
        at_ = 0;
        left_out_ = false;
    }

    std::vector<T> leave_out() {
        tried_.assign(shortest_.begin(), place(at_));
        tried_.insert(tried_.end(), place(at_ + chunk_), shortest_.end());
        return tried_;
    }
    typename std::vector<T>::iterator place(std::size_t index) {
        return shortest_.begin() + static_cast<std::ptrdiff_t>(index < shortest_.size() ? index : shortest_.size());
    }

    void tell_of_chunk(bool fails) {
        if (fails) {
            shortest_ = std::move(tried_);
            left_out_ = true;
        } else {
            at_ += chunk_;
        }
        if (at_ < shortest_.size()) return;
        at_ = 0;
        if (chunk_ > 1) {
            chunk_ = (chunk_ + 1) / 2;
        } else if (!std::exchange(left_out_, false) || shortest_.empty()) {
            chunk_ = 0;
            element_ = variant_ = 0;
            variants_.reset();
            replaced_ = false;
        }
    }

    std::optional<std::vector<T>> replace_one() {
        for (; simpler_ && element_ < shortest_.size(); ++element_, variants_.reset()) {
            if (!variants_) {
                variants_ = simpler_(shortest_[element_]);
                variant_ = 0;
            }
            if (variant_ == variants_->size()) continue;
            tried_ = shortest_;
            tried_[element_] = (*variants_)[variant_];
            return tried_;
        }
        if (!std::exchange(replaced_, false)) return std::nullopt;
        restart(); // a simpler element may have made others needless
        return leave_out();
    }

    std::vector<T> shortest_;
    std::vector<T> tried_;
    simplify simpler_;
    std::size_t chunk_ = 0; // 0: elements are being replaced
    std::size_t at_ = 0;
    bool left_out_ = false;
    std::size_t element_ = 0;
    std::optional<std::vector<T>> variants_;
    std::size_t variant_ = 0;
    bool replaced_ = false;
};

} // namespace etcdcoll::test
