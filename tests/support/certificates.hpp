#pragma once
// Certificates for tests, made on the spot: an authority of one's own, and what it signs, good or with a chosen flaw.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace etcdcoll::test {

/// PEM files; the certificate's also holds those of the authorities between it and the root.
struct certificate_files {
    certificate_files() {}

    std::filesystem::path certificate;
    std::filesystem::path key;
};

/// What a certificate is to say. Each names at least an organisation, so that a subject is there without a common name.
struct certificate_request {
    certificate_request() {}

    std::string common_name;        ///< empty: none
    std::vector<std::string> ips;   ///< "127.0.0.1", "::1"
    std::vector<std::string> names; ///< "localhost", "*.example.org"
    bool server_use = false;        ///< extended key usage serverAuth
    bool client_use = false;        ///< extended key usage clientAuth; etcd's gateway shows the server's certificate as a client does
    std::chrono::seconds valid_from = -std::chrono::hours(1); ///< from now
    std::chrono::seconds valid_until = std::chrono::hours(24);
};

/// For 127.0.0.1, ::1 and localhost; good for clients too. Without a common name, since those are no longer looked at.
certificate_request server_certificate();
/// A common name is the user's name to etcd, where it asks for client certificates and has auth on; over the gateway it refuses such a client.
certificate_request client_certificate(const std::string& common_name = "");
/// Its validity has ended an hour ago.
certificate_request expired(certificate_request request);
/// Its validity begins in an hour.
certificate_request not_yet_valid(certificate_request request);

/// An authority with a directory of its own, removed at destruction, to which it writes its certificate and all that it issues. Throws std::runtime_error with
/// OpenSSL's reason.
class certificate_authority {
public:
    explicit certificate_authority(const std::string& name = "tests");
    /// Signed by another authority: a server shows its certificate along with its own, a client trusts the root alone.
    certificate_authority(const std::string& name, const certificate_authority& parent);
    certificate_authority(const certificate_authority&) = delete;
    certificate_authority& operator=(const certificate_authority&) = delete;
    ~certificate_authority();

    /// The certificate to trust: this authority's own, in PEM.
    const std::filesystem::path& trusted() const noexcept { return own_.certificate; }

    /// A new key pair, on P-256, and a certificate for it; a file name of their own each time.
    certificate_files issue(const certificate_request& request = server_certificate());

    /// Where its files are; more may be put there.
    const std::filesystem::path& directory() const noexcept { return directory_; }

private:
    certificate_authority(const std::string& name, const certificate_authority* parent);

    std::filesystem::path directory_;
    certificate_files own_;
    std::string chain_; ///< PEM of this authority's certificate and those above, without the root's
    int issued_ = 0;
};

} // namespace etcdcoll::test
