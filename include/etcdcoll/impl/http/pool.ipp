#pragma once

#include <etcdcoll/http/pool.hpp>
#include <etcdcoll/impl/condition.hpp>

#include <algorithm>
#include <deque>

namespace etcdcoll::http {

// Intermediaries forget silent connections, some after a minute.
inline constexpr std::chrono::seconds longest_idle{50};
// As much of a body's memory is kept: a reply of etcd's largest value is a little over 2 MiB.
inline constexpr std::size_t most_spare = std::size_t{4} * 1024 * 1024;

struct pool::state : std::enable_shared_from_this<pool::state> {
    struct turn;
    struct spare {
        std::unique_ptr<connection> link;
        time_point since;
    };
    struct member {
        explicit member(endpoint peer_) : peer(std::move(peer_)) {}
        endpoint peer;
        std::deque<spare> idle; // the one used last is used next: the others grow old and are closed
        std::vector<connection*> busy;
        std::size_t taken = 0; // connections in use, or promised to a waiter
        std::deque<turn*> waiting;
    };

    // One of the bounded connections, from its acquisition to the end of the scope: handed on to the first that waits.
    class place {
    public:
        place(std::shared_ptr<state> owner, std::size_t index) : owner_(std::move(owner)), index_(index) {}
        place(const place&) = delete;
        place& operator=(const place&) = delete;
        ~place() {
            auto& m = owner_->members[index_];
            if (link) std::erase(m.busy, link.get());
            if (link && !owner_->closed && link->intact()) owner_->keep(m, std::move(link));
            owner_->give_back(m);
        }
        std::unique_ptr<connection> link;

    private:
        std::shared_ptr<state> owner_;
        std::size_t index_;
    };

    state(asio::any_io_executor executor_, std::shared_ptr<environment> system_, std::size_t bound_, limits caps_,
          std::shared_ptr<const etcdcoll::detail::tls_context> tls_)
        : executor(std::move(executor_)), system(std::move(system_)), bound(bound_), caps(caps_), tls(std::move(tls_)) {}

    std::unique_ptr<connection> make(const endpoint& peer) {
        auto link = std::make_unique<connection>(executor, system, peer, caps, counters, peer.tls ? tls : nullptr);
        link->share_memory(spare_body);
        return link;
    }

    // A coroutine that waits its turn. A place that was handed over to one that will not use it goes on to the next.
    struct turn {
        turn(state& owner_, member& m_) : owner(owner_), m(m_), given(owner_.executor, owner_.system) { m.waiting.push_back(this); }
        turn(const turn&) = delete;
        turn& operator=(const turn&) = delete;
        ~turn() {
            if (std::erase(m.waiting, this) == 0 && !used && !sent_away) owner.give_back(m);
        }
        state& owner;
        member& m;
        etcdcoll::detail::condition given;
        bool used = false;
        bool sent_away = false;
    };

    void give_back(member& m) noexcept {
        if (m.waiting.empty()) {
            --m.taken;
            return;
        }
        auto* next = m.waiting.front();
        m.waiting.pop_front();
        next->given.notify_all(); // the place stays taken: it is the waiter's now
    }

    void keep(member& m, std::unique_ptr<connection> link) {
        const auto now = system->now();
        m.idle.push_back({std::move(link), now});
        while (now - m.idle.front().since > longest_idle) m.idle.pop_front();
    }

    asio::awaitable<void> wait_turn(std::size_t index, time_point deadline);

    std::unique_ptr<connection> take_idle(member& m) {
        while (!m.idle.empty()) {
            auto last = std::move(m.idle.back());
            m.idle.pop_back();
            if (system->now() - last.since <= longest_idle && last.link->reusable()) return std::move(last.link);
        }
        return nullptr;
    }

