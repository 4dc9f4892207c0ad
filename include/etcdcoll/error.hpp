#pragma once
// The one exception type of the library: a code to branch on, a sentence for the operator, and what the sentence was made of.

#include <etcdcoll/config.hpp>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace etcdcoll {

using error_code = boost::system::error_code;

/// What went wrong, to branch on. The numbers are part of the ABI: they are never reused.
enum class errc {
    // The caller's mistake, refused before any I/O.
    invalid_argument = 1, ///< a parameter outside its documented range
    too_large = 2,        ///< more than etcd, or a configured cap, takes in one request; or a reply beyond the cap
    closed = 3,           ///< the object was closed, left, moved from or never joined

    // Time and cancellation.
    timed_out = 10, ///< the deadline passed; the text says who or what was missing
    cancelled = 11, ///< the caller's cancellation signal

    // The way to etcd.
    connection_failed = 20, ///< no endpoint could be reached, or none has answered: a write was not executed
    bad_reply = 21,         ///< an answer that is not etcd's, or is that to another request
    outcome_unknown = 22,   ///< a write may or may not have been executed
    tls_failed = 23,        ///< a certificate that one side does not take; the text says which, and why

    // What etcd answered.
    unavailable = 30,       ///< no leader, or overloaded
    no_space = 31,          ///< the quota of the server's database is used up
    compacted = 32,         ///< the revision asked for is gone
    not_found = 33,         ///< no such lease, member, user or role
    already_exists = 34,    ///< a lease, user or role of that name
    permission_denied = 35, ///< the user lacks the right
    unauthenticated = 36,   ///< no, a wrong or an expired login
    unsupported = 37,       ///< this server's version has no such call
    refused = 38,           ///< any other error that etcd answered; the text is the server's

    // Sessions and groups.
    lease_lost = 50,          ///< the session's lease expired or was revoked: this process is no member any more
    rank_lost = 51,           ///< another rank's lease expired, or it left, while it was needed
    aborted = 52,             ///< a rank aborted the group
    collective_mismatch = 53, ///< ranks called different collectives
    rank_taken = 54,          ///< another live process holds the rank
    world_size_mismatch = 55, ///< the group was formed with another size
    protocol_mismatch = 56,   ///< the group's members speak another protocol version
    group_full = 57,          ///< all ranks are held by live processes

    corrupt = 70, ///< a key of ours holds what we never write

    file_failed = 80, ///< a file of this machine could not be written
};

ETCDCOLL_API const boost::system::error_category& etcdcoll_category() noexcept;

inline error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), etcdcoll_category()}; }

/// What an error's sentence was made of; fields that do not apply are empty, zero or -1.
struct error_context {
    std::string endpoint;               ///< URL of the etcd member
    std::string call;                   ///< "put", "barrier"
    std::string key;                    ///< first key of the call, as sent
    std::string server_message;         ///< etcd's own words
    int grpc_code = 0;                  ///< etcd's code (gRPC numbering)
    int http_status = 0;                ///< of the answer
    int attempts = 0;                   ///< requests sent
    std::int64_t compact_revision = 0;  ///< with errc::compacted, where etcd tells it
    std::vector<int> ranks;             ///< missing or lost ranks, ascending
};

/// Thrown by every call of the library that could not keep its promise. what() is one sentence that names who, where and why.
class ETCDCOLL_API error : public boost::system::system_error {
public:
    error(errc code, std::string sentence);
    error(errc code, std::string sentence, error_context context);
    ~error() override;
    error(const error&) noexcept;
    error& operator=(const error&) noexcept;

    const char* what() const noexcept override;
    errc reason() const noexcept { return static_cast<errc>(code().value()); }
    const error_context& context() const noexcept;

private:
    struct state;
    std::shared_ptr<const state> state_; // shared, so that copying an exception cannot throw
};

} // namespace etcdcoll

template <> struct boost::system::is_error_code_enum<etcdcoll::errc> : std::true_type {};

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/error.ipp>
#endif
