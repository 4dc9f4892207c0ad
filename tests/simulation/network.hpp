#pragma once
// What lies between the processes and the members: connections whose bytes take their time, are held up, or never come.

#include "faults.hpp"
#include "kernel.hpp"

#include <etcdcoll/impl/condition.hpp>
#include <etcdcoll/impl/etcd/in_memory/gateway.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace etcdcoll::sim {

class member;
class network;

/// One connection. The network holds it until both of its ends are closed.
class link : public std::enable_shared_from_this<link> {
public:
    link(network& of, process& client, std::uint64_t number, const asio::any_io_executor& executor, std::shared_ptr<environment> system);

    // The client's end, on its process's executor.
    void connect(member& to);
    void send(std::string_view bytes);
    void close_client() noexcept;

    // The member's end.
    void push();
    void lose_leader();
    /// Nothing that is under way arrives any more; the client hears of it.
    void reset(const char* why);
    /// What was held up goes on.
    void flow();
    /// Neither end holds it any more.
    bool over() const noexcept;
    std::string name() const;
    /// For a complaint.
    std::string standing() const;

    enum class state { fresh, connecting, open, refused, broken, ended };

    state is = state::fresh;
    std::string inbox;       // arrived at the client, not read yet
    bool client_closed = false;
    detail::condition changed;
    process& client;
    member* server_of = nullptr;

private:
    friend class network;
    enum way { to_server = 0, to_client = 1 };
    struct segment {
        std::string bytes;
        bool last = false; // the end of the stream comes with it
    };
    struct pipe {
        std::vector<segment> held; // arrived while the way was blocked
        time_point last{};         // when the newest one arrives
        std::uint64_t sent = 0;
        std::uint64_t cut_at = UINT64_MAX; // the connection breaks behind that many bytes
        bool swallowed = false;
    };

    void submit(way direction, std::string bytes, bool last);
    void arrive(way direction, segment what);
    void take(way direction, segment what);
    void collect();
    void finish_connect();
    void leave_server();
    duration delay();

    network& network_;
    std::uint64_t number_;
    pipe pipes_[2];
    duration latency_{};
    std::shared_ptr<etcd::model::gateway_connection> server_;
    bool gone_ = false;  // reset
    bool stuck_ = false; // its first packets do not pass
};

/// Which ways are blocked, and every connection.
class network {
public:
    network(kernel& of, fault_rates rates) : kernel_(of), rates_(rates) {}
    ~network();

    kernel& owner() noexcept { return kernel_; }
    fault_rates& rates() noexcept { return rates_; }
    void add_member(std::string host, member& which) { members_[std::move(host)] = &which; }
    member* find(const std::string& host) const;

    std::unique_ptr<byte_stream> make_stream(process& of, const asio::any_io_executor& executor, std::shared_ptr<environment> system);

    /// Nothing passes that way from now on; what is sent waits.
    void block(process& one, member& other, bool to_member, bool to_process);
    void unblock(process& one, member& other);
    bool blocked(const process& one, const member& other, bool to_member) const;
    void reset_links_of(const member& one, const char* why);
    std::size_t open_links() const noexcept;
    const std::vector<std::shared_ptr<link>>& links() const noexcept { return links_; }
    void forget_closed();
    void drop_all() noexcept;

private:
    friend class link;
    kernel& kernel_;
    fault_rates rates_;
    std::map<std::string, member*> members_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, int> blocked_; // (process, member): 1 to the member, 2 to the process
    std::vector<std::shared_ptr<link>> links_;
    std::uint64_t last_ = 0;
};

} // namespace etcdcoll::sim
