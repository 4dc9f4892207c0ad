#include "comparison.hpp"

#include "shrinker.hpp"

#include <algorithm>
#include <exception>

namespace etcdcoll::test {

namespace {

std::string joined(const std::vector<std::string>& lines, std::size_t from) {
    std::string result;
    for (auto i = std::min(from, lines.size()); i < lines.size() && i < from + 5; ++i) result += (result.empty() ? "" : "; ") + lines[i];
    if (lines.size() > from + 5) result += "; ... (" + std::to_string(lines.size() - from) + " in all)";
    return result.empty() ? "nothing" : result;
}

// Both sides of one sequence. The store is asked first: it knows what there is to wait for.
class pair {
public:
    pair(std::shared_ptr<client_subject> etcd, std::unique_ptr<store_subject> store, duration patience)
        : etcd_(std::move(etcd)), store_(std::move(store)), patience_(patience) {}

    asio::awaitable<std::optional<mismatch>> execute(std::size_t index, operation relative) {
        std::optional<mismatch> different;
        const bool watch = std::holds_alternative<etcd::watch_request>(relative);
        if (!watch) different = co_await settle(index);
        // What a watch has not been told before a compaction would be lost, or not: only etcd knows.
        if (!different && std::holds_alternative<compaction>(relative)) different = co_await compare_watches(index);
        if (!different) different = co_await execute_one(index, std::move(relative));
        co_return different;
    }

    // An event too many shows before those that every watch is given at last.
    asio::awaitable<std::optional<mismatch>> end(std::size_t index) {
        auto different = co_await settle(index);
        settled_ = 0;
        if (!different) different = co_await settle(index);
        co_return different;
    }

private:
    asio::awaitable<std::optional<mismatch>> execute_one(std::size_t index, operation relative) {
        const auto what = resolved(std::move(relative), store_->current());
        const auto mine = store_->execute(what);
        const auto its = co_await etcd_->execute(what);
        std::optional<mismatch> different;
        if (!store_->allows(what, its, mine)) different.emplace(mismatch{index, its.text + seconds(its), mine.text + seconds(mine)});
        if (const auto* request = std::get_if<etcd::watch_request>(&what)) watches_.push_back(*request);
        co_return different;
    }

    // Changes something for every new watch until it must have told of it: from then on it is known to have read what was there before.
    asio::awaitable<std::optional<mismatch>> settle(std::size_t index) {
        std::optional<mismatch> different;
        if (settled_ == watches_.size()) co_return different;
        for (; settled_ < watches_.size(); ++settled_) {
            const auto key = watches_[settled_].keys.key;
            const auto start = watches_[settled_].start.value;
            do {
                operation change = etcd::put_request(key, "seen");
                different = co_await execute_one(index, std::move(change));
                if (different) co_return different;
                change = etcd::delete_range_request(key);
                different = co_await execute_one(index, std::move(change));
                if (different) co_return different;
            } while (store_->current() <= start);
        }
        different = co_await compare_watches(index);
        co_return different;
    }

    asio::awaitable<std::optional<mismatch>> compare_watches(std::size_t index) {
        std::optional<mismatch> result;
        for (std::size_t n = 0; n < watches_.size() && !result; ++n) {
            const auto mine = store_->watched(n);
            const auto its = co_await etcd_->watched(n, mine.size(), patience_);
            const auto [a, b] = std::mismatch(its.begin(), its.end(), mine.begin(), mine.end());
            if (a == its.end() && b == mine.end()) continue;
            const auto first = static_cast<std::size_t>(a - its.begin());
            const auto head = "watch " + std::to_string(n) + " of " + text(watches_[n].keys) + ", behind " + std::to_string(first) + " events: ";
            result.emplace(mismatch{index, head + joined(its, first), head + joined(mine, first)});
        }
        co_return result;
    }

    static std::string seconds(const outcome& of) { return of.seconds_left != 0 ? " " + std::to_string(of.seconds_left) + " s left" : ""; }

    std::shared_ptr<client_subject> etcd_;
    std::unique_ptr<store_subject> store_;
    const duration patience_;
    std::vector<etcd::watch_request> watches_;
    std::size_t settled_ = 0; // of the watches
};

std::string listed(const std::vector<operation>& sequence, const mismatch& found, bool fresh) {
    std::string result = fresh ? "on a new etcd:\n" : "after all else was deleted, and the history compacted:\n";
    for (std::size_t i = 0; i < sequence.size(); ++i) result += "  " + std::to_string(i + 1) + ". " + text(sequence[i]) + "\n";
    const auto where = found.index < sequence.size() ? "answer to " + std::to_string(found.index + 1) : std::string("at the end");
    return result + where + ":\n  etcd:  " + found.etcd + "\n  store: " + found.store + "\n";
}

} // namespace

asio::awaitable<std::optional<mismatch>> compare(stage& on, bool fresh, const std::vector<operation>& sequence, duration patience) {
    std::optional<mismatch> result;
    auto etcd = co_await on.etcd(fresh);
    const auto revision = co_await etcd->begin();
    pair both(std::move(etcd), on.store(revision), patience);
    for (std::size_t i = 0; i < sequence.size() && !result; ++i) {
        result = co_await both.execute(i, sequence[i]);
    }
    if (!result) result = co_await both.end(sequence.size());
    co_return result;
}

asio::awaitable<std::string> shortest_mismatch(stage& on, std::vector<operation> sequence, mismatch found) {
    if (found.index < sequence.size()) sequence.resize(found.index + 1, lease_list());
    const duration patience = std::chrono::seconds(1);
    // An etcd that was emptied is there at once; a new one is started only for what does not show on it.
    bool fresh = false;
    auto again = co_await compare(on, fresh, sequence, patience);
    if (!again) {
        fresh = true;
        again = co_await compare(on, fresh, sequence, patience);
    }
    if (!again) co_return "not seen a second time:\n" + listed(sequence, found, true);
    found = *again;
    shrinker<operation> shrink(std::move(sequence), simpler);
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    for (auto next = shrink.next(); next && std::chrono::steady_clock::now() < end; next = shrink.next()) {
        again = co_await compare(on, fresh, *next, patience);
        shrink.tell(again.has_value());
        if (again) found = *again;
    }
    co_return listed(shrink.shortest(), found, fresh);
}

} // namespace etcdcoll::test
