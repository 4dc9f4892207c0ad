#pragma once
// What etcd refuses before it looks at its data: missing keys, too many or contradicting operations, too many bytes.

#include <etcdcoll/etcd/txn.hpp>
#include <etcdcoll/etcd/types.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace etcdcoll::etcd::model {

/// What etcd answers instead of a reply.
class refusal : public std::runtime_error {
public:
    refusal(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
    int code() const noexcept { return code_; } ///< gRPC's numbering

private:
    int code_;
};

/// What etcd's flags of the same names set.
struct limits {
    std::size_t max_request_bytes = 1'572'864;
    std::size_t max_txn_ops = 128;
};

/// Bytes of a request in protobuf, as etcd counts them.
std::size_t wire_size(const range_request& request);
std::size_t wire_size(const put_request& request);
std::size_t wire_size(const delete_range_request& request);
std::size_t wire_size(const txn_request& request);

/// A transaction of reads only goes without the log, and so without its limit of bytes. etcd counts nested ones as writes.
bool only_reads(const txn_request& request);

/// Each throws a refusal with etcd's code and text.
void check_request(const range_request& request, const limits& most);
void check_request(const put_request& request, const limits& most);
void check_request(const delete_range_request& request, const limits& most);
void check_request(const txn_request& request, const limits& most);

} // namespace etcdcoll::etcd::model

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/etcd/in_memory/request_rules.ipp>
#include <etcdcoll/impl/etcd/in_memory/wire_size.ipp>
#endif
