#include "engram/app/daemon.hpp"

#include "engram/app/daemon_log.hpp"
#include "engram/app/signals.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/service/dashboard/routes.hpp"
#include "engram/service/http/inference_routes.hpp"
#include "engram/service/http/routes.hpp"
#include "engram/service/json_writer.hpp"
#include "engram/service/listen_address.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace engram {

namespace {

using std::chrono::milliseconds;

/// What answers take to be written once they are there.
constexpr milliseconds writing_patience{2'000};
/// A certificate that is valid for less is worth a warning.
constexpr std::chrono::days renewal_time{14};
/// So long the supervisor may take to show that it lives.
constexpr milliseconds pulse_patience{500};

milliseconds whole_milliseconds(double ms) {
  return milliseconds{static_cast<std::int64_t>(ms)};
}

std::string names(const std::vector<device_health>& devices) {
  std::string out;
  for (const auto& device : devices) {
    out += (out.empty() ? "" : ", ") + device.info.name;
    if (device.info.kind != device_kind::cpu) out += " (" + device.info.model + ")";
  }
  return out;
}

std::string counted_datasets(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " dataset" : " datasets");
}

const char* name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

/// Returns the settings of $ENGRAM_FAILPOINTS.
std::vector<std::string> given_faults() {
  const char* variable = std::getenv("ENGRAM_FAILPOINTS");
  return split_fault_settings(variable ? variable : "");
}

error of_failpoints(const error& why) {
  return {why.code, "ENGRAM_FAILPOINTS: " + why.message};
}

} // namespace

int daemon::run() {
  if (const auto failed = call_doorkeeper()) return *failed;
  if (const auto failed = open_pipeline()) return *failed;
  if (const auto failed = open_doors()) return *failed;
  if (const auto failed = load()) return *failed;
  give_readiness();
  events_->catch_up();
  if (options_.pipeline.faults.admin_enabled)
    spdlog::warn("faults.admin_enabled: whoever reaches {} can break this pipeline on purpose",
                 server_->address());
  is_ready_ = true;
  manager_.say_ready(what_is_served());
  announce();
  return steer();
}

// -- beginning
// -------------------------------------------------------------------------------------------

/// Before anything that takes time: what is wrong with it is the configuration's fault.
std::optional<int> daemon::call_doorkeeper() {
  const auto now = std::chrono::system_clock::now();
  auto called = doorkeeper::make(options_.server, now);
  if (!called) return report_start_error(called.error());
  keeper_ = std::move(*called);
  if (const auto* tls = keeper_->tls(); tls && tls->expires_at - now < renewal_time) {
    const auto left = std::chrono::ceil<std::chrono::days>(tls->expires_at - now);
    spdlog::warn("server.tls_certificate: the certificate is valid for {} more days: renew it and "
                 "start again",
                 left.count());
  }
  if (options_.server.insecure && !is_loopback(options_.server.host))
    spdlog::warn("server.insecure: other machines that reach {} are served without TLS or without "
                 "being asked who they are",
                 options_.server.host);
  return std::nullopt;
}

std::optional<int> daemon::open_pipeline() {
  manager_.say("Opening the devices");
  std::optional<result<std::unique_ptr<pipeline>>> started;
  run_watchfully([&] { started = pipeline::start(options_.pipeline); },
                 [this](int signal) { hear_while_starting(signal, "the devices were opened"); });
  if (!*started) return report_start_error(started->error());
  pipe_ = std::move(**started);
  for (const auto& setting : given_faults()) // before the datasets are loaded rather than after it
    if (const auto possible = pipe_->check_fault(setting); !possible)
      return report_usage_error(of_failpoints(possible.error()));
  // Loading measures the devices, and its figures should be those of good days.
  pipe_->disarm_faults();
  return std::nullopt;
}

std::optional<int> daemon::open_doors() {
  models_.emplace(*pipe_, options_.oip, options_.server.max_body_bytes);
  actions_.emplace(*pipe_, controls());
  dashboard_.emplace(*pipe_);
  auto listening = http_server::start(
      *pipe_, options_.server, *keeper_, [this](http_router& router, http_door& door) {
        add_inference_routes(router, door, *models_, options_.server.max_body_bytes);
        add_admin_routes(router, *pipe_, *actions_);
        add_dashboard_routes(router, *dashboard_);
      });
  if (!listening) return report_start_error(listening.error());
  server_ = std::move(*listening);
  if (options_.server.grpc_enabled) {
    auto grpc = grpc_server::start(*pipe_, *models_, options_.server, *keeper_, &*actions_);
    if (!grpc) return report_start_error(grpc.error());
    grpc_ = std::move(*grpc);
  }
  actions_->open();
  return std::nullopt;
}

