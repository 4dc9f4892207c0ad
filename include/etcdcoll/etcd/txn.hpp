#pragma once
// Transactions of etcd: compares, and the operations for when all of them hold and for when one does not.
//
//     auto done = co_await client.txn(etcd::when(etcd::version("k") == 0).then(etcd::put("k", "1")).otherwise(etcd::get("k")));

#include <etcdcoll/etcd/types.hpp>

#include <variant>

namespace etcdcoll::etcd {

class op;

/// One condition on a key, or on all keys of a range. A key that is absent has version, create and mod revision and lease 0; its value
/// equals nothing.
struct compare {
    enum class target { version, create, mod, value, lease };
    enum class relation { equal, greater, less, not_equal };

    compare(key_range keys_, target what_, relation is_, std::int64_t number_) : keys(std::move(keys_)), what(what_), is(is_), number(number_) {}
    compare(key_range keys_, relation is_, std::string value_)
        : keys(std::move(keys_)), what(target::value), is(is_), value(std::move(value_)) {}

    key_range keys;
    target what;
    relation is;
    std::int64_t number = 0; ///< for all targets but value
    std::string value;
};

namespace detail {

template <compare::target What> struct number_of {
    key_range keys;
    compare operator==(std::int64_t n) && { return {std::move(keys), What, compare::relation::equal, n}; }
    compare operator!=(std::int64_t n) && { return {std::move(keys), What, compare::relation::not_equal, n}; }
    compare operator<(std::int64_t n) && { return {std::move(keys), What, compare::relation::less, n}; }
    compare operator>(std::int64_t n) && { return {std::move(keys), What, compare::relation::greater, n}; }
    compare operator==(revision r) && { return std::move(*this) == r.value; }
    compare operator!=(revision r) && { return std::move(*this) != r.value; }
    compare operator<(revision r) && { return std::move(*this) < r.value; }
    compare operator>(revision r) && { return std::move(*this) > r.value; }
    compare operator==(lease_id l) && { return std::move(*this) == l.value; }
    compare operator!=(lease_id l) && { return std::move(*this) != l.value; }
};

struct value_of {
    key_range keys;
    compare operator==(std::string v) && { return {std::move(keys), compare::relation::equal, std::move(v)}; }
    compare operator!=(std::string v) && { return {std::move(keys), compare::relation::not_equal, std::move(v)}; }
    compare operator<(std::string v) && { return {std::move(keys), compare::relation::less, std::move(v)}; }
    compare operator>(std::string v) && { return {std::move(keys), compare::relation::greater, std::move(v)}; }
};

} // namespace detail

inline detail::number_of<compare::target::version> version(key_range keys) { return {std::move(keys)}; }
inline detail::number_of<compare::target::create> create_revision(key_range keys) { return {std::move(keys)}; }
inline detail::number_of<compare::target::mod> mod_revision(key_range keys) { return {std::move(keys)}; }
inline detail::number_of<compare::target::lease> lease(key_range keys) { return {std::move(keys)}; }
inline detail::value_of value(key_range keys) { return {std::move(keys)}; }

/// Compares of a nested transaction see the state before the whole transaction. A key may be put once in the whole of it, branches
/// that exclude each other aside.
class txn_request {
public:
    /// Runs when all compares hold. At most 128 compares and 128 operations a branch; those of a nested transaction count on top of the
    /// longest list around it.
    template <class... Ops> txn_request&& then(Ops... ops) &&;
    /// Runs when one compare does not hold.
    template <class... Ops> txn_request&& otherwise(Ops... ops) &&;

    std::vector<etcd::compare> compares;
    std::vector<op> success;
    std::vector<op> failure;
};

/// One operation of a transaction.
class op {
public:
    op(range_request request_) : request(std::move(request_)) {}
    op(put_request request_) : request(std::move(request_)) {}
    op(delete_range_request request_) : request(std::move(request_)) {}
    op(txn_request request_) : request(std::move(request_)) {}

    std::variant<range_request, put_request, delete_range_request, txn_request> request;
};

template <class... Ops> txn_request&& txn_request::then(Ops... ops) && {
    (success.push_back(op(std::move(ops))), ...);
    return std::move(*this);
}

template <class... Ops> txn_request&& txn_request::otherwise(Ops... ops) && {
    (failure.push_back(op(std::move(ops))), ...);
    return std::move(*this);
}

/// Begins a transaction; without compares it always succeeds.
template <class... Compares> txn_request when(Compares... compares) {
    txn_request result;
    (result.compares.push_back(std::move(compares)), ...);
    return result;
}

inline put_request put(std::string key, std::string value, lease_id lease = {}) { return {std::move(key), std::move(value), lease}; }
inline range_request get(key_range keys) { return {std::move(keys)}; }
inline delete_range_request erase(key_range keys) { return {std::move(keys)}; }

struct txn_response;

/// The reply of one operation, in the place that the operation had.
using op_response = std::variant<range_response, put_response, delete_range_response, txn_response>;

/// `succeeded` false is a result, not an error.
struct txn_response {
    response_header header;
    bool succeeded = false;
    std::vector<op_response> responses; ///< of the branch that ran
};

} // namespace etcdcoll::etcd
