#pragma once

#include "engram/base/error.hpp"
#include "engram/service/access/tls_files.hpp"

#include <memory>

struct ssl_ctx_st;

namespace engram {

/// How OpenSSL speaks to clients of the HTTP door: TLS 1.2 or newer, and a certificate of one of
/// the client authorities where there are any.
class tls_context {
public:
  static result<tls_context> make(const tls_files& files);

  ssl_ctx_st* get() const noexcept { return context_.get(); }

private:
  struct freer {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  std::unique_ptr<ssl_ctx_st, freer> context_;
};

/// Makes OpenSSL 3 known to CivetWeb in this process: docs/decisions/0022 says why that takes
/// anything. `unavailable` with the reason where it is not to be had. Thread-safe.
result<void> make_openssl_known_to_civetweb();

} // namespace engram
