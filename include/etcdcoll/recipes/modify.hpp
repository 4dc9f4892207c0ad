#pragma once
// Reads a key, computes, writes it: as if nobody else were there.

#include <etcdcoll/recipes/receipt_book.hpp>

#include <functional>
#include <optional>
#include <string>

namespace etcdcoll {

/// Gets what the key holds (nothing where it is absent), returns what it is to hold; nothing: as it is. May be called several times.
using modification = std::function<std::optional<std::string>(const std::optional<etcd::key_value>&)>;

/// Writes what `change` has made of the value that was there immediately before: no change of another is overwritten. Returns the revision of the write;
/// none where `change` left the key as it is. The key keeps its lease.
///
/// Where the reply to the write is lost and the key was there before, it is sent again; the comparison keeps it from being executed twice. But when it is
/// then refused, etcd does not tell whether its own first copy was before it or another's change: that is outcome_unknown. So is any lost reply to the write
/// of a key that was absent: it is not sent again, as a late copy would create the key anew that others have deleted. The form with a receipt_book
/// always knows.
///
/// Errors:  timed_out (others were faster each time); outcome_unknown; what `change` throws, and nothing is written; the client's.
/// Cancel:  terminal; the write may have been executed.
/// Cost:    2 requests, and 1 for each time that another was faster (after a pause of 2 to 250 ms, with jitter).
ETCDCOLL_API asio::awaitable<etcd::revision> modify(etcd::client client, std::string key, modification change,
                                                    duration timeout = std::chrono::seconds(30));

/// As above, and exactly once however many replies are lost; outcome_unknown only where the deadline passes without any.
ETCDCOLL_API asio::awaitable<etcd::revision> modify(receipt_book book, std::string key, modification change,
                                                    duration timeout = std::chrono::seconds(30));

} // namespace etcdcoll

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/recipes/modify.ipp>
#endif
