#include "engram/service/access/listening.hpp"

#include "engram/service/listen_address.hpp"

#include <string>

namespace engram {

result<void> check_listening(const server_options& options) {
  if (options.insecure || is_loopback(options.host)) return {};
  const bool has_tls = !options.tls_certificate.empty();
  const bool knows_callers = !options.tokens_file.empty() || !options.tls_client_ca.empty();
  if (has_tls && knows_callers) return {};
  const std::string tls = "TLS (server.tls_certificate and server.tls_key)";
  const std::string callers =
      "a way to tell callers apart (server.tokens_file or server.tls_client_ca)";
  const std::string lacking = has_tls ? callers : knows_callers ? tls : tls + " and " + callers;
  return error{ec::invalid_argument, "server.host = \"" + options.host +
                                         "\" can be reached by other machines, which takes " +
                                         lacking + ", or --insecure if something else protects it"};
}

} // namespace engram
