#include <support/certificates.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>

#include <unistd.h>

namespace etcdcoll::test {

namespace {

template <auto Free> struct freeing {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};
using bio = std::unique_ptr<BIO, freeing<::BIO_free_all>>;
using key_pair = std::unique_ptr<EVP_PKEY, freeing<::EVP_PKEY_free>>;
using certificate = std::unique_ptr<X509, freeing<::X509_free>>;

void check(bool good, const char* what) {
    if (good) return;
    const char* reason = ::ERR_reason_error_string(::ERR_peek_last_error());
    throw std::runtime_error(std::string("can't make a certificate: ") + what + (reason != nullptr ? std::string(": ") + reason : ""));
}

bio open(const std::filesystem::path& file, const char* mode) {
    bio result(::BIO_new_file(file.c_str(), mode));
    check(result != nullptr, file.c_str());
    return result;
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

void name(X509& cert, const char* field, const std::string& value) {
    if (value.empty()) return;
    const auto* text = reinterpret_cast<const unsigned char*>(value.data());
    check(::X509_NAME_add_entry_by_txt(::X509_get_subject_name(&cert), field, MBSTRING_UTF8, text, static_cast<int>(value.size()), -1, 0) == 1, field);
}

void extend(X509& cert, X509& issuer, int kind, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, &issuer, &cert, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, freeing<::X509_EXTENSION_free>> made(::X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
    check(made && ::X509_add_ext(&cert, made.get(), -1) == 1, value.c_str());
}

std::string joined(std::initializer_list<std::pair<bool, std::string>> parts) {
    std::string list;
    for (const auto& [wanted, part] : parts)
        if (wanted) list += (list.empty() ? "" : ",") + part;
    return list;
}

std::string alternative_names(const certificate_request& request) {
    std::string list;
    for (const auto& each : request.ips) list += (list.empty() ? "IP:" : ",IP:") + each;
    for (const auto& each : request.names) list += (list.empty() ? "DNS:" : ",DNS:") + each;
    return list;
}

// All but the issuer's name, the extensions and the signature.
certificate blank(const certificate_request& request, EVP_PKEY& key) {
    certificate cert(::X509_new());
    check(cert && ::X509_set_version(cert.get(), X509_VERSION_3) == 1 && ::X509_set_pubkey(cert.get(), &key) == 1, "a new one");
    std::array<unsigned char, 16> serial{};
    check(::RAND_bytes(serial.data(), serial.size()) == 1, "its number");
    serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40); // positive
    const std::unique_ptr<BIGNUM, freeing<::BN_free>> number(::BN_bin2bn(serial.data(), serial.size(), nullptr));
    check(number && ::BN_to_ASN1_INTEGER(number.get(), ::X509_get_serialNumber(cert.get())) != nullptr, "its number");
    check(::X509_gmtime_adj(::X509_getm_notBefore(cert.get()), static_cast<long>(request.valid_from.count())) != nullptr, "its validity");
    check(::X509_gmtime_adj(::X509_getm_notAfter(cert.get()), static_cast<long>(request.valid_until.count())) != nullptr, "its validity");
    name(*cert, "O", "EtcdColl");
    name(*cert, "CN", request.common_name);
    return cert;
}

void sign(X509& cert, X509& issuer, EVP_PKEY& issuers_key) {
    check(::X509_set_issuer_name(&cert, ::X509_get_subject_name(&issuer)) == 1, "its issuer");
    extend(cert, issuer, NID_subject_key_identifier, "hash");
    if (&cert != &issuer) extend(cert, issuer, NID_authority_key_identifier, "keyid:always");
    check(::X509_sign(&cert, &issuers_key, ::EVP_sha256()) != 0, "its signature");
}

void write(const certificate_files& files, X509& cert, EVP_PKEY& key, const std::string& chain) {
    {
        const auto out = open(files.certificate, "w");
        check(::PEM_write_bio_X509(out.get(), &cert) == 1, "PEM");
        check(::BIO_write(out.get(), chain.data(), static_cast<int>(chain.size())) == static_cast<int>(chain.size()), "PEM");
    }
    const auto out = open(files.key, "w");
    check(::PEM_write_bio_PrivateKey(out.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "PEM");
}

certificate read_certificate(const std::filesystem::path& file) {
    certificate result(::PEM_read_bio_X509(open(file, "r").get(), nullptr, nullptr, nullptr));
    check(result != nullptr, file.c_str());
    return result;
}

key_pair read_key(const std::filesystem::path& file) {
    key_pair result(::PEM_read_bio_PrivateKey(open(file, "r").get(), nullptr, nullptr, nullptr));
    check(result != nullptr, file.c_str());
    return result;
}

key_pair new_key() {
    key_pair result(::EVP_EC_gen("P-256"));
    check(result != nullptr, "its key");
    return result;
}

certificate_files files_named(const std::filesystem::path& directory, const std::string& stem) {
    certificate_files files;
    files.certificate = directory / (stem + ".pem");
    files.key = directory / (stem + "-key.pem");
    return files;
}

} // namespace

certificate_request server_certificate() {
    certificate_request request;
    request.ips = {"127.0.0.1", "::1"};
    request.names = {"localhost"};
    request.server_use = request.client_use = true;
    return request;
}

certificate_request client_certificate(const std::string& common_name) {
    certificate_request request;
    request.common_name = common_name;
    request.client_use = true;
    return request;
}

certificate_request expired(certificate_request request) {
    request.valid_from = -std::chrono::hours(2);
    request.valid_until = -std::chrono::hours(1);
    return request;
}

certificate_request not_yet_valid(certificate_request request) {
    request.valid_from = std::chrono::hours(1);
    request.valid_until = std::chrono::hours(2);
    return request;
}

certificate_authority::certificate_authority(const std::string& name) : certificate_authority(name, nullptr) {}

certificate_authority::certificate_authority(const std::string& name, const certificate_authority& parent) : certificate_authority(name, &parent) {}

certificate_authority::certificate_authority(const std::string& name, const certificate_authority* parent) {
    std::string path = (std::filesystem::temp_directory_path() / "etcdcoll-certificates-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("can't make the directory " + path);
    directory_ = path;
    own_ = files_named(directory_, "authority");
    certificate_request request;
    request.common_name = name;
    const auto key = new_key();
    const auto cert = blank(request, *key);
    const auto issuer = parent != nullptr ? read_certificate(parent->own_.certificate) : certificate();
    const auto issuers_key = parent != nullptr ? read_key(parent->own_.key) : key_pair();
    auto& issued_by = issuer ? *issuer : *cert;
    extend(*cert, issued_by, NID_basic_constraints, "critical,CA:TRUE");
    extend(*cert, issued_by, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(*cert, issued_by, issuers_key ? *issuers_key : *key);
    write(own_, *cert, *key, "");
    if (parent != nullptr) chain_ = text_of(own_.certificate) + parent->chain_;
}

certificate_authority::~certificate_authority() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

certificate_files certificate_authority::issue(const certificate_request& request) {
    const auto key = new_key();
    const auto cert = blank(request, *key);
    const auto issuer = read_certificate(own_.certificate);
    const auto issuers_key = read_key(own_.key);
    extend(*cert, *issuer, NID_basic_constraints, "critical,CA:FALSE");
    extend(*cert, *issuer, NID_key_usage, "critical,digitalSignature");
    extend(*cert, *issuer, NID_ext_key_usage, joined({{request.server_use, "serverAuth"}, {request.client_use, "clientAuth"}}));
    extend(*cert, *issuer, NID_subject_alt_name, alternative_names(request));
    sign(*cert, *issuer, *issuers_key);
    const auto files = files_named(directory_, std::to_string(++issued_));
    write(files, *cert, *key, chain_);
    return files;
}

} // namespace etcdcoll::test
