#include "engram/app/live_configuration.hpp"

#include <string>
#include <utility>

namespace engram {

result<configuration> live_configuration::read(const common_options& common) {
  auto config = load(common);
  if (!config) return config;
  // A process that owns its machine pins its threads and keeps GPUs in child processes.
  if (config->values.pipeline.gpu.isolation.empty()) {
    config->values.pipeline.gpu.isolation = "process";
    config->origins.at("gpu.isolation") = "default of the daemon";
  }
  if (config->origins.at("runtime.pin_threads") == "default") {
    config->values.pipeline.runtime.pin_threads = true;
    config->origins.at("runtime.pin_threads") = "default of the daemon";
  }
  return config;
}

result<std::vector<key_change>> live_configuration::reload(pipeline& pipe, doorkeeper& keeper) {
  const std::lock_guard lock{mutex_};
  const auto fresh = read(common_);
  if (!fresh) return fresh.error();
  std::string stuck;
  for (const auto& key : restart_needed(values_, fresh->values))
    stuck += (stuck.empty() ? "" : ", ") + key;
  if (!stuck.empty())
    return error{ec::invalid_argument, stuck + " cannot change without a restart"};
  auto rules = doorkeeper::read_rules(fresh->values.server);
  if (!rules) return rules.error();
  if (const auto taken = pipe.reload(fresh->values.pipeline); !taken) return taken.error();
  keeper.access().use(std::move(*rules));
  return changes(std::exchange(values_, fresh->values), fresh->values);
}

} // namespace engram
