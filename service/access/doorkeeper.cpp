#include "engram/service/access/doorkeeper.hpp"

#include "engram/service/access/listening.hpp"

#include <utility>

namespace engram {

result<access_rules> doorkeeper::read_rules(const server_options& options) {
  if (auto protected_enough = check_listening(options); !protected_enough)
    return protected_enough.error();
  return read_access_rules(options);
}

result<std::unique_ptr<doorkeeper>> doorkeeper::make(const server_options& options,
                                                     std::chrono::system_clock::time_point now) {
  auto rules = read_rules(options);
  if (!rules) return rules.error();
  auto tls = read_tls_files(options, now);
  if (!tls) return tls.error();
  return std::unique_ptr<doorkeeper>{new doorkeeper{std::move(*rules), std::move(*tls)}};
}

} // namespace engram
