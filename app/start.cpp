#include "engram/app/commands.hpp"
#include "engram/app/event_printer.hpp"
#include "engram/app/signals.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/app/table.hpp"
#include "engram/service/grpc/grpc_server.hpp"
#include "engram/service/http/http_server.hpp"
#include "engram/service/http/inference_routes.hpp"
#include "engram/service/json_writer.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace engram {

namespace {

using std::chrono::milliseconds;

milliseconds whole_milliseconds(double ms) {
  return milliseconds{static_cast<std::int64_t>(ms)};
}

/// A process that owns its machine pins its threads and keeps GPUs in child processes unless told
/// otherwise.
configuration for_daemon(configuration config) {
  if (config.values.pipeline.gpu.isolation.empty()) {
    config.values.pipeline.gpu.isolation = "process";
    config.origins.at("gpu.isolation") = "default of the daemon";
  }
  if (config.origins.at("runtime.pin_threads") == "default") {
    config.values.pipeline.runtime.pin_threads = true;
    config.origins.at("runtime.pin_threads") = "default of the daemon";
  }
  return config;
}

std::string names(const std::vector<device_health>& devices) {
  std::string out;
  for (const auto& device : devices) {
    out += (out.empty() ? "" : ", ") + device.info.name;
    if (device.info.kind != device_kind::cpu) out += " (" + device.info.model + ")";
  }
  return out;
}

const char* name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

/// The daemon: a pipeline, its HTTP door, and the signals that steer them.
class daemon {
public:
  daemon(const common_options& common, configuration config)
      : common_(common), config_(std::move(config)) {}

  int run() {
    std::optional<result<std::unique_ptr<pipeline>>> started;
    run_watchfully([&] { started = pipeline::start(config_.values.pipeline); },
                   [this](int signal) { hear_while_starting(signal, "the devices were opened"); });
    if (!*started) return report_start_error(started->error());
    pipe_ = std::move(**started);
    if (const auto usable = check_faults(); !usable) return report_usage_error(usable.error());
    // Loading measures the devices, and its figures should be those of good days.
    pipe_->disarm_faults();
    models_.emplace(*pipe_, config_.values.oip);
    const auto add_routes = [this](http_router& router, http_door& door) {
      add_inference_routes(router, door, *models_, config_.values.server.max_body_bytes);
    };
    auto listening = http_server::start(*pipe_, config_.values.server, add_routes);
    if (!listening) return report_start_error(listening.error());
    server_ = std::move(*listening);
    server_->hold_readiness("loading");
    if (config_.values.server.grpc_enabled) {
      auto grpc = grpc_server::start(*pipe_, *models_, config_.values.server);
      if (!grpc) return report_start_error(grpc.error());
      grpc_ = std::move(*grpc);
      grpc_->hold_readiness(true);
    }
    events_.emplace(*pipe_);
    result<void> loaded;
    run_watchfully([&] { loaded = load_datasets(); },
                   [this](int signal) { hear_while_starting(signal, "the datasets were loaded"); });
    if (!loaded) return report_trouble(loaded.error());
    if (const auto armed = pipe_->arm_faults(config_.values.pipeline.faults.points); !armed)
      return report_usage_error(armed.error());
    if (const auto armed = arm_faults(); !armed) return report_usage_error(armed.error());
    server_->hold_readiness({});
    if (grpc_) grpc_->hold_readiness(false);
    events_->catch_up();
    if (config_.values.pipeline.faults.admin_enabled)
      spdlog::warn("faults.admin_enabled: whoever reaches {} can break this pipeline on purpose",
                   server_->address());
    announce();
    return steer();
  }

private:
  /// Returns the settings of $ENGRAM_FAILPOINTS.
  static std::vector<std::string> given_faults() {
    const char* variable = std::getenv("ENGRAM_FAILPOINTS");
    return split_fault_settings(variable ? variable : "");
  }
  static error of_failpoints(const error& why) {
    return {why.code, "ENGRAM_FAILPOINTS: " + why.message};
  }
  /// Tells before the datasets are loaded what would be wrong after it.
  result<void> check_faults() const {
    for (const auto& setting : given_faults())
      if (const auto possible = pipe_->check_fault(setting); !possible)
        return of_failpoints(possible.error());
    return {};
  }
  result<void> arm_faults() {
    if (const auto armed = pipe_->arm_faults(given_faults()); !armed)
      return of_failpoints(armed.error());
    return {};
  }

