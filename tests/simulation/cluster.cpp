#include "cluster.hpp"

#include <algorithm>
#include <utility>

namespace etcdcoll::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto leaderless_limit = 3700ms; // then watches that ask for a leader are ended
constexpr auto answer_limit = 7s;         // then a write that was under way is given up by its member
constexpr auto lease_check = 500ms;
constexpr auto history_reading = 100ms;

} // namespace

member::member(cluster& of, std::uint64_t number) : cluster_(of), number_(number) {}

etcd::model::store& member::data() noexcept { return cluster_.store_; }
time_point member::now() const noexcept { return cluster_.kernel_.now(); }

etcd::response_header member::header() const noexcept {
    etcd::response_header result;
    result.cluster_id = 0xc1;
    result.member_id = 0xa0 + number_;
    result.raft_term = cluster_.term_;
    return result;
}

std::vector<std::string> member::client_urls() const { return {"http://m0:2379", "http://m1:2379", "http://m2:2379"}; }

std::uint64_t member::leader() const noexcept {
    return cluster_.reaches_leader(*this) ? 0xa0 + cluster_.leader_->number_ : 0;
}

std::uint64_t member::member_at(std::size_t nth) const { return 0xa0 + nth; }

bool member::history_waits() const noexcept { return cluster_.history_waits_; }

void member::admit(std::shared_ptr<etcd::model::pending_call> call) { cluster_.admit(*this, std::move(call)); }

cluster::cluster(network& of) : kernel_(of.owner()), network_(of) {
    for (std::size_t i = 0; i < size; ++i) {
        members_[i] = std::make_unique<member>(*this, i);
        members_[i]->lag_ = kernel_.chance.one_in(8) ? kernel_.chance.between(10ms, 500ms) : duration(2ms);
        of.add_member(members_[i]->host(), *members_[i]);
    }
    leader_ = members_[kernel_.chance.below(size)].get();
    store_.on_change = [this] { follow_changes(); };
    history_waits_ = kernel_.chance.one_in(2);
    if (history_waits_) kernel_.after(history_reading, [this] { catch_up(); });
    kernel_.after(lease_check, [this] { tick(); });
}

void cluster::admit(member& at, std::shared_ptr<etcd::model::pending_call> call) {
    ++calls_;
    if (!call->writes() && !call->linearizable()) {
        call->execute();
        return;
    }
    const auto what = std::make_shared<proposal>();
    what->call = std::move(call);
    what->at = &at;
    what->since = kernel_.now();
    propose(what);
}

void cluster::propose(const std::shared_ptr<proposal>& what) {
    const auto time = kernel_.chance.between(20us, 900us);
    const auto term = term_;
    const bool sent = reaches_leader(*what->at); // else it is lost, or waits at its member
    kernel_.after(time, [this, what, term, sent] {
        if (sent && term == term_ && reaches_leader(*what->at)) {
            commit(what);
        } else {
            strand(what);
        }
    });
}

// Without a leader a read waits for the next one, or is told that there was a change; a write is told after seven seconds that nobody knows, and is
// executed by the next leader, or later, or never.
void cluster::strand(const std::shared_ptr<proposal>& what) {
    auto& chance = kernel_.chance;
    const bool write = what->call->writes();
    what->survives = chance.one_in(write ? 3 : 2);
    stranded_.push_back(what);
    const duration limit = write ? duration(answer_limit) : chance.between(900ms, 1500ms);
    kernel_.at(std::max(what->since + limit, kernel_.now()), [this, what] { when_awake(*what->at, [this, what] { give_up(what); }); });
    if (leader_ != nullptr) rescue();
}

void cluster::give_up(const std::shared_ptr<proposal>& what) {
    if (std::exchange(what->ended, true)) return;
    std::erase(stranded_, what);
    const bool write = what->call->writes();
    what->call->refuse(14, write ? "etcdserver: request timed out, possibly due to previous leader failure" : "etcdserver: leader changed");
    if (write && kernel_.chance.one_in(4)) {
        kernel_.after(kernel_.chance.between(0ms, 4s), [this, what] { execute_late(what); });
    }
}

// What was given up is executed only while there is somebody to agree on it.
void cluster::execute_late(const std::shared_ptr<proposal>& what) {
    if (leader_ == nullptr) return;
    kernel_.trace.line(kernel_.now(), "etcd", [] { return std::string("executes what it had given up"); });
    what->call->execute();
}

void cluster::commit(const std::shared_ptr<proposal>& what) {
    if (std::exchange(what->ended, true)) return;
    std::erase(stranded_, what);
    what->call->execute();
}

// A member that is stopped answers nothing before it goes on, and nothing at all when it is killed before that.
void cluster::when_awake(member& one, std::function<void()> function) {
    if (!one.up) return;
    if (one.paused) {
        one.held.push_back(std::move(function));
    } else {
        function();
    }
}

bool cluster::reaches_leader(const member& one) const noexcept {
    return leader_ != nullptr && one.up && !one.paused && (&one == leader_ || (!one.isolated && !leader_->isolated));
}

bool cluster::works(const member& one) noexcept { return one.up && !one.paused && !one.isolated; }

