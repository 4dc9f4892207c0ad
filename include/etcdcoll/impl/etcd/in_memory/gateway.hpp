#pragma once
// etcd's HTTP/JSON gateway on one connection, as a server speaks it: bytes in, bytes out. No I/O.

#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace etcdcoll::etcd::model {

/// A whole request that etcd has received and not yet executed. Whoever holds it decides when, and whether its answer is told.
class pending_call {
public:
    virtual ~pending_call() = default;
    virtual std::string_view path() const noexcept = 0;
    /// It may change the store: put, delete, a transaction with either, compaction, grant, revoke.
    virtual bool writes() const noexcept = 0;
    /// A read that has to be agreed with the leader.
    virtual bool linearizable() const noexcept = 0;
    /// Executes it, and answers unless it was executed or refused before.
    virtual void execute() = 0;
    /// Answers with an error, and leaves execute() to change the store without a further answer.
    virtual void refuse(int code, std::string_view text) = 0;
};

/// The member that a connection leads to.
class member {
public:
    virtual ~member() = default;
    virtual store& data() noexcept = 0;
    virtual time_point now() const noexcept = 0;
    /// Its identity: all but the revision.
    virtual response_header header() const noexcept = 0;
    /// Such as "3.5.21".
    virtual std::string version() const = 0;
    /// The client URLs of all members.
    virtual std::vector<std::string> client_urls() const = 0;
    /// Executes it now, or keeps it.
    virtual void admit(std::shared_ptr<pending_call> call) { call->execute(); }
};

/// One connection. The member outlives it.
class gateway_connection {
public:
    explicit gateway_connection(member& of);
    ~gateway_connection();
    gateway_connection(const gateway_connection&) = delete;
    gateway_connection& operator=(const gateway_connection&) = delete;

    /// What the client has sent.
    void receive(std::string_view bytes);
    /// What is to be sent to the client, and has not been taken yet.
    std::string take_output();
    /// Nothing comes any more once the output has been taken: the server closes.
    bool finished() const noexcept;
    /// Called with each new output, from within receive(), push() or a pending call.
    std::function<void()> on_output;

    /// Tells its watches what has changed.
    void push();
    /// Ends its watches that ask for a leader, as a member without one does.
    void lose_leader();
    bool watches() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_; // shared with the calls that are pending
};

} // namespace etcdcoll::etcd::model
