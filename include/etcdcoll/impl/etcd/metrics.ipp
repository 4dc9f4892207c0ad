#pragma once

#include <etcdcoll/etcd/metrics.hpp>

#include <cmath>
#include <cstdio>

namespace etcdcoll {

ETCDCOLL_DECL duration latency_histogram::quantile(double share) const noexcept {
    std::uint64_t all = 0;
    for (const auto count : counts) all += count;
    if (all == 0) return duration::zero();
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < size; ++i) {
        seen += counts[i];
        if (seen >= wanted && seen != 0) return bound(i);
    }
    return bound(size - 1);
}

namespace detail {

class prometheus_writer {
public:
    explicit prometheus_writer(std::string_view labels) : labels_(labels) {}

    void one(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
        head(name, type, help);
        sample(name, {}, std::to_string(value));
    }

    void head(std::string_view name, std::string_view type, std::string_view help) {
        for (const auto& [what, words] : {std::pair{"HELP", help}, std::pair{"TYPE", type}})
            text_.append("# ").append(what).append(" etcdcoll_").append(name).append(" ").append(words).append("\n");
    }

    void sample(std::string_view name, std::string_view label, std::string_view value) {
        text_.append("etcdcoll_").append(name);
        if (!labels_.empty() || !label.empty()) {
            text_.append("{").append(labels_);
            if (!labels_.empty() && !label.empty()) text_ += ',';
            text_.append(label).append("}");
        }
        text_.append(" ").append(value).append("\n");
    }

    std::string take() { return std::move(text_); }

private:
    std::string_view labels_;
    std::string text_;
};

ETCDCOLL_DECL std::string in_seconds(duration length) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", std::chrono::duration<double>(length).count());
    return text;
}

} // namespace detail

ETCDCOLL_DECL std::string prometheus_text(const client_metrics& m, std::string_view labels) {
    detail::prometheus_writer out(labels);
    out.one("calls_total", "counter", "Calls made.", m.calls);
    out.one("attempts_total", "counter", "Requests sent for calls.", m.attempts);
    out.one("retries_total", "counter", "Requests that were repetitions.", m.retries);
    out.one("failures_total", "counter", "Calls that ended with an error.", m.failures);
    out.one("logins_total", "counter", "Tokens asked for.", m.logins);
    out.one("connects_total", "counter", "Connections begun.", m.connects);
    out.one("sent_bytes_total", "counter", "Bytes sent.", m.bytes_sent);
    out.one("received_bytes_total", "counter", "Bytes received.", m.bytes_received);
    out.one("watch_streams_total", "counter", "Watch streams opened.", m.watch_streams);
    out.one("watch_reconnects_total", "counter", "Watch streams opened again after a loss.", m.watch_reconnects);
    out.one("watch_events_total", "counter", "Events delivered.", m.watch_events);
    out.one("watch_repeats_total", "counter", "Events dropped as repeats.", m.watch_repeats);
    out.one("watch_backlog", "gauge", "Events delivered and not yet taken.", m.watch_backlog);
    out.head("call_seconds", "histogram", "Time of a call.");
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i + 1 < latency_histogram::size; ++i) {
        seen += m.latency.counts[i];
        out.sample("call_seconds_bucket", "le=\"" + detail::in_seconds(latency_histogram::bound(i)) + "\"", std::to_string(seen));
    }
    seen += m.latency.counts.back();
    out.sample("call_seconds_bucket", "le=\"+Inf\"", std::to_string(seen));
    out.sample("call_seconds_sum", {}, detail::in_seconds(m.latency.total));
    out.sample("call_seconds_count", {}, std::to_string(seen));
    return out.take();
}

} // namespace etcdcoll
