#pragma once
// The receipts of one session and name: which there are, and one in use.

#include <etcdcoll/impl/recipes/waiting.hpp>
#include <etcdcoll/impl/session_state.hpp>

#include <optional>

namespace etcdcoll {
struct receipt_reply;
class session;
} // namespace etcdcoll

namespace etcdcoll::detail {

/// One key whose mod_revision is known, so that a transaction can compare it. It is never deleted while the session lives: its revision only grows.
struct receipt_key {
    std::string key;
    etcd::revision moved; ///< none: not yet written
    std::uint64_t used = 0;
};

/// All members but name() are used on the client's strand.
class receipts : public std::enable_shared_from_this<receipts> {
public:
    receipts(std::shared_ptr<session_state> session, std::string name);

    const std::string& name() const noexcept { return name_; }
    const std::shared_ptr<session_state>& session() const noexcept { return session_; }
    etcd::client& client() noexcept { return session_->client(); }
    client_core& core() noexcept { return session_->core(); }
    etcd::lease_id lease() const noexcept { return session_->lease(); }
    /// 16 digits of the lease, 16 of chance: a key that nobody else writes.
    std::string unique_id();

    receipt_key take();
    void give_back(receipt_key receipt) { free_.push_back(std::move(receipt)); }

private:
    std::shared_ptr<session_state> session_;
    std::string name_;
    std::vector<receipt_key> free_;
};

/// A receipt in use by one coroutine. If a transaction's fate is in doubt when it is destroyed, the transaction is made void in the background,
/// and undone if it had been executed, as long as the session lives.
class receipt {
public:
    explicit receipt(std::shared_ptr<receipts> book) : book_(std::move(book)), mine_(book_->take()) {}
    ~receipt();
    receipt(const receipt&) = delete;
    receipt& operator=(const receipt&) = delete;

    /// Executed only where the transaction was and the caller never learned of it.
    void undo(std::vector<etcd::op> operations) { undo_ = std::move(operations); }
    asio::awaitable<receipt_reply> txn(etcd::txn_request request, time_point deadline);

private:
    std::shared_ptr<receipts> book_;
    receipt_key mine_;
    std::vector<etcd::op> undo_;
    bool doubt_ = false;
};

/// One transaction with a receipt of its own.
asio::awaitable<receipt_reply> receipted(std::shared_ptr<receipts> book, etcd::txn_request request, duration timeout);

/// Repeats a transaction that can do no harm, until etcd has answered it or the session has ended. For what nobody waits for.
asio::awaitable<void> insist(std::shared_ptr<receipts> book, etcd::txn_request request);

/// Throws closed where the session is not open, and invalid_argument for a name that cannot be.
std::shared_ptr<receipts> make_receipts(const session& of, const char* kind, std::string name);

/// On the client's strand, for as long as the session lives.
template <class T> asio::awaitable<T> with_session(receipts& book, asio::awaitable<T> operation) {
    return on_strand(book.core().strand(), while_alive(book.session(), std::move(operation)));
}

/// The first key of the range, of an answer to etcd::get().
const etcd::key_value* first_of(const etcd::op_response& response);

} // namespace etcdcoll::detail

#include <etcdcoll/recipes/receipt_book.hpp> // behind what is declared here: header-only, it brings the bodies that use it

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/receipt_book.ipp>
#endif
