// Reads, writes and compare-and-swap on single keys by several clients: each operation has taken effect at one moment between its call and its return.
#include "collectives.hpp"
#include "list.hpp"

#include <map>
#include <set>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

// Every state that each key has had, by revision. Revisions are the order in which things took effect, so an operation that names its revision can be held against time and state.
class key_states {
public:
    static std::shared_ptr<key_states> follow(world& of) {
        const auto states = std::make_shared<key_states>();
        of.on_revision.push_back([states](const std::vector<etcd::event>& events) {
            for (const auto& each : events) {
                const bool put = each.type == etcd::event::kind::put;
                states->states_[each.kv.key][each.kv.mod_revision.value] = put ? std::optional(each.kv.value) : std::nullopt;
            }
        });
        return states;
    }

    /// Nothing: the key was not there.
    std::optional<std::string> at(const std::string& key, std::int64_t revision) const {
        const auto all = states_.find(key);
        if (all == states_.end()) return std::nullopt;
        const auto behind = all->second.upper_bound(revision);
        return behind == all->second.begin() ? std::nullopt : std::prev(behind)->second;
    }

    /// It was told that this was not written.
    void never(std::string value) { never_.insert(std::move(value)); }
    void compare(world& of) const {
        for (const auto& [key, all] : states_) {
            for (const auto& [revision, value] : all) {
                if (value && never_.contains(*value)) of.complain(*value + " is written at revision " + std::to_string(revision) + ", and was told not to be");
            }
        }
    }

private:
    std::set<std::string> never_;
    std::map<std::string, std::map<std::int64_t, std::optional<std::string>>> states_;
};

const std::vector<errc> reading_troubles = {errc::timed_out, errc::connection_failed, errc::unavailable};
const std::vector<errc> writing_troubles = {errc::timed_out, errc::connection_failed, errc::unavailable, errc::outcome_unknown};

struct answer {
    std::int64_t revision = 0;
    std::optional<std::string> value;
    bool succeeded = true;
    bool wrote = false;
};

asio::awaitable<void> get(client through, std::string key, answer* into) {
    etcd::range_request request(std::move(key));
    const auto reply = co_await through.range(request);
    into->revision = reply.header.revision.value;
    if (!reply.kvs.empty()) into->value = reply.kvs.front().value;
}

asio::awaitable<void> put(client through, std::string key, std::string value, answer* into) {
    const auto reply = co_await through.put(std::move(key), std::move(value));
    into->revision = reply.header.revision.value;
    into->wrote = true;
}

asio::awaitable<void> erase(client through, std::string key, answer* into) {
    const auto reply = co_await through.delete_range(etcd::delete_range_request(std::move(key)));
    into->revision = reply.header.revision.value;
    into->wrote = reply.deleted != 0;
}

// Of a value that nobody else writes, so the failed branch tells a repetition that an earlier attempt has done it.
asio::awaitable<void> swap(client through, std::string key, std::string expected, std::string value, answer* into) {
    call_options options;
    options.guarded = true;
    auto request = etcd::when(etcd::value(key) == expected).then(etcd::put(key, std::move(value))).otherwise(etcd::get(key));
    const auto reply = co_await through.txn(std::move(request), options);
    into->revision = reply.header.revision.value;
    into->succeeded = reply.succeeded;
    into->wrote = reply.succeeded;
    if (reply.succeeded) co_return;
    const auto& found = std::get<etcd::range_response>(reply.responses.at(0)).kvs;
    if (!found.empty()) into->value = found.front().value;
}

class user {
public:
    user(world& of, rank_process& self, std::shared_ptr<key_states> states) : world_(of), self_(self), states_(std::move(states)), etcd_(self.make_client()) {}

    asio::awaitable<void> work() {
        for (int i = 0; i < 40; ++i) {
            const auto key = "x/" + std::to_string(self_.system()->random() % 3);
            const auto value = self_.name() + "." + std::to_string(i);
            const auto what = self_.system()->random() % 6;
            answer told;
            const auto before = revision();
            const auto last = last_[key];
            auto operation = what < 2 ? get(etcd_, key, &told) : what == 2 ? put(etcd_, key, value, &told) : what == 3 ? erase(etcd_, key, &told) : swap(etcd_, key, last_[key], value, &told);
            constexpr const char* names[] = {"get", "get", "put", "erase", "swap", "swap"};
            auto name = std::string(names[what]) + " " + key;
            const auto& documented = what < 2 ? reading_troubles : writing_troubles;
            const auto failed = co_await world_.expect(self_, name, world_.now() + 8s, documented, std::move(operation));
            if (failed && failed->reason() != errc::outcome_unknown && what >= 2) states_->never(value);
            if (failed) continue;
            check(name, before, told);
            check_value(name, key, what == 3 ? std::nullopt : std::optional(value), told);
            if (what > 3 && !told.succeeded && told.value == last && told.value != value) world_.complain(self_.name() + ": " + name + " failed, and what it compares was there");
            last_[key] = told.wrote && what != 3 ? value : told.value.value_or("");
            co_await take_time(world_, self_);
        }
    }

private:
    std::int64_t revision() { return world_.etcd().data().current().value; }

    // It took effect while it was under way: a read sees what had been written when it began, a write was not there then.
    void check(const std::string& name, std::int64_t before, const answer& told) {
        const auto least = told.wrote ? before + 1 : before;
        if (told.revision >= least && told.revision <= revision()) return;
        world_.complain(self_.name() + ": " + name + " took effect at revision " + std::to_string(told.revision) + ", and was under way from " + std::to_string(before) + " to " +
                        std::to_string(revision()));
    }

    // `written`: what is there after it has taken effect; nothing for an erase.
    void check_value(const std::string& name, const std::string& key, const std::optional<std::string>& written, const answer& told) {
        const auto truth = states_->at(key, told.revision);
        const auto said = told.wrote ? written : told.value;
        if (said == truth) return;
        world_.complain(self_.name() + ": " + name + " says " + said.value_or("nothing") + " at revision " + std::to_string(told.revision) + ", which has " + truth.value_or("nothing"));
    }

    world& world_;
    rank_process& self_;
    std::shared_ptr<key_states> states_;
    client etcd_;
    std::map<std::string, std::string> last_;
};

asio::awaitable<void> use(world& of, rank_process& self, std::shared_ptr<key_states> states) {
    user one(of, self, std::move(states));
    co_await one.work();
}

std::size_t few(chance& of) { return 1 + of.below(5); }

} // namespace

scenario keys_scenario() {
    return {"keys", "reads, writes and compare-and-swap of several clients on three keys", few, [](world& of) {
                const auto states = key_states::follow(of);
                of.ignore_keys("x/");
                of.on_end.push_back([&of, states] { states->compare(of); });
                for (std::size_t i = 0; i < of.size(); ++i) {
                    auto& self = of.rank(i);
                    of.spawn(self, [&of, &self, states] { return use(of, self, states); });
                }
            }};
}

} // namespace etcdcoll::sim
