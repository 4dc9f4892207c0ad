#pragma once

// Measurements, as a table for people and as JSON lines for programs.

#include "statistics.hpp"

#include <fstream>
#include <optional>
#include <string>

namespace bench {

/// One measurement; what does not apply stays empty, and is null in JSON.
struct measurement {
    std::string bench;
    std::optional<std::string> transport;
    std::optional<std::string> mode; ///< how the ranks ran: "processes" or "coroutines"
    std::optional<int> n;
    std::optional<long> bytes;
    long runs = 0;
    summary time; ///< microseconds
    std::optional<summary> floor;
    std::optional<double> events_per_rank;
    std::optional<double> transactions_per_rank;
    std::optional<double> cpu_us_per_rank; ///< of this side alone, without etcd's
    std::optional<double> floor_cpu_us_per_rank;
    std::optional<double> bytes_sent_per_rank;
    std::optional<double> floor_bytes_sent_per_rank;
    std::optional<double> per_s; ///< of operations that are in flight together
    std::optional<double> floor_per_s;
    std::optional<double> peer;
    std::string etcd;

    std::optional<double> ratio() const; ///< of the median to the floor's
};

class report {
public:
    /// Appends to the file, unless the name is empty.
    explicit report(const std::string& json_file);

    /// Prints a row of the table at once; the head comes before the first.
    void add(const measurement& row);

private:
    std::ofstream json_;
    bool begun_ = false;
};

} // namespace bench