void cluster::lose_leader() {
    leader_ = nullptr;
    kernel_.trace.line(kernel_.now(), "cluster", [] { return std::string("no leader"); });
    seek_leader();
}

void cluster::seek_leader() {
    const auto round = ++election_;
    kernel_.after(kernel_.chance.between(1s, 2s), [this, round] {
        if (round == election_ && leader_ == nullptr) elect();
    });
}

void cluster::elect() {
    std::vector<member*> able;
    for (const auto& each : members_) {
        if (works(*each)) able.push_back(each.get());
    }
    if (able.size() * 2 <= size) return; // tried again when one comes back
    leader_ = able[kernel_.chance.below(able.size())];
    ++term_;
    kernel_.trace.line(kernel_.now(), "cluster", [this] { return leader_->host() + " leads in term " + std::to_string(term_); });
    store_.leader_changed(kernel_.now());
    rescue();
}

// What the new leader has, or is told again.
void cluster::rescue() {
    for (const auto& each : std::vector(stranded_.begin(), stranded_.end())) {
        if (!each->survives) continue;
        kernel_.after(kernel_.chance.between(0ms, 1500ms), [this, each] {
            if (each->ended || leader_ == nullptr) return;
            if (reaches_leader(*each->at)) commit(each); // else its member says after its time that nobody knows
        });
    }
}

void cluster::follow_changes() {
    const auto news = store_.read(history_, SIZE_MAX);
    for (const auto& each : news.events) {
        kernel_.trace.mix(static_cast<std::uint64_t>(each.kv.mod_revision.value));
        kernel_.trace.line(kernel_.now(), "etcd", [&] {
            return std::to_string(each.kv.mod_revision.value) + (each.type == etcd::event::kind::put ? " put " + each.kv.key + " = " + each.kv.value : " erase " + each.kv.key);
        });
    }
    if (on_revision) on_revision(news.events);
    for (const auto& each : members_) {
        if (!works(*each)) continue;
        kernel_.after(kernel_.chance.between(0us, each->lag_), [this, to = each.get()] { push(*to); });
    }
}

// A member that is cut off from the others hears of nothing.
void cluster::push(member& to) {
    if (!works(to)) return;
    const auto& all = network_.links(); // nothing is added to it here
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i]->server_of == &to) all[i]->push();
    }
}

void cluster::catch_up() {
    if (!history_waits_) return;
    for (const auto& each : members_) push(*each);
    kernel_.after(history_reading, [this] { catch_up(); });
}

void cluster::tick() {
    if (leader_ != nullptr) store_.expire(kernel_.now());
    for (const auto& each : members_) {
        if (!each->up || each->paused || (leader_ != nullptr && reaches_leader(*each))) {
            each->leaderless_ = time_point::max();
            continue;
        }
        if (each->leaderless_ == time_point::max()) each->leaderless_ = kernel_.now();
        if (kernel_.now() - each->leaderless_ < leaderless_limit) continue;
        const auto all = network_.links();
        for (const auto& line : all) {
            if (line->server_of == each.get()) line->lose_leader();
        }
    }
    kernel_.after(lease_check, [this] { tick(); });
}

// A leader that does not hear from half of the members steps down.
void cluster::left_out(const member& one) {
    const auto working = std::count_if(members_.begin(), members_.end(), [](const auto& each) { return works(*each); });
    if (leader_ != nullptr && (&one == leader_ || working * 2 <= static_cast<std::ptrdiff_t>(size))) lose_leader();
}

void cluster::pause(member& one) {
    one.paused = true;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("paused"); });
    left_out(one);
}

void cluster::resume(member& one) {
    if (!std::exchange(one.paused, false)) return;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("goes on"); });
    for (auto& each : std::exchange(one.held, {})) when_awake(one, std::move(each));
    push(one);
    if (leader_ == nullptr) seek_leader();
}

void cluster::kill(member& one) {
    one.up = false;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("killed"); });
    one.held.clear();
    network_.reset_links_of(one, "member killed");
    for (const auto& each : std::vector(stranded_.begin(), stranded_.end())) {
        if (each->at == &one && !each->survives) {
            each->ended = true;
            std::erase(stranded_, each);
        }
    }
    left_out(one);
}

void cluster::restart(member& one) {
    if (std::exchange(one.up, true)) return;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("restarted"); });
    if (leader_ == nullptr) seek_leader();
}

void cluster::isolate(member& one) {
    one.isolated = true;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("cut off from the other members"); });
    left_out(one);
}

void cluster::rejoin(member& one) {
    if (!std::exchange(one.isolated, false)) return;
    kernel_.trace.line(kernel_.now(), one.host(), [] { return std::string("back among the other members"); });
    push(one);
    if (leader_ == nullptr) seek_leader();
}

void cluster::depose() {
    if (leader_ != nullptr) lose_leader();
}

void cluster::lag(duration most) {
    history_waits_ = false;
    for (const auto& each : members_) each->lag_ = most;
}

void cluster::heal() {
    for (const auto& each : members_) {
        resume(*each);
        restart(*each);
        rejoin(*each);
    }
    if (leader_ == nullptr) seek_leader();
}

} // namespace etcdcoll::sim
