#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace engram {

/// A connection to the server, whether a thread has taken it or it still waits for one.
struct seen_connection {
  std::string client = {}; ///< as `client_address` has it
  bool is_served = false;  ///< a request of it is being answered
  bool is_new = false;     ///< it was not there at the last look
};

/// How many connections a client may have.
struct connection_shares {
  std::uint32_t threads = 1;         ///< connections that are served at once
  std::uint32_t most_per_client = 0; ///< 0: any number, until clients wait for each other; then 3/4
                                     ///< of the threads

  /// Returns which of the connections are beyond their clients' shares, as places in `all`: new
  /// ones rather than old ones, and none whose request is being answered.
  std::vector<std::size_t> excess(std::span<const seen_connection> all) const;
};

} // namespace engram
