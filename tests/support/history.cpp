#include <support/history.hpp>

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch_message.hpp>

#include <algorithm>
#include <set>

namespace etcdcoll::test {

std::string change::text() const {
    const auto head = std::to_string(revision) + (erased ? " erase " : " put ") + key;
    return erased ? head : head + "=" + value.substr(0, 40) + (value.size() > 40 ? "..." : "");
}

void change_log::add(const etcd::watch_response& response) {
    const auto before = last();
    std::set<std::string> keys; // of the revision at hand
    for (const auto& e : response.events) {
        const auto at = e.kv.mod_revision.value;
        if (at != last()) keys.clear();
        const bool fresh = keys.insert(e.kv.key).second;
        all_.emplace_back(at, e.type == etcd::event::kind::erase, e.kv.key, e.kv.value);
        if (!fault_.empty()) continue;
        const auto previous = all_.size() < 2 ? 0 : all_[all_.size() - 2].revision;
        if (at <= before || at < previous || !fresh)
            fault_ = all_.back().text() + " came when revision " + std::to_string(std::max(before, previous)) + " had come";
    }
    if (response.events.empty() && fault_.empty()) fault_ = "a response without events";
}

std::string difference(const std::vector<change>& seen, const std::vector<change>& history, std::int64_t from, std::int64_t to) {
    std::vector<change> wanted;
    for (const auto& each : history)
        if (each.revision >= from && each.revision <= to) wanted.push_back(each);
    const auto [s, w] = std::mismatch(seen.begin(), seen.end(), wanted.begin(), wanted.end());
    if (s == seen.end() && w == wanted.end()) return {};
    return "seen: " + (s == seen.end() ? "nothing more" : s->text()) + "; in history: " + (w == wanted.end() ? "nothing more" : w->text()) + "; " +
           std::to_string(seen.size()) + " seen of " + std::to_string(wanted.size());
}

asio::awaitable<void> read_until(etcd::watch* from, change_log* into, std::int64_t end) {
    while (into->last() < end) {
        const auto response = co_await from->next();
        into->add(response);
    }
}

asio::awaitable<std::int64_t> put_end(client c, std::string prefix) {
    const auto done = co_await c.put(prefix + "~end", "");
    co_return done.header.revision.value;
}

asio::awaitable<std::vector<change>> history_of(client c, std::string prefix, std::int64_t from, std::int64_t end) {
    auto all = c.watch(etcd::watch_request(etcd::prefix(prefix), etcd::revision{from}));
    change_log log;
    co_await read_until(&all, &log, end);
    co_return log.all();
}

crowd::crowd(asio::any_io_executor executor) : executor_(executor), state_(std::make_shared<state>(executor)) {}

void crowd::add(asio::awaitable<void> member) {
    ++state_->running;
    asio::co_spawn(executor_, std::move(member), [all = state_](std::exception_ptr failure) {
        --all->running;
        if (failure && !all->failure) {
            all->failure = failure;
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& cause) { // told even where the others never end
                UNSCOPED_INFO("one of the crowd failed: " << cause.what());
            }
        }
        all->done.notify_all();
    });
}

asio::awaitable<void> crowd::join() {
    while (state_->running != 0) co_await state_->done.wait();
    if (state_->failure) std::rethrow_exception(state_->failure);
}

} // namespace etcdcoll::test
