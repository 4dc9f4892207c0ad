#pragma once

#include <etcdcoll/impl/tls_stream.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

namespace etcdcoll::detail {

// ---- errors ---------------------------------------------------------------------------------------------------------------------

class tls_category_impl final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "etcdcoll.tls"; }
    std::string message(int code) const override {
        switch (static_cast<tls_errc>(code)) {
        case tls_errc::protocol: return "TLS: protocol error";
        case tls_errc::not_tls: return "this port does not speak TLS: write http://";
        case tls_errc::expired: return "the server's certificate has expired";
        case tls_errc::not_yet_valid: return "the server's certificate is not valid yet";
        case tls_errc::unknown_authority: return "the server's certificate is of an authority that is not trusted here";
        case tls_errc::wrong_name: return "the server's certificate is for another name";
        case tls_errc::unusable: return "the server's certificate cannot be used";
        case tls_errc::certificate_wanted: return "the server wants a client certificate";
        case tls_errc::cut_short: return "the server closed the connection in the TLS handshake: if the port is one of plain HTTP, write http://";
        case tls_errc::certificate_refused: return "the server does not take the client certificate";
        }
        return "TLS";
    }
};

ETCDCOLL_DECL const boost::system::error_category& tls_category() noexcept {
    static const tls_category_impl instance;
    return instance;
}

template <auto Free> struct openssl_deleter {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};
using ssl_context_pointer = std::unique_ptr<SSL_CTX, openssl_deleter<SSL_CTX_free>>;
using ssl_pointer = std::unique_ptr<SSL, openssl_deleter<SSL_free>>;
using bio_pointer = std::unique_ptr<BIO, openssl_deleter<BIO_free>>;
using certificate_pointer = std::unique_ptr<X509, openssl_deleter<X509_free>>;

// The last words of OpenSSL, and none of them left for the next caller.
ETCDCOLL_DECL std::string openssl_words() {
    const char* words = ERR_reason_error_string(ERR_peek_last_error());
    std::string text = words != nullptr ? words : "unknown reason";
    ERR_clear_error();
    return text;
}

ETCDCOLL_DECL std::string name_text(const X509_NAME* name) {
    const bio_pointer out(BIO_new(BIO_s_mem()));
    if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return std::string(data, static_cast<std::size_t>(size)).substr(0, 200);
}

ETCDCOLL_DECL std::string time_text(const ASN1_TIME* when) {
    const bio_pointer out(BIO_new(BIO_s_mem()));
    if (!out || ASN1_TIME_print(out.get(), when) != 1) return "an unknown time";
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

// "etcd-0.local, 10.0.0.1": what a certificate says it is good for.
ETCDCOLL_DECL std::string names_of(X509* certificate) {
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    std::string text;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        const auto* entry = sk_GENERAL_NAME_value(names, i);
        std::string name;
        if (entry->type == GEN_DNS) {
            name.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(entry->d.dNSName)), static_cast<std::size_t>(ASN1_STRING_length(entry->d.dNSName)));
        } else if (entry->type == GEN_IPADD) {
            const auto* raw = ASN1_STRING_get0_data(entry->d.iPAddress);
            const auto size = ASN1_STRING_length(entry->d.iPAddress);
            asio::ip::address_v4::bytes_type v4{};
            asio::ip::address_v6::bytes_type v6{};
            if (size == static_cast<int>(v4.size())) {
                std::memcpy(v4.data(), raw, v4.size());
                name = asio::ip::address_v4(v4).to_string();
            } else if (size == static_cast<int>(v6.size())) {
                std::memcpy(v6.data(), raw, v6.size());
                name = asio::ip::address_v6(v6).to_string();
            }
        }
        if (!name.empty()) text += (text.empty() ? "" : ", ") + name;
        if (text.size() > 200) break;
    }
    GENERAL_NAMES_free(names);
    for (auto& c : text)
        if (c < 0x20 || c > 0x7e) c = '?';
    return text.empty() ? "no name at all" : text;
}

// ---- the context ----------------------------------------------------------------------------------------------------------------

struct tls_context::state {
    ssl_context_pointer context;
    std::string server_name;
    bool insecure = false;
    bool has_certificate = false;
};

