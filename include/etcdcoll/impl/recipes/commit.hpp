#pragma once
// How an optimistic transaction is committed: with a receipt, or with nothing but its compares.

#include <etcdcoll/impl/recipes/receipts.hpp>

namespace etcdcoll::detail {

/// `book` may be null.
struct committer {
    committer(etcd::client client_, std::shared_ptr<receipts> book_) : client(std::move(client_)), book(std::move(book_)) {}
    etcd::client client;
    std::shared_ptr<receipts> book;
};

struct commit_reply {
    bool done = false;
    etcd::revision seen;                         ///< of the commit, or of `current`
    std::vector<etcd::op_response> current; ///< what the failure branch has read
};

/// `guarded`: its compares fail once it has been executed, whatever happens then. Throws outcome_unknown where that cannot be told.
asio::awaitable<commit_reply> commit(committer with, etcd::txn_request request, bool guarded, time_point deadline);

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/commit.ipp>
#endif
