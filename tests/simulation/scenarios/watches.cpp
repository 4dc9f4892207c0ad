// Watches: what each brings is the history, each event once, in order, whatever happens to the streams.
#include "collectives.hpp"
#include "list.hpp"

#include <etcdcoll/impl/condition.hpp>

#include <map>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

const std::vector<errc> watch_troubles = {errc::compacted, errc::connection_failed};
constexpr const char* last_key = "w/~last";

struct change {
    std::int64_t revision;
    bool erased;
    std::string key;
    std::string value;
    auto operator<=>(const change&) const = default;
    std::string text() const { return std::to_string(revision) + (erased ? " erase " + key : " put " + key + "=" + value); }
};

change change_of(const etcd::event& event) {
    return {event.kv.mod_revision.value, event.type == etcd::event::kind::erase, event.kv.key, event.kv.value};
}

// All that ever happened below w/.
struct history {
    std::vector<change> changes;

    static std::shared_ptr<history> follow(world& of) {
        const auto all = std::make_shared<history>();
        of.on_revision.push_back([all](const std::vector<etcd::event>& events) {
            for (const auto& each : events) {
                if (each.kv.key.starts_with("w/")) all->changes.push_back(change_of(each));
            }
        });
        return all;
    }

    // What a watch from `first` has brought, up to its last change.
    std::string difference(const std::vector<change>& seen, std::int64_t first) const {
        auto next = changes.begin();
        while (next != changes.end() && next->revision < first) ++next;
        for (const auto& each : seen) {
            if (next == changes.end()) return each.text() + " never happened";
            if (*next != each) return "brought " + each.text() + " where the history has " + next->text();
            ++next;
        }
        return {};
    }
};

asio::awaitable<void> write(client through, std::string key, std::string value, bool erases) {
    if (erases) {
        const auto done = co_await through.delete_range(std::move(key));
        static_cast<void>(done);
    } else {
        const auto done = co_await through.put(std::move(key), std::move(value));
        static_cast<void>(done);
    }
}

asio::awaitable<void> writes(world& of, rank_process& self) {
    auto etcd = self.make_client();
    for (int i = 0; i < 60; ++i) {
        const auto key = "w/" + std::to_string(self.system()->random() % 6);
        const bool erases = self.system()->random() % 4 == 0;
        const auto failed = co_await of.expect(self, "write", of.now() + 8s, troubles(), write(etcd, key, self.name() + "." + std::to_string(i), erases));
        static_cast<void>(failed);
        const auto until = of.now() + std::chrono::milliseconds(self.system()->random() % 800);
        co_await detail::sleep_until(self.executor(), self.system(), until);
    }
}

asio::awaitable<void> take(etcd::watch* from, duration limit, std::optional<etcd::watch_response>* into) {
    *into = co_await from->next_within(limit);
}

asio::awaitable<void> watches(world& of, rank_process& self, std::shared_ptr<history> all) {
    auto etcd = self.make_client();
    std::int64_t first = 2;
    std::vector<change> seen;
    auto request = etcd::watch_request(etcd::prefix("w/"), {first});
    auto changes = etcd.watch(request);
    for (int quiet = 0; quiet < 45;) { // behind what holds open requests back, an open one is tried again after five minutes
        std::optional<etcd::watch_response> news;
        const auto failed = co_await of.expect(self, "watch", of.now() + 10s, watch_troubles, take(&changes, 10s, &news));
        if (failed && failed->reason() == errc::compacted) { // goes on where history begins
            const auto wrong = all->difference(seen, first);
            if (!wrong.empty()) of.complain(self.name() + ": the watch " + wrong);
            seen.clear();
            first = failed->context().compact_revision;
            if (first == 0) of.complain(self.name() + ": compacted, and nobody says where");
            request.start = {first};
            changes = etcd.watch(request);
            continue;
        }
        if (!news) {
            ++quiet;
            continue;
        }
        quiet = 0;
        bool ended = false;
        for (const auto& each : news->events) {
            seen.push_back(change_of(each));
            ended = ended || each.kv.key == last_key;
        }
        if (ended) {
            const auto wrong = all->difference(seen, first);
            if (!wrong.empty()) of.complain(self.name() + ": the watch " + wrong);
            co_return;
        }
    }
    of.complain(self.name() + ": the watch never brought the last write");
}


std::size_t few(chance& of) { return 2 + of.below(4); }

} // namespace

scenario watch_scenario() {
    return {"watch", "watches of keys that others write, with compactions", few, [](world& of) {
                const auto all = history::follow(of);
                const auto writers = of.size() < 2 ? 1 : 1 + of.scheduler().chance.below(of.size() - 1);
                of.ignore_keys("w/");
                // What every watch waits for, when nothing goes wrong any more and every write has ended.
                of.scheduler().after(75s, [&of] { of.etcd().data().put(etcd::put_request(last_key, "")); });
                for (std::size_t i = 0; i < of.size(); ++i) {
                    auto& self = of.rank(i);
                    if (i < writers) {
                        of.spawn(self, [&of, &self] { return writes(of, self); });
                    } else {
                        of.spawn(self, [&of, &self, all] { return watches(of, self, all); });
                    }
                }
            }};
}

} // namespace etcdcoll::sim
