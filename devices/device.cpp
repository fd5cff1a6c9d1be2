#include "engram/devices/device.hpp"

#include <future>
#include <memory>
#include <utility>

namespace engram {

std::string_view to_string(fault_class kind) noexcept {
  switch (kind) {
  case fault_class::oom:
    return "oom";
  case fault_class::transient:
    return "transient";
  case fault_class::sticky:
    return "sticky";
  case fault_class::no_device:
    return "no_device";
  }
  return "transient";
}

std::optional<fault_class> parse_fault_class(std::string_view name) noexcept {
  for (int i = 0; i <= static_cast<int>(fault_class::last_); ++i)
    if (const auto kind = static_cast<fault_class>(i); to_string(kind) == name) return kind;
  return std::nullopt;
}

std::string_view to_string(device_kind kind) noexcept {
  switch (kind) {
  case device_kind::cpu:
    return "cpu";
  case device_kind::cuda:
    return "cuda";
  case device_kind::simulated:
    return "simulated";
  }
  return "cpu";
}

std::optional<run_outcome> run_and_wait(device& on, work_batch_ptr batch, duration patience) {
  // Shared, because the answer may come when nobody waits any more.
  auto answered = std::make_shared<std::promise<run_outcome>>();
  auto future = answered->get_future();
  on.run(std::move(batch),
         [answered](run_outcome outcome) { answered->set_value(std::move(outcome)); });
  if (future.wait_for(patience) != std::future_status::ready) return std::nullopt;
  return future.get();
}

} // namespace engram
