#pragma once

#include "engram/app/commands.hpp"
#include "engram/config/load.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/access/doorkeeper.hpp"

#include <mutex>
#include <vector>

namespace engram {

/// The configuration that a daemon runs with, and how another one takes its place. Thread-safe.
class live_configuration {
public:
  /// Reads it; what the daemon wants otherwise than an embedded pipeline, unless told, is set.
  static result<configuration> read(const common_options& common);

  live_configuration(const common_options& common, configuration config)
      : common_(common), values_(std::move(config.values)) {}

  options values() const {
    const std::lock_guard lock{mutex_};
    return values_;
  }

  /// Reads it again and has `pipe` and `keeper` follow, whole or not at all; returns what has
  /// changed. `invalid_argument` or `not_found` names what is wrong, or what needs a restart.
  result<std::vector<key_change>> reload(pipeline& pipe, doorkeeper& keeper);

private:
  const common_options& common_;
  mutable std::mutex mutex_;
  options values_;
};

} // namespace engram
