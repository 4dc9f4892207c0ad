#pragma once
// TLS over any byte_stream: OpenSSL turns bytes into records, the stream below carries them.

#include <etcdcoll/environment.hpp>
#include <etcdcoll/tls.hpp>

#include <memory>
#include <string>
#include <vector>

namespace etcdcoll::detail {

/// What is wrong between the two ends. Certificates are named by what the operator has to change.
enum class tls_errc {
    protocol = 1,          ///< anything else that OpenSSL refuses
    not_tls,               ///< the port answers something that is no TLS
    expired,
    not_yet_valid,
    unknown_authority,
    wrong_name,
    unusable,              ///< revoked, for another purpose, too weak...
    certificate_wanted,    ///< the server asks for a client certificate, and there is none
    certificate_refused,   ///< the server does not take the client's certificate
    cut_short,             ///< closed in the handshake; the next one may go well
};
const boost::system::error_category& tls_category() noexcept;

/// The settings and the certificates of all connections of one client. Immutable.
class tls_context {
public:
    /// Throws errc::invalid_argument for files that cannot be used, naming the file.
    explicit tls_context(const tls_options& options);
    ~tls_context();
    tls_context(const tls_context&) = delete;
    tls_context& operator=(const tls_context&) = delete;

private:
    friend class tls_stream;
    struct state;
    std::unique_ptr<state> state_;
};

class tls_stream final : public byte_stream {
public:
    tls_stream(std::unique_ptr<byte_stream> inner, std::shared_ptr<const tls_context> context);
    ~tls_stream() override;

    asio::awaitable<void> connect(stream_target target, error_code& failure) override;
    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& failure) override;
    asio::awaitable<std::size_t> write(asio::const_buffer from, error_code& failure) override;
    bool quiet() noexcept override;
    void close() noexcept override;
    std::string explain(const error_code& failure) const override;

private:
    struct state;
    error_code begin(const std::string& host);
    asio::awaitable<void> flush(error_code& failure);
    asio::awaitable<void> receive(error_code& failure);
    asio::awaitable<void> hear_alert(error_code& failure);
    error_code failed(int result);

    std::unique_ptr<byte_stream> inner_;
    std::shared_ptr<const tls_context> context_;
    std::unique_ptr<state> state_;
};

} // namespace etcdcoll::detail

#if defined(ETCDCOLL_HEADER_ONLY)
#include <etcdcoll/impl/tls_stream.ipp>
#endif
