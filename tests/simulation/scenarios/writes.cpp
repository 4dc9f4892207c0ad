// Single writes and batches: what was told of each agrees with the history, and no write is there twice.
#include "collectives.hpp"
#include "list.hpp"

#include <etcdcoll/etcd/batch.hpp>
#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/session.hpp>

#include <map>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// Every value is written by one operation, so the history says how often that was executed.
class write_ledger {
public:
    static std::shared_ptr<write_ledger> follow(world& of) {
        const auto ledger = std::make_shared<write_ledger>();
        of.on_revision.push_back([&of, ledger](const std::vector<etcd::event>& events) {
            for (const auto& each : events) {
                if (each.type != etcd::event::kind::put) continue;
                const auto [place, fresh] = ledger->written_.emplace(each.kv.value, each.kv.mod_revision.value);
                if (!fresh) of.complain("\"" + each.kv.value + "\" is written twice: at revisions " + std::to_string(place->second) + " and " + std::to_string(each.kv.mod_revision.value));
            }
        });
        of.on_end.push_back([&of, ledger] { ledger->compare(of); });
        return ledger;
    }

    void wrote(std::string value, std::int64_t revision) { told_[std::move(value)] = revision; }
    void did_not_write(std::string value) { told_[std::move(value)] = 0; }

private:
    void compare(world& of) const {
        for (const auto& [value, revision] : told_) {
            const auto found = written_.find(value);
            const auto there = found == written_.end() ? 0 : found->second;
            if (there != revision)
                of.complain("\"" + value + "\" was told to be written at revision " + std::to_string(revision) + ", and is at " + std::to_string(there) + " (0: never)");
        }
    }

    std::map<std::string, std::int64_t> written_;
    std::map<std::string, std::int64_t> told_; // 0: not written
};

asio::awaitable<void> run_batch(etcd::batch* writes, etcd::batch_result* into) {
    *into = co_await writes->run();
}

asio::awaitable<void> batches(world& of, rank_process& self, std::shared_ptr<write_ledger> ledger) {
    const auto etcd = self.make_client();
    for (int round = 0; round < 4; ++round) {
        co_await take_time(of, self);
        etcd::batch writes(etcd);
        std::vector<std::string> values;
        const auto size = 1 + self.system()->random() % 300;
        for (std::uint64_t i = 0; i < size; ++i) {
            values.push_back(self.name() + "/" + std::to_string(round) + "/" + std::to_string(i));
            writes.put("k/" + std::to_string(self.system()->random() % 80), values.back());
        }
        etcd::batch_result result;
        const std::vector<errc> none;
        const auto failed = co_await of.expect(self, "batch", of.now() + 600s, none, run_batch(&writes, &result));
        if (failed) continue;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto& entry = result.operations.at(i);
            if (entry.fate == etcd::batch_fate::written) ledger->wrote(values[i], entry.revision.value);
            if (entry.fate == etcd::batch_fate::not_written) ledger->did_not_write(values[i]);
        }
    }
}

asio::awaitable<void> put_one(client through, std::string key, std::string value, etcd::lease_id lease, std::int64_t* revision) {
    etcd::put_request request(std::move(key), std::move(value), lease);
    const auto done = co_await through.put(std::move(request));
    *revision = done.header.revision.value;
}

asio::awaitable<void> open_session(client through, session* into) {
    auto opened = co_await session::open(std::move(through), 10s);
    *into = std::move(opened);
}

// Keys live as long as the session; etcd says so before, or not long after, the session does.
asio::awaitable<void> keeps_keys(world& of, rank_process& self, std::shared_ptr<write_ledger> ledger) {
    const auto etcd = self.make_client();
    for (int round = 0; round < 2; ++round) {
        session mine;
        const auto refused = co_await of.expect(self, "open session", of.now() + 8s, troubles(), open_session(etcd, &mine));
        if (refused) continue;
        for (int i = 0; i < 8; ++i) {
            const auto value = self.name() + "/" + std::to_string(round) + "/" + std::to_string(i);
            std::int64_t revision = 0;
            auto putting = put_one(etcd, "k/" + self.name(), value, mine.lease(), &revision);
            const auto failed = co_await of.expect(self, "put", of.now() + 8s, leaving_troubles(), std::move(putting));
            if (!failed) {
                ledger->wrote(value, revision);
            } else if (failed->reason() != errc::outcome_unknown) {
                ledger->did_not_write(value);
            }
            auto pause = detail::sleep_until(self.executor(), self.system(), of.now() + duration(static_cast<duration::rep>(self.system()->random() % 4'000'000'000ULL)));
            co_await std::move(pause);
        }
        if (self.system()->random() % 2 == 0) continue; // its keys go with the lease
        const auto left = co_await of.expect(self, "close session", of.now() + 8s, troubles(), mine.close());
        static_cast<void>(left);
    }
}

template <class Life> void begin(world& of, Life life) {
    const auto ledger = write_ledger::follow(of);
    for (std::size_t i = 0; i < of.size(); ++i) {
        auto& self = of.rank(i);
        of.spawn(self, [&of, &self, ledger, life] { return life(of, self, ledger); });
    }
}

std::size_t few(chance& of) { return 1 + of.below(3); }

} // namespace

scenario batch_scenario() {
    return {"batch", "batches of writes on common keys", few, [](world& of) {
                of.ignore_keys("k/");
                begin(of, batches);
            }};
}

scenario session_scenario() {
    return {"session", "keys that are put with a session's lease", few, [](world& of) { begin(of, keeps_keys); }};
}

} // namespace etcdcoll::sim
