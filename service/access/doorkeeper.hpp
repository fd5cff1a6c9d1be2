#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/service/access/access_control.hpp"
#include "engram/service/access/tls_files.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace engram {

/// What both doors need to know about who may come in. Thread-safe; outlives them.
class doorkeeper {
public:
  /// Reads the files that the options name. `invalid_argument` if they are not as they should be,
  /// or if they do not protect the address to listen on.
  static result<std::unique_ptr<doorkeeper>> make(const server_options& options,
                                                  std::chrono::system_clock::time_point now);

  /// Reads anew what may change while the doors are open; nothing changes before `access().use`.
  /// `invalid_argument` as above.
  static result<access_rules> read_rules(const server_options& options);

  access_control& access() noexcept { return access_; }
  /// Null: no TLS.
  const tls_files* tls() const noexcept { return tls_ ? &*tls_ : nullptr; }

private:
  doorkeeper(access_rules rules, std::optional<tls_files> tls)
      : access_(clock_, std::move(rules)), tls_(std::move(tls)) {}

  steady_clock_source clock_;
  access_control access_;
  const std::optional<tls_files> tls_;
};

} // namespace engram
