#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/service/access/rate_limiter.hpp"
#include "engram/service/access/role.hpp"
#include "engram/service/access/token_file.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

/// What a caller shows of itself.
struct credentials {
  std::string_view authorization; ///< the header of that name: "Bearer TOKEN"
  std::string_view certificate;   ///< the subject of its verified certificate; empty: none
  std::string_view address;       ///< in numbers
  std::string_view host = {};     ///< HTTP's Host, by which it calls us; empty: it says none
};

/// What came of a caller's request to come in.
struct access_verdict {
  enum class kind { allowed, unauthenticated, forbidden, too_many };

  kind what = kind::allowed;
  std::string message = {};  ///< of a refusal: one sentence without secrets
  duration retry_after{};    ///< of `too_many`
  std::string client = {};   ///< whose requests are counted; empty while nobody's are
  std::string identity = {}; ///< the token's name, else the certificate's; for the log

  explicit operator bool() const noexcept { return what == kind::allowed; }
};

/// What a client is told that sends too much.
inline constexpr std::string_view too_many_requests =
    "this client sends more than server.client_requests_per_second allows: send less or wait";

/// Who may come in, and how often, as it was configured.
struct access_rules {
  std::shared_ptr<const token_file> tokens; ///< null: no token is asked for
  rate_limit limit;
  std::string host; ///< that is listened on
};

/// Reads the tokens file, if there is one, and the limits.
result<access_rules> read_access_rules(const server_options& options);

/// Says who may do what, for both doors. Thread-safe.
///
/// With a tokens file, what needs a role takes a token that grants it. Without one, everybody who
/// gets here may query, and the admin role is for callers on this machine that call it by a name of
/// its own: a browser on it can be led here by any name that somebody points at the loopback
/// address, and such a page counts as of this site. A client is a token, else a certificate, else
/// an address; each has its own bucket of requests.
class access_control {
public:
  /// The clock outlives it.
  access_control(const clock_source& clock, access_rules rules) : clock_(clock) {
    use(std::move(rules));
  }

  /// Decides by these rules from now on; calls that are under way keep what they came in with.
  void use(access_rules rules);

  /// Returns true if `check` would let anybody in and count nobody: there is no need to ask.
  bool lets_anybody(role needed) const noexcept {
    return needed == role::none ||
           (needed == role::query && is_open_.load(std::memory_order_relaxed));
  }

  /// Decides about one request that needs `needed`, and counts it.
  access_verdict check(const credentials& who, role needed);

  /// Counts a further request of a client that was let in, within the same call: returns nothing if
  /// it may be served, else how long to wait. Who came in uncounted stays so.
  std::optional<duration> charge(std::string_view client);

private:
  const clock_source& clock_;
  std::atomic<bool> is_open_{true}; ///< neither tokens nor limits
  std::mutex mutex_;
  std::shared_ptr<const token_file> tokens_; ///< null: no token is asked for
  std::string host_;                         ///< that is listened on
  rate_limiter limiter_;
};

} // namespace engram
