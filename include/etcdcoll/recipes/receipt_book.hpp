#pragma once
// Transactions that are executed at most once, and whose fate is told also when their reply is lost.

#include <etcdcoll/session.hpp>

#include <memory>
#include <string>
#include <vector>

namespace etcdcoll {

namespace detail {
class receipts;
}

/// How a transaction ended.
struct receipt_reply {
    bool succeeded = false; ///< its compares held; its success branch was executed, once
    bool recalled = false;  ///< by an earlier copy whose reply was lost, and the replies of the success branch with it
    etcd::revision at;      ///< where it was executed, or refused
    etcd::revision seen;    ///< of the store when `responses` were made
    std::vector<etcd::op_response> responses; ///< of the branch; none where `recalled` and `succeeded`
};

/// Repeats transactions through lost replies, dead members and stalls without ever executing one twice. Each carries a receipt: a small key below
/// `<name>/@receipts/`, under the session's lease, which it rewrites and compares. A copy that is still on its way when its caller has gone
/// on - in the socket of a paused member, say - finds the receipt rewritten and does nothing: a guard like `version(k) == 0` cannot do that,
/// since it holds again once `k` is deleted.
///
/// A copyable handle; any thread may use it, and several transactions at a time each have a receipt of their own.
class ETCDCOLL_API receipt_book {
public:
    /// Throws errc::invalid_argument for a name that is empty, longer than 1024 bytes or contains "/@", and errc::closed where the session is not open.
    receipt_book(const session& of, std::string name);
    receipt_book(const receipt_book&) noexcept;
    receipt_book& operator=(const receipt_book&) noexcept;
    ~receipt_book();

    /// Executes the success branch once, or tells that a compare did not hold. What the failure branch reads is of when the reply was made.
    /// At most 126 compares, 126 operations in the success branch and 125 in the other; invalid_argument beyond.
    ///
    /// Errors:  invalid_argument (the failure branch writes; no timeout); lease_lost and closed, when the session has ended; outcome_unknown,
    ///          when the deadline passed without a reply: it is then made void in the background, and has been executed before that or never is;
    ///          the client's.
    /// Cancel:  terminal; as outcome_unknown.
    /// Cost:    1 request, repeated until it is answered; one compare and one small put besides the transaction's own.
    asio::awaitable<receipt_reply> txn(etcd::txn_request request, duration timeout = std::chrono::seconds(8));

    const std::shared_ptr<detail::receipts>& state() const noexcept { return state_; } // for the other recipes

private:
    std::shared_ptr<detail::receipts> state_;
};

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/receipt_book.ipp>
#endif
