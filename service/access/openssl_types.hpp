#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

/// OpenSSL's objects with their owners.
namespace engram::openssl {

template <auto free_it>
struct freer {
  template <class Object>
  void operator()(Object* what) const noexcept {
    free_it(what);
  }
};

using bio = std::unique_ptr<BIO, freer<BIO_free_all>>;
using certificate = std::unique_ptr<X509, freer<X509_free>>;
using private_key = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;
using context = std::unique_ptr<SSL_CTX, freer<SSL_CTX_free>>;

/// Returns a reader of `text`, which must outlive it.
inline bio reader_of(std::string_view text) {
  return bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// Returns why the last call of this thread failed, and forgets it.
inline std::string last_reason() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "it is not valid";
}

/// Refuses to ask anybody for the password of a key.
inline int no_password(char*, int, int, void*) {
  return -1;
}

} // namespace engram::openssl