  /// Ends the process at once: what it has begun is nobody's yet, and its children die with it.
  void hear_while_starting(int signal, std::string_view unfinished) {
    if (signal == SIGHUP) {
      reload_wanted_ = true;
      return;
    }
    if (events_) events_->catch_up();
    spdlog::info("{}: ending before {}", name_of(signal), unfinished);
    const bool all_served = !pipe_ || pipe_->health().in_flight == 0;
    std::_Exit(all_served ? exit_fine : exit_run_time);
  }

  /// Says why the daemon ends, below what led to it.
  int report_trouble(const error& why) {
    events_->catch_up();
    return report_run_time_error(why);
  }

  result<void> load_datasets() {
    const dataset_store store{store_directory(config_.values)};
    std::vector<std::string> wanted = config_.values.datasets.load;
    if (wanted.empty()) wanted = store.names();
    if (wanted.empty())
      spdlog::warn("no datasets in {}: only similarity can be asked for",
                   store.directory().string());
    for (const auto& name : wanted) {
      const auto which = parse_dataset_reference(name);
      if (!which) return which.error();
      const auto what = store.describe(which->name, which->version);
      if (!what) return cannot_load(*which, what.error());
      const auto begin = std::chrono::steady_clock::now();
      const auto data = publish_stored(*pipe_, store, *which);
      if (!data) return cannot_load(*which, data.error());
      spdlog::info("loaded {} version {}: {} in {:.2f} s", what->name, what->version,
                   shape_of(*what), to_seconds(std::chrono::steady_clock::now() - begin));
    }
    return {};
  }

  void announce() {
    const auto devices = pipe_->health().devices;
    if (common_.json) {
      json_writer out;
      out.begin_object().field("address", server_->address()).field("port", server_->port());
      if (grpc_) out.field("grpc_port", grpc_->port());
      out.field("datasets", pipe_->datasets().size()).key("devices").begin_array();
      for (const auto& device : devices)
        out.value(device.info.name);
      out.end_array().end_object();
      std::printf("%s\n", out.take().c_str());
    } else {
      const auto count = pipe_->datasets().size();
      const auto grpc = grpc_ ? ", gRPC on port " + std::to_string(grpc_->port()) : std::string{};
      std::printf("engram is ready on %s%s (%zu dataset%s; devices: %s)\n",
                  server_->address().c_str(), grpc.c_str(), count, count == 1 ? "" : "s",
                  names(devices).c_str());
    }
    std::fflush(stdout);
  }

  /// Waits for signals until one has ended the daemon, or nobody can restart what fails any more.
  int steer() {
    if (reload_wanted_) reload();
    for (;;) {
      const int signal = wait_for_signal(milliseconds{100});
      if (signal == 0) {
        if (!pipe_->health().supervised) return end_unsupervised();
        continue;
      }
      if (signal == SIGHUP) {
        reload();
        continue;
      }
      spdlog::info("{}: draining {} requests; a second signal ends at once", name_of(signal),
                   pipe_->health().in_flight);
      return drain();
    }
  }

  void reload() {
    auto fresh = load(common_);
    if (!fresh) {
      spdlog::error("SIGHUP: the configuration stays as it was: {}", fresh.error().message);
      return;
    }
    auto config = for_daemon(std::move(*fresh));
    std::string stuck;
    for (const auto& key : restart_needed(config_.values, config.values))
      stuck += (stuck.empty() ? "" : ", ") + key;
    if (!stuck.empty()) {
      spdlog::error("SIGHUP: the configuration stays as it was: {} cannot change without a restart",
                    stuck);
      return;
    }
    if (const auto taken = pipe_->reload(config.values.pipeline); !taken) {
      spdlog::error("SIGHUP: the configuration stays as it was: {}", taken.error().message);
      return;
    }
    for (const auto& key : all_keys()) {
      const auto before = value_of(config_.values, key.key),
                 after = value_of(config.values, key.key);
      if (before != after) spdlog::info("SIGHUP: {} = {} (was {})", key.key, after, before);
    }
    spdlog::info("SIGHUP: the configuration is in effect");
    config_ = std::move(config);
  }

