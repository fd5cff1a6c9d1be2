#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <memory>
#include <string>

/// Certificates that are made up for a test.
namespace engram::test {

/// A certificate and its key, as objects and as PEM text.
struct identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;

  std::string certificate_pem() const {
    return pem([this](BIO* to) { PEM_write_bio_X509(to, certificate.get()); });
  }
  std::string key_pem() const {
    return pem([this](BIO* to) {
      PEM_write_bio_PKCS8PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

private:
  template <class Write>
  static std::string pem(const Write& write) {
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> to{BIO_new(BIO_s_mem()), &BIO_free_all};
    write(to.get());
    char* bytes = nullptr;
    const auto size = BIO_get_mem_data(to.get(), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
  }
};

inline void add_extension(X509* to, X509* issuer, int what, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, what, value);
  X509_add_ext(to, made, -1);
  X509_EXTENSION_free(made);
}

/// Makes a certificate for `name`, valid for a day from now, of `authority`; of itself, and an
/// authority's, without one.
inline identity make_identity(const char* name, const identity* authority = nullptr) {
  identity out{{X509_new(), X509_free}, {EVP_EC_gen("P-256"), EVP_PKEY_free}};
  X509* mine = out.certificate.get();
  X509* issuer = authority ? authority->certificate.get() : mine;
  static long serial = 1;
  X509_set_version(mine, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(mine), serial++);
  constexpr long an_hour = 3600;
  X509_gmtime_adj(X509_getm_notBefore(mine), -an_hour);
  X509_gmtime_adj(X509_getm_notAfter(mine), 24 * an_hour);
  X509_set_pubkey(mine, out.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(mine), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(mine, X509_get_subject_name(issuer));
  if (!authority)
    add_extension(mine, issuer, NID_basic_constraints, "critical,CA:TRUE");
  else
    add_extension(mine, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(mine, authority ? authority->key.get() : out.key.get(), EVP_sha256());
  return out;
}

} // namespace engram::test
