#pragma once

#include "engram/actors/core.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace engram {

/// What TELEMETRY does: hears every outcome, keeps each GPU's outcome window and breaker and the
/// cost model, and asks for known-answer batches when a half-open GPU gets no traffic.
class telemetry_logic {
public:
  explicit telemetry_logic(pipeline_core& core);

  void on_reports();
  void on_timer();
  std::optional<time_point> next_due() const;

private:
  void hear(const device_report& report, time_point now);
  void follow_options();
  void follow_overrides(time_point now);
  void publish();

  pipeline_core& core_;
  std::shared_ptr<const pipeline_options> options_;
  std::vector<device_report> reports_;
  /// When a half-open device is next asked to prove itself; by device.
  std::vector<std::optional<time_point>> ask_at_;
};

} // namespace engram
