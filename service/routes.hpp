#pragma once

#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/dataset_lookup.hpp"

#include <iosfwd>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace engram {

struct http_reply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string headers = {}; ///< further ones, each with its line end
};

/// Returns the status that says the same as `code`.
int http_status(ec code) noexcept;

/// Returns the error as a reply, with Retry-After where waiting helps.
http_reply error_reply(const error& why);
/// As above with a status of its own.
http_reply error_reply(int status, const error& why);

/// What the server answers, apart from how it gets here and back. Thread-safe.
class routes {
public:
  explicit routes(pipeline& pipe);

  /// Returns what to refuse a request with by its first line alone, 403, 404 or 405; nothing for
  /// one to serve.
  std::optional<http_reply> refusal(std::string_view method, std::string_view path) const;
  /// Returns true if serving this takes the request's body.
  static bool wants_body(std::string_view method) noexcept {
    return method == "POST" || method == "PUT";
  }
  /// Returns true if `path` steers the daemon itself.
  static bool is_admin(std::string_view path) noexcept { return path.starts_with("/v1/admin/"); }

  /// Serves a request that was not refused. Blocks until the pipeline has answered.
  http_reply serve(std::string_view method, std::string_view path, std::istream& body);

  void hold_readiness(std::string state);

private:
  http_reply operate(operation op, std::istream& body);
  http_reply readiness();
  http_reply liveness();
  http_reply faults() const;
  http_reply arm_faults(std::istream& body);
  http_reply disarm_faults();

  pipeline& pipe_;
  const bool admin_enabled_;
  label_finder labels_;
  std::mutex mutex_;
  std::string held_state_; ///< empty: the pipeline decides
};

} // namespace engram