ETCDCOLL_DECL tls_context::tls_context(const tls_options& options) : state_(std::make_unique<state>()) {
    const auto refuse = [](const std::string& what, const std::string& file) {
        throw error(errc::invalid_argument, "tls: " + what + " \"" + file + "\": " + openssl_words());
    };
    ERR_clear_error();
    state_->context.reset(SSL_CTX_new(TLS_client_method()));
    auto* context = state_->context.get();
    if (context == nullptr) throw error(errc::invalid_argument, "tls: OpenSSL cannot be used: " + openssl_words());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; }); // instead of a question on the terminal
    SSL_CTX_set_verify(context, options.insecure_skip_verify() ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    const unsigned char http[] = "\x08http/1.1"; // and not h2, which the gateway would choose
    SSL_CTX_set_alpn_protos(context, http, sizeof http - 1);

    if (options.ca_file().empty()) {
        if (SSL_CTX_set_default_verify_paths(context) != 1) refuse("cannot read the system's authorities", "");
    } else if (SSL_CTX_load_verify_locations(context, options.ca_file().c_str(), nullptr) != 1) {
        refuse("cannot read the CA file", options.ca_file());
    }
    if (options.certificate_file().empty() != options.key_file().empty())
        throw error(errc::invalid_argument, "tls: a client certificate needs both a certificate file and a key file");
    if (!options.certificate_file().empty()) {
        if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file().c_str()) != 1)
            refuse("cannot read the client certificate", options.certificate_file());
        if (SSL_CTX_use_PrivateKey_file(context, options.key_file().c_str(), SSL_FILETYPE_PEM) != 1)
            refuse("cannot use the key (one that is encrypted cannot be)", options.key_file());
        state_->has_certificate = true;
    }
    state_->server_name = options.server_name();
    state_->insecure = options.insecure_skip_verify();
}

ETCDCOLL_DECL tls_context::~tls_context() = default;

// ---- the stream -----------------------------------------------------------------------------------------------------------------

struct tls_stream::state {
    ssl_pointer ssl;
    BIO* incoming = nullptr; // both are owned by `ssl`
    BIO* outgoing = nullptr;
    std::string name;        // that the certificate must have
    std::string words;       // about the last failure
    std::string doubt;       // what the verification found wrong, with what the operator has to know of the certificate
    std::vector<char> records = std::vector<char>(std::size_t{17} * 1024);
    bool reading = false; // in receive(), which one coroutine at a time may be
    bool heard = false; // decrypted bytes have come: the server has taken our certificate

    class reader {
    public:
        explicit reader(state& of) : of_(of) { of_.reading = true; }
        reader(const reader&) = delete;
        reader& operator=(const reader&) = delete;
        ~reader() { of_.reading = false; }

    private:
        state& of_;
    };

    // Called by OpenSSL for each certificate of the chain.
    static int verify(int good, X509_STORE_CTX* store) {
        if (good == 1) return 1;
        const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* self = static_cast<state*>(SSL_get_app_data(ssl));
        try {
            self->doubt = self->describe(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store));
        } catch (const std::exception&) { // no memory for the sentence: the code says enough
        }
        return 0;
    }

    std::string describe(int what, X509* certificate) const {
        if (certificate == nullptr) return X509_verify_cert_error_string(what);
        switch (what) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return "on " + time_text(X509_get0_notAfter(certificate));
        case X509_V_ERR_CERT_NOT_YET_VALID: return "before " + time_text(X509_get0_notBefore(certificate));
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "it is for " + names_of(certificate) + ", not for " + name + ": connect by such a name, or give one with tls_options::server_name";
        default:
            return std::string(X509_verify_cert_error_string(what)) + "; issuer: " + name_text(X509_get_issuer_name(certificate)) +
                   ": give its CA with tls_options::ca_file";
        }
    }
};

ETCDCOLL_DECL tls_stream::tls_stream(std::unique_ptr<byte_stream> inner, std::shared_ptr<const tls_context> context)
    : inner_(std::move(inner)), context_(std::move(context)), state_(std::make_unique<state>()) {}
