#pragma once
// The address of one etcd member, and the lists of them that users write.

#include <etcdcoll/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etcdcoll::http {

struct endpoint {
    std::string host = "127.0.0.1"; ///< name or address; IPv6 without brackets
    std::uint16_t port = 2379;
    bool tls = false;

    /// host:port, IPv6 in brackets: what the Host header says.
    ETCDCOLL_API std::string authority() const;
    ETCDCOLL_API std::string url() const;
    bool operator==(const endpoint&) const = default;
};

/// Reads `[http://|https://]host[:port][/]`; the port defaults to 2379. Throws errc::invalid_argument, quoting the text.
ETCDCOLL_API endpoint parse_endpoint(std::string_view text);

/// Reads a comma-separated list; blanks around an entry and repeated entries are dropped. Throws errc::invalid_argument.
ETCDCOLL_API std::vector<endpoint> parse_endpoints(std::string_view list);

} // namespace etcdcoll::http

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/http/endpoint.ipp>
#endif
