// Locks and elections: who holds what, by the order of keys, and what a former holder can still do.
#include "collectives.hpp"
#include "list.hpp"

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/recipes/election.hpp>
#include <etcdcoll/recipes/mutex.hpp>
#include <etcdcoll/session.hpp>

#include <map>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// Of what only the holder may write: the tokens never go back.
class fencing_checker {
public:
    static void follow(world& of, std::string key) {
        const auto checker = std::make_shared<fencing_checker>();
        of.on_revision.push_back([&of, checker, key = std::move(key)](const std::vector<etcd::event>& events) {
            for (const auto& each : events) {
                if (each.kv.key != key || each.type != etcd::event::kind::put) continue;
                const auto token = std::stoll(each.kv.value);
                if (token < checker->token_) of.complain("token " + std::to_string(token) + " writes after token " + std::to_string(checker->token_));
                checker->token_ = token;
            }
        });
    }

private:
    std::int64_t token_ = 0;
};

asio::awaitable<void> open_session(client through, session* into) {
    auto opened = co_await session::open(std::move(through), 10s);
    *into = std::move(opened);
}

asio::awaitable<void> take(mutex from, duration timeout, std::optional<mutex_hold>* into) {
    auto hold = co_await from.lock(timeout);
    into->emplace(std::move(hold));
}

asio::awaitable<void> write_fenced(client through, etcd::compare still, std::string key, std::int64_t token, bool* written) {
    auto request = etcd::when(std::move(still)).then(etcd::put(std::move(key), std::to_string(token)));
    const auto done = co_await through.txn(std::move(request));
    *written = done.succeeded;
}

// The one that came first, of those that are there.
bool first_in_line(world& of, const std::string& line, const std::string& key) {
    etcd::range_request request{etcd::prefix(line)};
    request.sort_target = etcd::sort_target::create;
    request.sort_order = etcd::sort_order::ascend;
    request.limit = 1;
    const auto found = of.etcd().data().range(request);
    return found.kvs.empty() || found.kvs.front().key == key || of.etcd().data().range(etcd::range_request(key)).kvs.empty();
}

asio::awaitable<void> locks(world& of, rank_process& self, int times, bool must_work) {
    const auto etcd = self.make_client();
    session mine;
    const auto refused = co_await of.expect(self, "open session", of.now() + 8s, troubles(), open_session(etcd, &mine));
    if (refused) co_return;
    const mutex lock(mine, "job");
    for (int i = 0; i < times; ++i) {
        std::optional<mutex_hold> hold;
        const auto failed = co_await of.expect(self, "lock", of.now() + 60s, holding_troubles(), take(lock, 60s, &hold));
        if (failed && must_work) of.complain(self.name() + " could not lock: " + failed->what());
        if (failed) break;
        if (!first_in_line(of, "job/@mutex/", hold->key())) of.complain(self.name() + " holds the lock, and is not the first in line");
        const auto until = of.now() + std::chrono::milliseconds(self.system()->random() % 3000); // it is held for a while
        co_await detail::sleep_until(self.executor(), self.system(), until);
        bool written = false;
        auto writing = write_fenced(etcd, hold->still_held(), "fenced", hold->token().value, &written);
        const auto unclear = co_await of.expect(self, "fenced write", of.now() + 8s, troubles(), std::move(writing));
        static_cast<void>(unclear);
        if (must_work && !unclear && !written) of.complain(self.name() + " lost a lock that nobody took");
        const auto kept = co_await of.expect(self, "unlock", of.now() + 8s, holding_troubles(), hold->unlock());
        static_cast<void>(kept);
    }
    const auto left = co_await of.expect(self, "close session", of.now() + 8s, troubles(), mine.close());
    static_cast<void>(left);
}

asio::awaitable<void> run_for(election from, std::string value, std::optional<leadership>* into) {
    auto leading = co_await from.campaign(std::move(value), 60s);
    into->emplace(std::move(leading));
}

asio::awaitable<void> campaigns(world& of, rank_process& self, int times, bool must_work) {
    const auto etcd = self.make_client();
    session mine;
    const auto refused = co_await of.expect(self, "open session", of.now() + 8s, troubles(), open_session(etcd, &mine));
    if (refused) co_return;
    const election office(mine, "chief");
    for (int i = 0; i < times; ++i) {
        std::optional<leadership> led;
        const auto value = self.name() + "." + std::to_string(i);
        const auto failed = co_await of.expect(self, "campaign", of.now() + 60s, holding_troubles(), run_for(office, value, &led));
        if (failed && must_work) of.complain(self.name() + " could not be elected: " + failed->what());
        if (failed) break;
        if (!first_in_line(of, "chief/@election/", led->key())) of.complain(self.name() + " leads, and is not the first in line");
        for (int said = 0; said < 2; ++said) {
            const auto unsaid = co_await of.expect(self, "proclaim", of.now() + 8s, holding_troubles(), led->proclaim(value + "." + std::to_string(said)));
            if (unsaid) break;
            co_await take_time(of, self);
        }
        const auto kept = co_await of.expect(self, "resign", of.now() + 8s, holding_troubles(), led->resign());
        static_cast<void>(kept);
    }
    const auto left = co_await of.expect(self, "close session", of.now() + 8s, troubles(), mine.close());
    static_cast<void>(left);
}

asio::awaitable<void> follow_leaders(leader_feed* feed, duration limit, std::optional<etcd::key_value>* into) {
    auto next = co_await feed->next(limit);
    into->emplace(std::move(next));
}

// What a feed brings is in order, and each of it once: by the revisions.
asio::awaitable<void> observes(world& of, rank_process& self) {
    const auto etcd = self.make_client();
    leader_feed feed(etcd, "chief");
    std::pair<etcd::revision, etcd::revision> last; // token and revision
    for (int quiet = 0; quiet < 3;) {
        std::optional<etcd::key_value> news;
        const auto failed = co_await of.expect(self, "observe", of.now() + 20s, troubles(), follow_leaders(&feed, 20s, &news));
        if (failed) {
            ++quiet;
            continue;
        }
        quiet = 0;
        const std::pair said(news->create_revision, news->mod_revision);
        if (said <= last) {
            of.complain(self.name() + " observed revision " + std::to_string(said.second.value) + " of leader " + std::to_string(said.first.value) + " after " +
                        std::to_string(last.second.value) + " of " + std::to_string(last.first.value));
        }
        last = said;
    }
}

std::size_t few(chance& of) { return 2 + of.below(4); }

} // namespace

scenario mutex_scenario() {
    return {"mutex", "a lock that all want, and what only its holder may write", few, [](world& of) {
                fencing_checker::follow(of, "fenced");
                of.ignore_keys("fenced");
                const bool must_work = only_lossy(of.net().rates());
                for (std::size_t i = 0; i < of.size(); ++i) {
                    auto& self = of.rank(i);
                    of.spawn(self, [&of, &self, must_work] { return locks(of, self, 4, must_work); });
                }
            }};
}

scenario election_scenario() {
    return {"election", "candidates who lead, proclaim and resign, and one who observes", few, [](world& of) {
                const bool must_work = only_lossy(of.net().rates());
                for (std::size_t i = 1; i < of.size(); ++i) {
                    auto& self = of.rank(i);
                    of.spawn(self, [&of, &self, must_work] { return campaigns(of, self, 3, must_work); });
                }
                auto& observer = of.rank(0);
                of.spawn(observer, [&of, &observer] { return observes(of, observer); });
            }};
}

} // namespace etcdcoll::sim
