#pragma once

#include "engram/actors/core.hpp"
#include "engram/config/options.hpp"

#include <memory>

namespace engram {

/// The actor system and the actors of one pipeline; hides CAF from the rest of this room.
class actor_runtime {
public:
  /// Starts the supervisor and, through it, all actors. `core` must outlive this.
  actor_runtime(pipeline_core& core, const runtime_options& options);
  ~actor_runtime();

  /// Ends every actor and waits for it; nothing of `core` is used afterwards.
  void stop();

private:
  struct system;
  std::unique_ptr<system> system_;
  pipeline_core& core_;
};

} // namespace engram
