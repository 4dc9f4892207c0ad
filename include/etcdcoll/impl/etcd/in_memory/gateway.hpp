#pragma once
// etcd's HTTP/JSON gateway on one connection, as a server speaks it: bytes in, bytes out. No I/O.

#include <etcdcoll/impl/etcd/in_memory/member.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

/// One connection. The member outlives it.
class gateway_connection {
public:
    explicit gateway_connection(member& of);
    ~gateway_connection();
    gateway_connection(const gateway_connection&) = delete;
    gateway_connection& operator=(const gateway_connection&) = delete;

    /// What the client has sent.
    void receive(std::string_view bytes);
    /// It sends no more, and may still read.
    void receive_end();
    /// What is to be sent to the client, and has not been taken yet.
    std::string take_output();
    /// Nothing comes any more once the output has been taken: the server closes.
    bool finished() const noexcept;
    /// Called with each new output, and at the end, from within receive(), push() or a pending call; after all else that these do.
    std::function<void()> on_output;

    /// Tells its watches what has changed. To be called before a compaction takes any of it.
    void push();
    /// Ends its watches that ask for a leader, as a member without one does.
    void lose_leader();
    bool watches() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_; // shared with the calls that are pending
};

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/gateway.ipp>
#endif
