#include <support/traffic_ledger.hpp>

namespace etcdcoll::test {

void traffic_ledger::count(std::uint64_t traffic::* counter, std::uint64_t by) {
    const std::lock_guard lock{mutex_};
    totals_.*counter += by;
    changed_.notify_all();
}

void traffic_ledger::uncount(std::uint64_t traffic::* counter) {
    const std::lock_guard lock{mutex_};
    --(totals_.*counter);
    changed_.notify_all();
}

void traffic_ledger::count_hits(const std::vector<std::uint64_t>& rules) {
    const std::lock_guard lock{mutex_};
    for (const auto rule : rules) ++hits_[rule];
    changed_.notify_all();
}

traffic_ledger::exchange_id traffic_ledger::begin(const exchange_record& record) {
    const std::lock_guard lock{mutex_};
    ++totals_.requests;
    ++paths_[record.path].requests;
    log_.push_back(record);
    const auto id = log_begin_ + log_.size() - 1;
    if (log_.size() > max_log) {
        log_.pop_front();
        ++log_begin_;
    }
    changed_.notify_all();
    return id;
}

void traffic_ledger::request_grew(exchange_id id, const exchange_record& record) {
    const std::lock_guard lock{mutex_};
    log_again(id, record);
    if (!record.request_complete) return;
    auto& path = paths_[record.path];
    path.last_request = record.request_bytes;
    path.request_time = ++time_;
    changed_.notify_all();
}

void traffic_ledger::response_grew(exchange_id id, const exchange_record& record) {
    const std::lock_guard lock{mutex_};
    log_again(id, record);
    if (!record.response_complete) return;
    auto& path = paths_[record.path];
    path.last_response = record.response_bytes;
    path.response_time = ++time_;
    ++path.responses;
    ++totals_.responses;
    changed_.notify_all();
}

void traffic_ledger::log_again(exchange_id id, const exchange_record& record) {
    if (id >= log_begin_) log_[id - log_begin_] = record;
}

traffic traffic_ledger::totals() const {
    const std::lock_guard lock{mutex_};
    return totals_;
}

std::uint64_t traffic_ledger::hits(std::uint64_t rule) const {
    const std::lock_guard lock{mutex_};
    const auto found = hits_.find(rule);
    return found == hits_.end() ? 0 : found->second;
}

std::uint64_t traffic_ledger::requests(std::string_view path_suffix) const {
    const std::lock_guard lock{mutex_};
    return sum(path_suffix, &path_record::requests);
}

std::uint64_t traffic_ledger::responses(std::string_view path_suffix) const {
    const std::lock_guard lock{mutex_};
    return sum(path_suffix, &path_record::responses);
}

std::size_t traffic_ledger::last_request_size(std::string_view path_suffix) const {
    const std::lock_guard lock{mutex_};
    return latest(path_suffix, &path_record::last_request, &path_record::request_time);
}

std::size_t traffic_ledger::last_response_size(std::string_view path_suffix) const {
    const std::lock_guard lock{mutex_};
    return latest(path_suffix, &path_record::last_response, &path_record::response_time);
}

std::vector<exchange_record> traffic_ledger::log() const {
    const std::lock_guard lock{mutex_};
    return {log_.begin(), log_.end()};
}

bool traffic_ledger::wait_for_requests(std::string_view path_suffix, std::uint64_t n, milliseconds timeout) const {
    return wait(timeout, [&] { return sum(path_suffix, &path_record::requests) >= n; });
}

bool traffic_ledger::wait_for_responses(std::string_view path_suffix, std::uint64_t n, milliseconds timeout) const {
    return wait(timeout, [&] { return sum(path_suffix, &path_record::responses) >= n; });
}

bool traffic_ledger::wait_for_hits(std::uint64_t rule, std::uint64_t n, milliseconds timeout) const {
    return wait(timeout, [&] {
        const auto found = hits_.find(rule);
        return n == 0 || (found != hits_.end() && found->second >= n);
    });
}

bool traffic_ledger::wait_for(const std::function<bool(const traffic&)>& reached, milliseconds timeout) const {
    return wait(timeout, [&] { return reached(totals_); });
}

template <class Reached> bool traffic_ledger::wait(milliseconds timeout, Reached reached) const {
    std::unique_lock lock{mutex_};
    // system_clock: steady_clock takes pthread_cond_clockwait, which ThreadSanitizer of g++ 12 does not know.
    const auto deadline = std::chrono::system_clock::now() + timeout;
    return changed_.wait_until(lock, deadline, reached);
}

std::uint64_t traffic_ledger::sum(std::string_view path_suffix, std::uint64_t path_record::* what) const {
    std::uint64_t total = 0;
    for (const auto& [path, record] : paths_) {
        if (path.ends_with(path_suffix)) total += record.*what;
    }
    return total;
}

std::size_t traffic_ledger::latest(std::string_view path_suffix, std::size_t path_record::* size,
                                   std::uint64_t path_record::* time) const {
    const path_record* best = nullptr;
    for (const auto& [path, record] : paths_) {
        if (path.ends_with(path_suffix) && (best == nullptr || record.*time > best->*time)) best = &record;
    }
    return best == nullptr ? 0 : best->*size;
}

} // namespace etcdcoll::test
