#include "report.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace bench {

namespace {

namespace json = boost::json;

// Whole numbers without a fraction, as people write them.
json::value number(double value, double scale) {
    const auto rounded = std::round(value * scale) / scale;
    if (rounded == std::floor(rounded)) return static_cast<std::int64_t>(rounded);
    return rounded;
}

// Boost.JSON writes 1710.2 as 1.7102E3, which is correct and ugly.
std::string text_of(const json::object& object) {
    std::string text;
    for (const auto& member : object) {
        text += text.empty() ? "{" : ", ";
        text += json::serialize(json::value(member.key())) + ": ";
        if (const auto* real = member.value().if_double()) {
            char digits[32];
            std::snprintf(digits, sizeof digits, "%.10g", *real);
            text += digits;
        } else {
            text += json::serialize(member.value());
        }
    }
    return text + "}";
}

template <class T> json::value value_or_null(const std::optional<T>& value) {
    if (!value) return nullptr;
    if constexpr (std::is_floating_point_v<T>) {
        return number(*value, 1000);
    } else {
        return json::value(*value);
    }
}

std::string cell(const std::optional<double>& value, int digits) {
    if (!value) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, *value);
    return text;
}

template <class T> std::optional<double> as_double(const std::optional<T>& value) {
    if (!value) return std::nullopt;
    return static_cast<double>(*value);
}

} // namespace

std::optional<double> measurement::ratio() const {
    if (!floor) return std::nullopt;
    return time.median / floor->median;
}

report::report(const std::string& json_file) {
    if (json_file.empty()) return;
    json_.open(json_file, std::ios::app);
    if (!json_) throw std::runtime_error("can't write " + json_file);
}

void report::add(const measurement& row) {
    const std::optional<double> no_number;
    const auto floor_median = row.floor ? row.floor->median : no_number;
    const auto floor_p99 = row.floor ? row.floor->p99 : no_number;
    if (!begun_)
        std::printf("%-12s %-10s %4s %7s %6s %11s %11s %7s %11s %6s %8s %8s %7s %7s %7s %7s\n", "bench", "mode", "n",
                    "bytes", "runs", "median_us", "p99_us", "spread", "floor_us", "ratio", "per_s", "floor", "tx/rank",
                    "ev/rank", "cpu_us", "floor");
    begun_ = true;
    std::printf("%-12s %-10s %4s %7s %6ld %11.1f %11.1f %6.0f%% %11s %6s %8s %8s %7s %7s %7s %7s\n", row.bench.c_str(),
                row.mode.value_or("-").c_str(), cell(as_double(row.n), 0).c_str(),
                cell(as_double(row.bytes), 0).c_str(), row.runs, row.time.median, row.time.p99, row.time.spread * 100,
                cell(floor_median, 1).c_str(), cell(row.ratio(), 2).c_str(), cell(row.per_s, 0).c_str(),
                cell(row.floor_per_s, 0).c_str(), cell(row.transactions_per_rank, 3).c_str(),
                cell(row.events_per_rank, 3).c_str(), cell(row.cpu_us_per_rank, 0).c_str(),
                cell(row.floor_cpu_us_per_rank, 0).c_str());
    std::fflush(stdout);
    if (!json_.is_open()) return;

    json::object line;
    line["bench"] = row.bench;
    line["transport"] = value_or_null(row.transport);
    line["mode"] = value_or_null(row.mode);
    line["n"] = value_or_null(row.n);
    line["bytes"] = value_or_null(row.bytes);
    line["runs"] = row.runs;
    line["median_us"] = number(row.time.median, 10);
    line["p99_us"] = number(row.time.p99, 10);
    line["spread"] = number(row.time.spread, 1000);
    line["floor_median_us"] = floor_median ? number(*floor_median, 10) : json::value();
    line["floor_p99_us"] = floor_p99 ? number(*floor_p99, 10) : json::value();
    line["ratio"] = value_or_null(row.ratio());
    line["events_per_rank"] = value_or_null(row.events_per_rank);
    line["transactions_per_rank"] = value_or_null(row.transactions_per_rank);
    line["cpu_us_per_rank"] = value_or_null(row.cpu_us_per_rank);
    line["floor_cpu_us_per_rank"] = value_or_null(row.floor_cpu_us_per_rank);
    line["bytes_sent_per_rank"] = value_or_null(row.bytes_sent_per_rank);
    line["floor_bytes_sent_per_rank"] = value_or_null(row.floor_bytes_sent_per_rank);
    line["per_s"] = value_or_null(row.per_s);
    line["floor_per_s"] = value_or_null(row.floor_per_s);
    line["peer"] = value_or_null(row.peer);
    line["etcd"] = row.etcd;
    json_ << text_of(line) << std::endl;
}

} // namespace bench