ETCDCOLL_DECL tls_stream::~tls_stream() = default;

// What a failed call of OpenSSL comes to. No code: more records are needed.
ETCDCOLL_DECL error_code tls_stream::failed(int result) {
    auto& s = *state_;
    const int kind = SSL_get_error(s.ssl.get(), result);
    if (kind == SSL_ERROR_WANT_READ) return {};
    if (kind == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
    if (kind == SSL_ERROR_SYSCALL) {
        ERR_clear_error();
        return asio::error::eof;
    }
    const auto reason = ERR_GET_REASON(ERR_peek_error());
    s.words = openssl_words();
    const auto code = [](tls_errc value) { return error_code(static_cast<int>(value), tls_category()); };
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_UNEXPECTED_MESSAGE: return code(s.heard ? tls_errc::protocol : tls_errc::not_tls);
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: return code(tls_errc::certificate_wanted);
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE: // 3.4, and TLS 1.2: also where there was none
        return code(context_->state_->has_certificate ? tls_errc::certificate_refused : tls_errc::certificate_wanted);
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR: return code(tls_errc::certificate_refused);
    case SSL_R_CERTIFICATE_VERIFY_FAILED: break;
    default: return code(tls_errc::protocol);
    }
    s.words = s.doubt;
    switch (SSL_get_verify_result(s.ssl.get())) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return code(tls_errc::expired);
    case X509_V_ERR_CERT_NOT_YET_VALID: return code(tls_errc::not_yet_valid);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return code(tls_errc::wrong_name);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return code(tls_errc::unknown_authority);
    default: return code(tls_errc::unusable);
    }
}

ETCDCOLL_DECL std::string tls_stream::explain(const error_code& failure) const {
    if (failure.category() != tls_category()) return inner_->explain(failure);
    const auto text = failure.message();
    const auto& words = state_->words;
    switch (static_cast<tls_errc>(failure.value())) {
    case tls_errc::not_tls:
    case tls_errc::cut_short: return text;
    case tls_errc::certificate_wanted: return text + ": give one with tls_options::certificate";
    default: return words.empty() ? text : text + " (" + words + ')';
    }
}

ETCDCOLL_DECL asio::awaitable<void> tls_stream::flush(error_code& failure) {
    auto& s = *state_;
    char* data = nullptr;
    const auto size = BIO_get_mem_data(s.outgoing, &data);
    if (size <= 0) co_return;
    // Taken out first: what OpenSSL adds while this is under way waits for the next flush.
    std::vector<char> out(data, data + size);
    static_cast<void>(BIO_reset(s.outgoing));
    const auto written = co_await inner_->write(asio::const_buffer(out.data(), out.size()), failure);
    static_cast<void>(written);
}

ETCDCOLL_DECL asio::awaitable<void> tls_stream::receive(error_code& failure) {
    auto& s = *state_;
    const state::reader here(s);
    const auto size = co_await inner_->read_some(asio::mutable_buffer(s.records.data(), s.records.size()), failure);
    if (!failure) BIO_write(s.incoming, s.records.data(), static_cast<int>(size));
    if (size == s.records.size() && s.records.size() < std::size_t{256} * 1024) s.records.resize(s.records.size() * 2);
}

// The state of a handshake that begins.
ETCDCOLL_DECL error_code tls_stream::begin(const std::string& host) {
    auto& s = *state_;
    const auto unusable = error_code(static_cast<int>(tls_errc::protocol), tls_category());
    ERR_clear_error();
    s.ssl.reset(SSL_new(context_->state_->context.get()));
    s.incoming = BIO_new(BIO_s_mem());
    s.outgoing = BIO_new(BIO_s_mem());
    if (!s.ssl || s.incoming == nullptr || s.outgoing == nullptr) {
        BIO_free(s.incoming);
        BIO_free(s.outgoing);
        s.words = openssl_words();
        return unusable;
    }
    auto* ssl = s.ssl.get();
    SSL_set_bio(ssl, s.incoming, s.outgoing);
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, &s);
    const auto& own = *context_->state_;
    s.name = own.server_name.empty() ? host.substr(0, host.find('%')) : own.server_name;
    if (s.name.size() > 1 && s.name.ends_with('.')) s.name.pop_back();
    error_code literal;
    asio::ip::make_address(s.name, literal);
    const bool named = literal.failed();
    // SSL_set_tlsext_host_name(), whose macro has a cast that compilers warn of
    bool good = !named || SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, s.name.data()) == 1;
    if (!own.insecure) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, &state::verify);
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        good = good && (named ? SSL_set1_host(ssl, s.name.c_str()) : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), s.name.c_str())) == 1;
    }
    if (good) return {};
    s.words = openssl_words();
    return unusable;
}

