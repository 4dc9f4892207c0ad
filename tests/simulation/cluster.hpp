#pragma once
// Three members on one store: who leads, who is stopped, and what that does to a call that is under way.

#include "network.hpp"

#include <array>
#include <deque>

namespace etcdcoll::sim {

class cluster;

class member final : public etcd::model::member {
public:
    member(cluster& of, std::uint64_t number);

    etcd::model::store& data() noexcept override;
    time_point now() const noexcept override;
    etcd::response_header header() const noexcept override;
    std::string version() const override { return "3.5.21"; }
    std::vector<std::string> client_urls() const override;
    std::uint64_t leader() const noexcept override;
    std::uint64_t member_at(std::size_t nth) const override;
    bool history_waits() const noexcept override;
    void admit(std::shared_ptr<etcd::model::pending_call> call) override;

    std::uint64_t number() const noexcept { return number_; }
    std::string host() const { return "m" + std::to_string(number_); }
    bool up = true;
    bool paused = false;
    bool isolated = false; // from the other members
    std::vector<std::function<void()>> held; // arrived while it was paused

private:
    friend class cluster;
    cluster& cluster_;
    std::uint64_t number_;
    time_point leaderless_ = time_point::max(); // since when
    duration lag_{};                            // of its watches behind the store, at most
};

class cluster {
public:
    explicit cluster(network& of);

    static constexpr std::size_t size = 3;
    std::string endpoints() const { return "http://m0:2379,http://m1:2379,http://m2:2379"; }
    member& at(std::size_t i) { return *members_[i]; }
    etcd::model::store& data() noexcept { return store_; }
    kernel& owner() noexcept { return kernel_; }
    std::uint64_t term() const noexcept { return term_; }
    bool led() const noexcept { return leader_ != nullptr; }

    void pause(member& one);
    void resume(member& one);
    void kill(member& one);
    void restart(member& one);
    void isolate(member& one);
    void rejoin(member& one);
    /// The leader steps down; what was under way at it may be lost, or executed by the next one.
    void depose();
    /// Everything works from now on.
    void heal();
    /// Watches are told of changes so late, at most.
    void lag(duration most);

    /// Called with all events of each revision, in order.
    std::function<void(const std::vector<etcd::event>&)> on_revision;
    std::uint64_t calls() const noexcept { return calls_; }

private:
    friend class member;
    struct proposal {
        std::shared_ptr<etcd::model::pending_call> call;
        member* at;
        time_point since;
        bool ended = false;
        bool survives = false; // the next leader has it
    };

    void admit(member& at, std::shared_ptr<etcd::model::pending_call> call);
    void propose(const std::shared_ptr<proposal>& what);
    void commit(const std::shared_ptr<proposal>& what);
    void strand(const std::shared_ptr<proposal>& what);
    void rescue();
    void give_up(const std::shared_ptr<proposal>& what);
    void execute_late(const std::shared_ptr<proposal>& what);
    static void when_awake(member& one, std::function<void()> function);
    void left_out(const member& one);
    void lose_leader();
    void seek_leader();
    void elect();
    bool reaches_leader(const member& one) const noexcept;
    static bool works(const member& one) noexcept;
    void follow_changes();
    void push(member& to);
    void tick();
    void catch_up();

    kernel& kernel_;
    network& network_;
    etcd::model::store store_;
    etcd::model::watcher history_{etcd::prefix({}), false, false, false, {2}};
    std::array<std::unique_ptr<member>, size> members_;
    member* leader_ = nullptr;
    std::uint64_t term_ = 2;
    std::uint64_t election_ = 0; // the newest one, so that an older one elects nobody
    std::deque<std::shared_ptr<proposal>> stranded_;
    std::uint64_t calls_ = 0;
    bool history_waits_ = false; // a watch reads old history every 100 ms, as etcd's do, or at once
};

} // namespace etcdcoll::sim