std::optional<int> daemon::load() {
  events_.emplace(*pipe_);
  result<void> loaded;
  run_watchfully([&] { loaded = load_datasets(); },
                 [this](int signal) { hear_while_starting(signal, "the datasets were loaded"); });
  if (!loaded) return report_trouble(loaded.error());
  if (const auto armed = pipe_->arm_faults(options_.pipeline.faults.points); !armed)
    return report_usage_error(armed.error());
  if (const auto armed = pipe_->arm_faults(given_faults()); !armed)
    return report_usage_error(of_failpoints(armed.error()));
  return std::nullopt;
}

result<void> daemon::load_datasets() {
  const dataset_store store{store_directory(options_)};
  std::vector<std::string> wanted = options_.datasets.load;
  if (wanted.empty()) wanted = store.names();
  if (wanted.empty())
    spdlog::warn("no datasets in {}: only similarity can be asked for", store.directory().string());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    manager_.say("Loading " + wanted[i] + " (" + std::to_string(i + 1) + " of " +
                 std::to_string(wanted.size()) + ")");
    const auto which = parse_dataset_reference(wanted[i]);
    if (!which) return which.error();
    const auto what = store.describe(which->name, which->version);
    if (!what) return cannot_load(*which, what.error());
    const auto begin = std::chrono::steady_clock::now();
    const auto data = publish_stored(*pipe_, store, *which);
    if (!data) return cannot_load(*which, data.error());
    spdlog::info("loaded {} version {}: {} in {:.2f} s", what->name, what->version, shape_of(*what),
                 to_seconds(std::chrono::steady_clock::now() - begin));
  }
  return {};
}

admin_controls daemon::controls() {
  admin_controls out;
  if (!options_.server.admin_api)
    out.closed = "server.admin_api is false";
  else if (!is_loopback(options_.server.host) && options_.server.tokens_file.empty())
    out.closed =
        "server.host is not a loopback address, and without tokens everybody who reaches it "
        "could steer it";
  out.reload = [this] { return reload(); };
  out.drain = [this] { want_drain(); };
  out.publish = [this](const std::string& reference) -> result<dataset_ptr> {
    const auto which = parse_dataset_reference(reference);
    if (!which) return which.error();
    const dataset_store store{store_directory(options_)};
    auto data = publish_stored(*pipe_, store, *which);
    if (!data) return cannot_load(*which, data.error());
    return data;
  };
  out.log_level = &log_level;
  out.set_log_level = &set_log_level;
  out.audit = &log_always;
  return out;
}

void daemon::announce() const {
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
    const auto grpc = grpc_ ? ", gRPC on port " + std::to_string(grpc_->port()) : std::string{};
    std::printf("engram is ready on %s%s (%s; devices: %s)\n", server_->address().c_str(),
                grpc.c_str(), counted_datasets(pipe_->datasets().size()).c_str(),
                names(devices).c_str());
  }
  std::fflush(stdout);
}

/// Ends the process at once: what it has begun is nobody's yet, and its children die with it.
void daemon::hear_while_starting(int signal, std::string_view unfinished) {
  if (signal == SIGHUP) {
    reload_wanted_ = true;
    return;
  }
  if (events_) events_->catch_up();
  spdlog::info("{}: ending before {}", name_of(signal), unfinished);
  const bool all_served = !pipe_ || pipe_->health().in_flight == 0;
  std::_Exit(all_served ? exit_fine : exit_run_time);
}

// -- running
// ---------------------------------------------------------------------------------------------

/// Waits until a signal or the admin API ends the daemon, or nobody can restart what fails any
/// more.
int daemon::steer() {
  if (reload_wanted_) reload_on_signal();
  for (;;) {
    const int signal = wait_for_signal(milliseconds{100});
    if (signal == SIGHUP) {
      reload_on_signal();
    } else if (signal != 0) {
      return drain(std::string{name_of(signal)} + ": ");
    } else if (drain_wanted_) {
      return drain("admin API: ");
    } else if (!pipe_->health().supervised) {
      return end_unsupervised();
    }
    beat_if_alive();
  }
}

void daemon::reload_on_signal() {
  const auto changed = reload();
  if (!changed) {
    spdlog::error("SIGHUP: the configuration stays as it was: {}", changed.error().message);
    return;
  }
  for (const auto& each : *changed)
    spdlog::info("SIGHUP: {} = {} (was {})", each.key, each.after, each.before);
  spdlog::info("SIGHUP: the configuration is in effect");
}

