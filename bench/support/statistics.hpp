#pragma once

// What is told of a series of times.

#include <vector>

namespace bench {

struct summary {
    double median = 0;
    double p99 = 0;
    double spread = 0; ///< distance of the quartiles, as a share of the median
};

/// Of at least one value; in the unit of the values.
summary summarize(std::vector<double> values);

} // namespace bench