  /// Whoever watches the process starts another one; a pipeline without a supervisor would answer
  /// with errors only, for ever.
  int end_unsupervised() {
    server_->hold_readiness("unavailable");
    if (grpc_) grpc_->hold_readiness(true);
    const int code = report_trouble(
        {ec::unavailable, "the supervisor of the actors died: what was pending was answered with "
                          "errors, and the process ends; start it again"});
    const auto stop = [&] {
      server_->stop(); // the answers are written
      if (grpc_) grpc_->stop();
      pipe_->stop(milliseconds{0});
    };
    run_watchfully(stop, [code](int signal) {
      if (signal != SIGHUP) std::_Exit(code);
    });
    return code;
  }

  /// Readiness goes first, so that whoever balances load looks elsewhere; then the pipeline refuses
  /// what is new and answers what it has; then the answers are written.
  int drain() {
    server_->hold_readiness("draining");
    if (grpc_) grpc_->hold_readiness(true);
    bool all_served = false;
    const auto stop = [&] {
      all_served = pipe_->stop(whole_milliseconds(config_.values.server.drain_timeout_ms));
      all_served = server_->stop() && all_served;
      if (grpc_) all_served = grpc_->stop() && all_served;
    };
    run_watchfully(stop, [this](int signal) {
      if (signal == SIGHUP) return;
      events_->catch_up();
      spdlog::warn("asked again: ending at once with {} requests unanswered",
                   pipe_->health().in_flight);
      std::_Exit(exit_run_time);
    });
    const auto counts = pipe_->counts();
    events_->catch_up();
    spdlog::info("stopped: {} requests accepted, {} answered", counts.accepted, counts.answered);
    if (!all_served)
      spdlog::warn("not every request could be served within server.drain_timeout_ms");
    return all_served ? exit_fine : exit_run_time;
  }

  const common_options& common_;
  configuration config_;
  bool reload_wanted_ = false; ///< by a SIGHUP that came before the daemon was ready
  std::unique_ptr<pipeline> pipe_;
  std::optional<inference_server> models_; ///< after pipe_, before the doors that ask it
  std::unique_ptr<http_server> server_;
  std::unique_ptr<grpc_server> grpc_;   ///< null if server.grpc_enabled is false
  std::optional<event_printer> events_; ///< from when the door is open; after pipe_, which it reads
};

int run_start(const common_options& common) {
  hold_signals({SIGINT, SIGTERM, SIGHUP});
  spdlog::set_default_logger(spdlog::stderr_color_mt("engram"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v", spdlog::pattern_time_type::utc);
  auto config = load(common);
  if (!config) return report_usage_error(config.error());
  return daemon{common, for_daemon(std::move(*config))}.run();
}

} // namespace

void add_start_command(CLI::App& app, common_options& common, int& exit_code) {
  auto* command = app.add_subcommand(
      "start", "Serve the datasets of the store over HTTP and gRPC until a signal ends it");
  const auto flag = [&common](const char* key) {
    return [&common, key](const std::string& value) { common.flags.emplace_back(key, value); };
  };
  command->add_option_function<std::string>("--host", flag("server.host"), "Address to listen on")
      ->type_name("HOST");
  command
      ->add_option_function<std::string>("--port", flag("server.port"),
                                         "Port to listen on; 0: any free one")
      ->type_name("PORT");
  command
      ->add_option_function<std::string>("--grpc-port", flag("server.grpc_port"),
                                         "Port to listen on for gRPC; 0: any free one")
      ->type_name("PORT");
  command->footer(
      "Routes: GET /v1 lists them; reflection lists those of gRPC. SIGINT and SIGTERM: take "
      "nothing "
      "new, answer\n"
      "what was accepted, end; a second one, or one before it is ready, ends at once. SIGHUP: read "
      "the\n"
      "configuration again; refused whole if anything is wrong. Standard error is the log: what "
      "was "
      "loaded,\n"
      "lost, restored, restarted. ENGRAM_FAILPOINTS arms fault points (`engram faults list`). The\n"
      "configuration comes from "
      "--preset,\n"
      "--config, ENGRAM_ variables and --KEY VALUE; the later wins.\n\n"
      "Examples:\n"
      "  engram start\n"
      "  engram start --config engram.toml --port 0\n"
      "  engram start --gpu.devices sim:h100 --set batching.max_wait_ms=2\n"
      "  curl -d '{\"collection\":\"wordnet\",\"text\":\"guide dog\",\"k\":3}' "
      "localhost:8080/v1/search");
  command->callback([&common, &exit_code] { exit_code = run_start(common); });
}

} // namespace engram
