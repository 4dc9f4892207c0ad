#pragma once
// Random operations that meet each other: few keys, few leases, revisions near the newest one.

#include "operation.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// Sequences of operations, the same ones for the same seed.
class generator {
public:
    /// `request_bytes` and `txn_operations`: the limits of the etcds that the operations are for, a little of which is beyond them.
    generator(std::uint64_t seed, std::size_t request_bytes, std::size_t txn_operations)
        : random_(seed), request_bytes_(request_bytes), txn_operations_(txn_operations) {}

    /// 1 to `most` operations, of a character of their own.
    std::vector<operation> sequence(std::size_t most);

private:
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
    bool percent(unsigned p) { return below(100) < p; }
    template <class List> const auto& one_of(const List& list) { return list[below(list.size())]; }

    void choose_keys();
    std::string key() { return one_of(keys_); }
    std::string value();
    etcd::key_range range();
    etcd::lease_id lease();
    etcd::revision revision(std::size_t back);

    operation any();
    etcd::put_request put();
    etcd::range_request read();
    etcd::delete_range_request erase();
    etcd::compare compare();
    etcd::txn_request txn(int depth);
    etcd::txn_request whole_txn();
    void branch(std::vector<etcd::op>& into, int depth);
    operation watch();
    lease_grant grant();

    std::mt19937_64 random_;
    const std::size_t request_bytes_;
    const std::size_t txn_operations_;

    std::vector<std::string> keys_;
    bool sorts_ = true;    // by more than the key
    bool compacts_ = true;
    std::size_t begins_ = 0; // watches that come next
    bool swept_ = false; // the transaction that is being made has deleted without an end
};

} // namespace etcdcoll::test