    asio::any_io_executor executor;
    std::shared_ptr<environment> system;
    std::size_t bound;
    limits caps;
    std::shared_ptr<const etcdcoll::detail::tls_context> tls;
    std::shared_ptr<traffic> counters = std::make_shared<traffic>();
    std::deque<member> members;
    std::vector<std::weak_ptr<connection>> opened; // by open()
    std::shared_ptr<std::string> spare_body = std::make_shared<std::string>();
    bool closed = false;
};

ETCDCOLL_DECL void pool::reuse(std::string body) noexcept {
    if (body.capacity() > state_->spare_body->capacity() && body.capacity() <= most_spare) *state_->spare_body = std::move(body);
}

ETCDCOLL_DECL asio::awaitable<void> pool::state::wait_turn(std::size_t index, time_point deadline) {
    auto& m = members[index];
    turn mine(*this, m);
    mine.used = co_await mine.given.wait_until(deadline);
    if (mine.sent_away) throw failure(errc::connection_failed, false, "the endpoint failed while this waited for a connection");
    if (mine.used) co_return;
    throw failure(errc::timed_out, false, "all " + std::to_string(bound) + " connections are busy");
}

ETCDCOLL_DECL pool::pool(asio::any_io_executor executor, std::shared_ptr<environment> system, std::vector<endpoint> endpoints,
                         std::size_t connections_per_endpoint, limits caps, std::shared_ptr<const etcdcoll::detail::tls_context> tls)
    : state_(std::make_shared<state>(std::move(executor), std::move(system), std::max<std::size_t>(connections_per_endpoint, 1), caps,
                                     std::move(tls))) {
    for (auto& peer : endpoints) state_->members.emplace_back(std::move(peer));
}

ETCDCOLL_DECL pool::~pool() { close(); }

ETCDCOLL_DECL std::size_t pool::size() const noexcept { return state_->members.size(); }
ETCDCOLL_DECL const endpoint& pool::at(std::size_t index) const noexcept { return state_->members[index].peer; }
ETCDCOLL_DECL std::size_t pool::index_of(const endpoint& peer) {
    auto& members = state_->members;
    const auto same = [&peer](const state::member& m) { return m.peer == peer; };
    const auto found = std::find_if(members.begin(), members.end(), same);
    if (found != members.end()) return static_cast<std::size_t>(found - members.begin());
    members.emplace_back(peer); // a deque: what is busy with the others keeps its reference
    return members.size() - 1;
}

ETCDCOLL_DECL void pool::forget(std::size_t index) noexcept { state_->members[index].idle.clear(); }

ETCDCOLL_DECL void pool::turn_away(std::size_t index) noexcept {
    auto& waiting = state_->members[index].waiting;
    while (!waiting.empty()) { // none comes meanwhile: who is notified runs later
        auto* waiter = waiting.front();
        waiting.pop_front();
        waiter->sent_away = true;
        waiter->given.notify_all();
    }
}

ETCDCOLL_DECL const traffic& pool::counters() const noexcept { return *state_->counters; }

ETCDCOLL_DECL void pool::close() noexcept {
    state_->closed = true;
    for (auto& m : state_->members) {
        m.idle.clear();
        for (auto* link : m.busy) link->close();
    }
    for (const auto& one : state_->opened)
        if (const auto link = one.lock()) link->close();
}

ETCDCOLL_DECL asio::awaitable<reply> pool::exchange(std::size_t index, std::string_view target, std::string_view headers,
                                                    std::string_view body, duration limit, time_point last, duration connect_limit) {
    auto self = state_;
    if (self->closed) throw failure(errc::closed, false, "the client is closed");
    auto& m = self->members[index];
    if (m.taken < self->bound) {
        ++m.taken;
    } else {
        co_await self->wait_turn(index, last);
    }
    state::place mine(self, index);
    if (self->closed) throw failure(errc::closed, false, "the client is closed");
    mine.link = self->take_idle(m);
    const bool fresh = !mine.link;
    if (fresh) mine.link = self->make(m.peer);
    m.busy.push_back(mine.link.get());
    const auto deadline = std::min(last, self->system->now() + limit);
    if (fresh) {
        const auto connected_by = std::min(deadline, self->system->now() + connect_limit);
        co_await mine.link->open(connected_by);
    }
    auto result = co_await mine.link->exchange(target, headers, body, deadline, last);
    co_return result;
}

ETCDCOLL_DECL asio::awaitable<std::shared_ptr<connection>> pool::open(std::size_t index, time_point deadline) {
    auto self = state_;
    if (self->closed) throw failure(errc::closed, false, "the client is closed");
    std::shared_ptr<connection> link = self->make(self->members[index].peer);
    std::erase_if(self->opened, [](const std::weak_ptr<connection>& one) { return one.expired(); });
    self->opened.push_back(link);
    co_await link->open(deadline);
    if (self->closed) throw failure(errc::closed, false, "the client is closed");
    co_return link;
}

} // namespace etcdcoll::http
