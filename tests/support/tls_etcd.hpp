#pragma once
// etcd over TLS: the options of a server with a certificate of a test's own authority.

#include <support/certificates.hpp>

#include <local_etcd.hpp>

namespace etcdcoll::test {

enum class client_certificates {
    not_asked, ///< anyone may connect
    required,  ///< only who shows a certificate that the same authority has signed, for client use
};

/// For a local_etcd, or for each member of an etcd_cluster. The authority must outlive the server.
inline command::local_etcd_options tls_etcd(certificate_authority& authority, client_certificates clients = client_certificates::not_asked,
                                            const certificate_request& certificate = server_certificate()) {
    const auto files = authority.issue(certificate);
    command::local_etcd_options options;
    options.client_scheme = "https";
    options.arguments = {"--cert-file=" + files.certificate.string(), "--key-file=" + files.key.string()};
    if (clients == client_certificates::required) {
        options.arguments.insert(options.arguments.end(), {"--client-cert-auth", "--trusted-ca-file=" + authority.trusted().string()});
    }
    return options;
}

} // namespace etcdcoll::test
