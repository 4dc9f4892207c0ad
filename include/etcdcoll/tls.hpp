#pragma once
// How https endpoints are checked, and what this process shows of itself.

#include <etcdcoll/config.hpp>

#include <string>
#include <utility>

namespace etcdcoll {

/// TLS 1.2 at least; the server's certificate and its name are checked unless that is switched off. Files are PEM, read once, when the
/// client is made: what is wrong with them is errc::invalid_argument there. Every setter returns the object.
class tls_options {
public:
    tls_options() = default;

    /// The authorities to trust, instead of the system's.
    tls_options& ca_file(std::string path) {
        ca_file_ = std::move(path);
        return *this;
    }
    /// What to show a server that asks for a client certificate. With users on the server it must have no CommonName: etcd's gateway
    /// refuses those.
    tls_options& certificate(std::string certificate_file, std::string key_file) {
        certificate_file_ = std::move(certificate_file);
        key_file_ = std::move(key_file);
        return *this;
    }
    /// The name that the server's certificate must have, where it is not the endpoint's host.
    tls_options& server_name(std::string name) {
        server_name_ = std::move(name);
        return *this;
    }
    /// Takes any certificate: whoever answers can read and change everything. For experiments only.
    tls_options& insecure_skip_verify(bool skip = true) {
        insecure_ = skip;
        return *this;
    }

    const std::string& ca_file() const noexcept { return ca_file_; }
    const std::string& certificate_file() const noexcept { return certificate_file_; }
    const std::string& key_file() const noexcept { return key_file_; }
    const std::string& server_name() const noexcept { return server_name_; }
    bool insecure_skip_verify() const noexcept { return insecure_; }

private:
    std::string ca_file_;
    std::string certificate_file_;
    std::string key_file_;
    std::string server_name_;
    bool insecure_ = false;
};

} // namespace etcdcoll