result<std::vector<key_change>> daemon::reload() {
  const bool is_ready = is_ready_; // who reloads while it still loads is not ready after it
  if (is_ready) manager_.say_reloading();
  auto changed = live_.reload(*pipe_, *keeper_);
  if (is_ready) manager_.say_ready(what_is_served());
  return changed;
}

void daemon::want_drain() {
  const std::lock_guard lock{readiness_mutex_};
  drain_wanted_ = true;
  hold_readiness("draining"); // at once; the rest is up to the main thread
}

/// Says at the doors that all is made, unless somebody wants to drain already.
void daemon::give_readiness() {
  const std::lock_guard lock{readiness_mutex_};
  if (!drain_wanted_) hold_readiness({});
}

void daemon::hold_readiness(const std::string& state) {
  dashboard_->hold_readiness(state);
  server_->hold_readiness(state);
  if (grpc_) grpc_->hold_readiness(!state.empty());
}

/// A watchdog hears nothing while the actors hang, also where nothing else tells of it.
void daemon::beat_if_alive() {
  if (manager_.is_beat_due() && pipe_->health().live && pipe_->responds(pulse_patience))
    manager_.beat();
}

std::string daemon::what_is_served() const {
  const auto grpc = grpc_ ? ", gRPC on port " + std::to_string(grpc_->port()) : std::string{};
  return "Serving " + counted_datasets(pipe_->datasets().size()) + " on " + server_->address() +
         grpc;
}

// -- ending
// ----------------------------------------------------------------------------------------------

/// Readiness goes first, so that whoever balances load looks elsewhere; then the pipeline refuses
/// what is new and answers what it has; then the answers are written.
int daemon::drain(std::string_view why) {
  const auto patience = whole_milliseconds(options_.server.drain_timeout_ms);
  const auto in_flight = pipe_->health().in_flight;
  hold_readiness("draining");
  manager_.say_stopping("Draining " + std::to_string(in_flight) + " requests",
                        patience + 4 * writing_patience);
  spdlog::info("{}draining {} requests; a second signal ends at once", why, in_flight);
  bool all_served = false;
  const auto stop = [&] {
    all_served = pipe_->stop(patience);
    all_served = server_->stop(writing_patience) && all_served;
    if (grpc_) all_served = grpc_->stop(writing_patience) && all_served;
  };
  const auto on_signal = [this](int signal) {
    if (signal == SIGHUP) return;
    events_->catch_up();
    spdlog::warn("asked again: ending at once with {} requests unanswered",
                 pipe_->health().in_flight);
    std::_Exit(exit_run_time);
  };
  stop_within(patience + 3 * writing_patience, stop, on_signal);
  const auto counts = pipe_->counts();
  events_->catch_up();
  spdlog::info("stopped: {} requests accepted, {} answered", counts.accepted, counts.answered);
  if (!all_served) spdlog::warn("not every request could be served within server.drain_timeout_ms");
  return all_served ? exit_fine : exit_run_time;
}

/// Whoever watches the process starts another one; a pipeline without a supervisor would answer
/// with errors only, for ever.
int daemon::end_unsupervised() {
  hold_readiness("unavailable");
  manager_.say_stopping("The supervisor of the actors died", 3 * writing_patience);
  const int code = report_trouble(
      {ec::unavailable, "the supervisor of the actors died: what was pending was answered with "
                        "errors, and the process ends; start it again"});
  const auto stop = [&] {
    server_->stop(writing_patience); // the answers are written
    if (grpc_) grpc_->stop(writing_patience);
    pipe_->stop(milliseconds{0});
  };
  stop_within(3 * writing_patience, stop, [code](int signal) {
    if (signal != SIGHUP) std::_Exit(code);
  });
  return code;
}

/// Runs `stop`, and ends the process at once should that take longer than `patience`: the doors
/// wait for what runs in them, and a publication cannot be interrupted. Nothing is lost with it but
/// its own answer: requests had their time, and a publication only reads from the disk.
void daemon::stop_within(milliseconds patience, const std::function<void()>& stop,
                         const std::function<void(int)>& on_signal) {
  const auto due = std::chrono::steady_clock::now() + patience;
  run_watchfully(stop, on_signal, [&] {
    // The end has this limit; the watchdog is not to cut it short.
    if (manager_.is_beat_due()) manager_.beat();
    if (std::chrono::steady_clock::now() < due) return;
    events_->catch_up();
    spdlog::warn("what still runs, such as a publication, took too long: ending without it");
    std::_Exit(exit_run_time);
  });
}

/// Says why the daemon ends, below what led to it.
int daemon::report_trouble(const error& why) {
  events_->catch_up();
  return report_run_time_error(why);
}

} // namespace engram
