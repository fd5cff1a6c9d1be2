#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace engram {

/// What both doors need for TLS, as PEM text.
struct tls_files {
  std::string certificate; ///< and those above it
  std::string key;
  std::string client_ca;                            ///< empty: clients need no certificate
  std::chrono::system_clock::time_point expires_at; ///< the certificate's
};

/// Reads what server.tls_certificate, tls_key and tls_client_ca name, nothing if they name nothing.
/// `invalid_argument`, with file and reason, if a file cannot be read or is not what it should be,
/// if the key does not fit the certificate or may be read by everybody, or if `now` is not within
/// the certificate's time.
result<std::optional<tls_files>> read_tls_files(const server_options& options,
                                                std::chrono::system_clock::time_point now);

} // namespace engram
