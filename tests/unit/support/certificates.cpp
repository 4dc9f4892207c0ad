// The certificates of the TLS tests, in the eyes of OpenSSL's own verification.

#include <support/certificates.hpp>

#include <catch2/catch_test_macros.hpp>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

using namespace etcdcoll::test;

namespace {

template <auto Free> struct freeing {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};
using certificate = std::unique_ptr<X509, freeing<::X509_free>>;
using file = std::unique_ptr<BIO, freeing<::BIO_free_all>>;

// What a peer thinks that trusts one authority: X509_V_OK, or what it objects to.
int verdict(const certificate_authority& trusted, const certificate_files& shown, int purpose, const char* ip = nullptr, const char* name = nullptr) {
    const file in(::BIO_new_file(shown.certificate.c_str(), "r"));
    REQUIRE(in);
    const certificate own(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    REQUIRE(own);
    const std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509)* all) { sk_X509_pop_free(all, ::X509_free); })> above(sk_X509_new_null());
    while (auto* each = ::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) sk_X509_push(above.get(), each);
    const std::unique_ptr<X509_STORE, freeing<::X509_STORE_free>> store(::X509_STORE_new());
    REQUIRE(::X509_STORE_load_file(store.get(), trusted.trusted().c_str()) == 1);
    const std::unique_ptr<X509_STORE_CTX, freeing<::X509_STORE_CTX_free>> check(::X509_STORE_CTX_new());
    REQUIRE(::X509_STORE_CTX_init(check.get(), store.get(), own.get(), above.get()) == 1);
    auto* parameters = ::X509_STORE_CTX_get0_param(check.get());
    ::X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    ::X509_VERIFY_PARAM_set_purpose(parameters, purpose);
    if (ip != nullptr) ::X509_VERIFY_PARAM_set1_ip_asc(parameters, ip);
    if (name != nullptr) ::X509_VERIFY_PARAM_set1_host(parameters, name, 0);
    ::X509_verify_cert(check.get());
    return ::X509_STORE_CTX_get_error(check.get());
}

} // namespace

TEST_CASE("certificates: a server's is good for its addresses and names, and for no others") {
    certificate_authority authority;
    const auto files = authority.issue();
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_SERVER, "127.0.0.1") == X509_V_OK);
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_SERVER, "::1") == X509_V_OK);
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_SERVER, nullptr, "localhost") == X509_V_OK);
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_SERVER, "127.0.0.2") == X509_V_ERR_IP_ADDRESS_MISMATCH);
    CHECK(verdict(authority, files, X509_PURPOSE_SSL_SERVER, nullptr, "elsewhere") == X509_V_ERR_HOSTNAME_MISMATCH);
}

TEST_CASE("certificates: each flaw that can be asked for is seen as that flaw") {
    certificate_authority authority;
    certificate_authority foreign;
    CHECK(verdict(authority, authority.issue(expired(server_certificate())), X509_PURPOSE_SSL_SERVER) == X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(verdict(authority, authority.issue(not_yet_valid(server_certificate())), X509_PURPOSE_SSL_SERVER) == X509_V_ERR_CERT_NOT_YET_VALID);
    CHECK(verdict(authority, authority.issue(client_certificate()), X509_PURPOSE_SSL_SERVER) == X509_V_ERR_INVALID_PURPOSE);
    CHECK(verdict(authority, authority.issue(client_certificate("someone")), X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
    const auto strange = verdict(authority, foreign.issue(), X509_PURPOSE_SSL_SERVER);
    CHECK((strange == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || strange == X509_V_ERR_CERT_SIGNATURE_FAILURE));
}

TEST_CASE("certificates: what an authority below the root issues is good for who trusts the root") {
    certificate_authority root("root");
    certificate_authority below("below", root);
    CHECK(verdict(root, below.issue(), X509_PURPOSE_SSL_SERVER, "127.0.0.1") == X509_V_OK);
}

TEST_CASE("certificates: an authority's directory goes with it") {
    std::filesystem::path directory;
    {
        certificate_authority authority;
        directory = authority.directory();
        CHECK(std::filesystem::exists(authority.issue().key));
    }
    CHECK_FALSE(std::filesystem::exists(directory));
}
