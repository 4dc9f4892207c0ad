#pragma once
// What stands between a connection and the store: the member that it leads to, and the requests that this one is given.

#include <etcdcoll/impl/etcd/in_memory/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
    /// 0: none, as where it has lost the others.
    virtual std::uint64_t leader() const noexcept { return header().member_id; }
    /// The member behind client_urls()[nth].
    virtual std::uint64_t member_at(std::size_t nth) const { return header().member_id + nth; }
    /// The largest message in protobuf: a larger request is refused, a larger one of a watch divided where that was asked for.
    virtual std::size_t message_limit() const noexcept { return 2 * 1024 * 1024; }
    /// While true, a watch that begins in the past reads history at the next push() only: etcd does it every 100 ms.
    virtual bool history_waits() const noexcept { return false; }
    /// Executes it now, or keeps it.
    virtual void admit(std::shared_ptr<pending_call> call) { call->execute(); }
};

} // namespace etcdcoll::etcd::model
