#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace bench {

namespace {

double quantile(const std::vector<double>& sorted, double share) {
    const auto place = share * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const auto high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - std::floor(place));
}

} // namespace

summary summarize(std::vector<double> values) {
    if (values.empty()) throw std::logic_error("summarize: no values");
    std::sort(values.begin(), values.end());
    summary result;
    result.median = quantile(values, 0.5);
    result.p99 = quantile(values, 0.99);
    result.spread = (quantile(values, 0.75) - quantile(values, 0.25)) / result.median;
    return result;
}

} // namespace bench