ETCDCOLL_DECL asio::awaitable<void> tls_stream::connect(stream_target target, error_code& failure) {
    auto& s = *state_;
    const auto host = target.host;
    co_await inner_->connect(std::move(target), failure);
    if (failure) co_return;
    failure = begin(host);
    while (!failure) {
        ERR_clear_error();
        const int result = SSL_do_handshake(s.ssl.get());
        if (result != 1) failure = failed(result);
        error_code lost;
        co_await flush(lost); // an alert as well: the server's log then says why
        if (!failure) failure = lost;
        if (result == 1 || failure) co_return;
        co_await receive(failure);
        if (failure != asio::error::eof && failure != asio::error::connection_reset) continue;
        // Most servers of plain HTTP, etcd among them, close without a word; but so does one that is on its way down.
        failure = error_code(static_cast<int>(tls_errc::cut_short), tls_category());
    }
}

// A server that refuses the client's certificate says so and closes. Where that comes before the first request is written, the alert is
// still there to be read.
ETCDCOLL_DECL asio::awaitable<void> tls_stream::hear_alert(error_code& failure) {
    auto& s = *state_;
    error_code lost;
    while (!lost) {
        ERR_clear_error();
        char byte = 0;
        std::size_t size = 0;
        const int result = SSL_peek_ex(s.ssl.get(), &byte, 1, &size);
        if (result == 1) co_return;
        const auto said = failed(result);
        if (said.category() == tls_category()) failure = said;
        if (said) co_return;
        co_await receive(lost);
    }
}

ETCDCOLL_DECL asio::awaitable<std::size_t> tls_stream::read_some(asio::mutable_buffer into, error_code& failure) {
    auto& s = *state_;
    failure.clear();
    while (!failure) {
        ERR_clear_error();
        std::size_t size = 0;
        const int result = SSL_read_ex(s.ssl.get(), into.data(), into.size(), &size);
        if (result == 1) {
            s.heard = true;
            co_return size;
        }
        failure = failed(result);
        if (!failure) co_await receive(failure);
    }
    co_return 0;
}

ETCDCOLL_DECL asio::awaitable<std::size_t> tls_stream::write(asio::const_buffer from, error_code& failure) {
    auto& s = *state_;
    failure.clear();
    std::size_t done = 0;
    constexpr std::size_t most = std::size_t{256} * 1024; // encrypted at a time
    while (done < from.size() && !failure) {
        ERR_clear_error();
        std::size_t size = 0;
        const int result = SSL_write_ex(s.ssl.get(), static_cast<const char*>(from.data()) + done, std::min(most, from.size() - done), &size);
        if (result != 1) {
            failure = failed(result);
            if (!failure) failure = error_code(static_cast<int>(tls_errc::protocol), tls_category());
            break;
        }
        done += size; // handed on, as far as anybody can tell, once a part of it may have gone
        co_await flush(failure);
    }
    const bool refused = failure == asio::error::connection_reset || failure == asio::error::broken_pipe;
    if (refused && !s.heard && !s.reading) co_await hear_alert(failure); // a reader hears it himself
    co_return done;
}

// What the reader has left encrypted counts as well: a closing alert, say.
ETCDCOLL_DECL bool tls_stream::quiet() noexcept {
    const auto& s = *state_;
    return s.ssl && SSL_has_pending(s.ssl.get()) == 0 && BIO_pending(s.incoming) == 0 && inner_->quiet();
}

ETCDCOLL_DECL void tls_stream::close() noexcept { inner_->close(); }

} // namespace etcdcoll::detail
