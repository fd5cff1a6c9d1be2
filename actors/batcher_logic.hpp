#pragma once

#include "engram/actors/core.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace engram {

/// What the BATCHER does: fills the windows and closes those that are due, as long as the router
/// has room for another batch. A request is not held while nothing else is in flight, nor while the
/// pipeline drains.
class batcher_logic {
public:
  explicit batcher_logic(pipeline_core& core);

  void on_entries();
  /// Closes what is due: after every change and at `next_due`.
  void pump();
  std::optional<time_point> next_due() const;

private:
  void follow_options();

  pipeline_core& core_;
  std::shared_ptr<const pipeline_options> options_;
  std::vector<window_entry> arrived_;
};

} // namespace engram
