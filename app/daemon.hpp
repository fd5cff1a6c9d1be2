#pragma once

#include "engram/app/commands.hpp"
#include "engram/app/event_printer.hpp"
#include "engram/app/live_configuration.hpp"
#include "engram/app/service_manager.hpp"
#include "engram/service/access/doorkeeper.hpp"
#include "engram/service/admin/admin.hpp"
#include "engram/service/dashboard/feed.hpp"
#include "engram/service/grpc/grpc_server.hpp"
#include "engram/service/http/http_server.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// `engram start`: a pipeline, its doors, and what steers them: signals, and the admin API through
/// either door.
class daemon {
public:
  daemon(const common_options& common, const configuration& config)
      : common_(common), options_(config.values), live_(common, config) {}

  /// Serves until a signal or the admin API ends it; returns the exit code.
  int run();

private:
  // -- beginning --
  std::optional<int> call_doorkeeper();
  std::optional<int> open_pipeline();
  std::optional<int> open_doors();
  std::optional<int> load();
  result<void> load_datasets();
  admin_controls controls();
  void announce() const;

  // -- running --
  int steer();
  void reload_on_signal();
  result<std::vector<key_change>> reload();
  void want_drain();
  void give_readiness();
  void hold_readiness(const std::string& state);
  void beat_if_alive();
  std::string what_is_served() const;

  // -- ending --
  void hear_while_starting(int signal, std::string_view unfinished);
  int drain(std::string_view why);
  int end_unsupervised();
  void stop_within(std::chrono::milliseconds patience, const std::function<void()>& stop,
                   const std::function<void(int)>& on_signal);
  int report_trouble(const error& why);

  const common_options& common_;
  const options options_; ///< what it started with; of its own keys none changes without a restart
  live_configuration live_;
  service_manager manager_;
  bool reload_wanted_ = false; ///< by a SIGHUP that came before the daemon was ready
  std::mutex readiness_mutex_; ///< a drain is wanted before readiness is given, or after
  std::atomic<bool> drain_wanted_{false};
  std::atomic<bool> is_ready_{false};
  std::unique_ptr<doorkeeper> keeper_; ///< before the doors that ask it
  std::unique_ptr<pipeline> pipe_;
  std::optional<inference_server> models_;  ///< after pipe_, before the doors that ask it
  std::optional<admin> actions_;            ///< the same
  std::optional<dashboard_feed> dashboard_; ///< after pipe_, before server_, which shows it
  std::unique_ptr<http_server> server_;
  std::unique_ptr<grpc_server> grpc_;   ///< null if server.grpc_enabled is false
  std::optional<event_printer> events_; ///< from when the door is open; after pipe_, which it reads
};

} // namespace engram
