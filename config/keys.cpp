#include "engram/config/keys.hpp"

#include "engram/config/rules.hpp"
#include "engram/config/values.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace engram::config {
namespace {

template <class Member>
constexpr kind kind_of() {
  if constexpr (std::is_same_v<Member, bool>)
    return kind::boolean;
  else if constexpr (std::is_integral_v<Member>)
    return kind::integer;
  else if constexpr (std::is_same_v<Member, double>)
    return kind::number;
  else if constexpr (std::is_same_v<Member, std::string>)
    return kind::string;
  else
    return kind::list;
}

template <class Member>
value to_value(const Member& from) {
  if constexpr (kind_of<Member>() == kind::integer) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    return std::in_range<std::int64_t>(from) ? static_cast<std::int64_t>(from) : most;
  } else {
    return from;
  }
}

/// Binds the member that `access` names: `[](auto& o) -> auto& { return o.pipeline.gpu.enabled; }`.
template <class Access>
constexpr member at(Access) {
  using type = std::remove_reference_t<std::invoke_result_t<Access, options&>>;
  return {kind_of<type>(), [](const options& from) { return to_value(Access{}(from)); },
          [](options& to, const value& what) {
            if constexpr (kind_of<type>() == kind::integer)
              Access{}(to) = static_cast<type>(std::get<std::int64_t>(what));
            else
              Access{}(to) = std::get<type>(what);
          }};
}

constexpr limits range(double lowest, double highest) {
  return {.lowest = lowest, .highest = highest};
}
constexpr limits truth{};
constexpr limits text(std::string_view words, text_rule rule) {
  return {.words = words, .rule = rule};
}

constexpr bool live = true;
constexpr bool restart = false;
constexpr double an_hour_in_ms = 3.6e6;
constexpr double a_minute_in_ms = 60'000;

// clang-format off
#define ENGRAM_MEMBER(path) at([](auto& o) -> auto& { return o.path; })

std::vector<key> gpu_keys() {
  return {
    {"gpu", "enabled", ENGRAM_MEMBER(pipeline.gpu.enabled), truth,
     "use GPUs at all", restart},
    {"gpu", "gpu_min_batch_size", ENGRAM_MEMBER(pipeline.gpu.gpu_min_batch_size), range(1, 1e6),
     "smallest batch, in items, that may use a GPU", live, {"min_batch_size"}},
    {"gpu", "force_cpu_mode", ENGRAM_MEMBER(pipeline.gpu.force_cpu_mode), truth,
     "never use a GPU, for debugging", live},
    {"gpu", "vram_safety_margin", ENGRAM_MEMBER(pipeline.gpu.vram_safety_margin), range(0.1, 1),
     "fraction of a GPU's memory that may be used; less is safer", restart},
    {"gpu", "devices", ENGRAM_MEMBER(pipeline.gpu.devices),
     {.words = "\"auto\", or CUDA ordinals (0) and simulated GPUs (\"sim:rtx3060\", \"sim:t4\", "
               "\"sim:a100\", \"sim:h100\")", .rule = devices_misfit, .takes_integers = true},
     "the GPUs to use; \"auto\": every GPU found", restart},
    {"gpu", "streams", ENGRAM_MEMBER(pipeline.gpu.streams), range(1, 32),
     "CUDA streams for each GPU worker", restart},
    {"gpu", "isolation", ENGRAM_MEMBER(pipeline.gpu.isolation),
     text("\"process\", \"none\", or \"\"", isolation_misfit),
     "run CUDA in a supervised child process; \"\": process in the daemon, none embedded", restart},

    {"gpu.thresholds", "gpu_speedup_threshold",
     ENGRAM_MEMBER(pipeline.gpu.thresholds.gpu_speedup_threshold), range(1, 100),
     "least predicted CPU time / GPU time to use a GPU", live, {"speedup_threshold"}},
    {"gpu.thresholds", "gpu_success_rate_threshold",
     ENGRAM_MEMBER(pipeline.gpu.thresholds.gpu_success_rate_threshold), range(0, 1),
     "success rate below which a GPU is disabled", live, {"success_rate_threshold"}},

    {"gpu.telemetry", "telemetry_enabled", ENGRAM_MEMBER(pipeline.gpu.telemetry.telemetry_enabled), truth,
     "export metrics; the control loops run either way", restart, {"enabled"}},
    {"gpu.telemetry", "performance_window_size",
     ENGRAM_MEMBER(pipeline.gpu.telemetry.performance_window_size), range(10, 1e5),
     "outcomes in the sliding window of a GPU", live, {"performance_window"}},

    {"gpu.breaker", "cool_down_ms", ENGRAM_MEMBER(pipeline.gpu.breaker.cool_down_ms), range(1, an_hour_in_ms),
     "first wait of a disabled GPU, in ms; doubles until it stays well", live},
    {"gpu.breaker", "max_cool_down_ms", ENGRAM_MEMBER(pipeline.gpu.breaker.max_cool_down_ms), range(1, an_hour_in_ms),
     "longest wait of a disabled GPU, in ms", live},
    {"gpu.breaker", "cool_down_jitter", ENGRAM_MEMBER(pipeline.gpu.breaker.cool_down_jitter), range(0, 1),
     "each wait is changed by up to this fraction", live},
    {"gpu.breaker", "half_open_timeout_ms", ENGRAM_MEMBER(pipeline.gpu.breaker.half_open_timeout_ms), range(1, an_hour_in_ms),
     "longest time in half_open, in ms, before the GPU is disabled again", live},
    {"gpu.breaker", "probes_to_close", ENGRAM_MEMBER(pipeline.gpu.breaker.probes_to_close), range(1, 1000),
     "good shadow runs in a row that bring a GPU back", live},

    {"gpu.host", "program", ENGRAM_MEMBER(pipeline.gpu.host.program), text("a path, or \"\"", nullptr),
     "the engram binary that isolation = \"process\" runs; \"\": the daemon's own", restart},
    {"gpu.host", "standby", ENGRAM_MEMBER(pipeline.gpu.host.standby), truth,
     "keep a second runner ready to take over", restart},
    {"gpu.host", "hang_timeout_ms", ENGRAM_MEMBER(pipeline.gpu.host.hang_timeout_ms), range(10, an_hour_in_ms),
     "a runner that ends no batch for so long, in ms, is killed", restart},
    {"gpu.host", "late_timeout_ms", ENGRAM_MEMBER(pipeline.gpu.host.late_timeout_ms), range(0.1, an_hour_in_ms),
     "with a standby ready, a runner whose oldest batch takes longer than this, in ms, and than 4 times what was predicted for all of its batches is replaced", restart},
    {"gpu.host", "start_timeout_ms", ENGRAM_MEMBER(pipeline.gpu.host.start_timeout_ms), range(10, an_hour_in_ms),
     "a child process that is not ready after so long, in ms, is killed", restart},
    {"gpu.host", "crash_intensity", ENGRAM_MEMBER(pipeline.gpu.host.crash_intensity), range(1, 1e6),
     "deaths of runners within the period before the GPU has to wait for its breaker", restart},
    {"gpu.host", "crash_period_ms", ENGRAM_MEMBER(pipeline.gpu.host.crash_period_ms), range(1, an_hour_in_ms),
     "the period of crash_intensity, in ms", restart},
    {"gpu.host", "respawn_backoff_ms", ENGRAM_MEMBER(pipeline.gpu.host.respawn_backoff_ms), range(0, a_minute_in_ms),
     "wait before the second start in a row of a child process, in ms; doubles", restart},
    {"gpu.host", "max_respawn_backoff_ms", ENGRAM_MEMBER(pipeline.gpu.host.max_respawn_backoff_ms), range(0, an_hour_in_ms),
     "longest wait before a start, in ms", restart},

    {"gpu.verification", "check_share", ENGRAM_MEMBER(pipeline.gpu.verification.check_share), range(0, 1),
     "share of a GPU's answers that the CPU checks after answering", live},
    {"gpu.verification", "canary_interval_ms", ENGRAM_MEMBER(pipeline.gpu.verification.canary_interval_ms), range(0, an_hour_in_ms),
     "an idle GPU is given a known-answer batch so often, in ms; 0: never", live},
    {"gpu.verification", "evidence_directory", ENGRAM_MEMBER(pipeline.gpu.verification.evidence_directory), text("a path, or \"\"", nullptr),
     "where batches with wrong answers are written; \"\": nowhere", live},
  };
}

std::vector<key> control_keys() {
  return {
    {"batching", "max_wait_ms", ENGRAM_MEMBER(pipeline.batching.max_wait_ms), range(0, 1000),
     "longest a request waits for company, in ms; fractions allowed", live},
    {"batching", "target_batch_size", ENGRAM_MEMBER(pipeline.batching.target_batch_size), range(1, 65'536),
     "a window closes at this many items", live},
    {"batching", "adaptive", ENGRAM_MEMBER(pipeline.batching.adaptive), truth,
     "shrink the window while the latency objective is at risk", live},

    {"routing", "time_limit_factor", ENGRAM_MEMBER(pipeline.routing.time_limit_factor), range(1, 1000),
     "a batch may take this many times its predicted time before it counts as hung", live},
    {"routing", "time_limit_floor_ms", ENGRAM_MEMBER(pipeline.routing.time_limit_floor_ms), range(1, a_minute_in_ms),
     "least time limit of a batch, in ms", live},
    {"routing", "shadow_share", ENGRAM_MEMBER(pipeline.routing.shadow_share), range(0, 0.5),
     "share of batches repeated on the other device to keep predictions fresh", live},

    {"admission", "max_in_flight", ENGRAM_MEMBER(pipeline.admission.max_in_flight), range(1, 1e7),
     "accepted and unanswered requests; past it: overloaded", live},
    {"admission", "default_deadline_ms", ENGRAM_MEMBER(pipeline.admission.default_deadline_ms), range(1, an_hour_in_ms),
     "deadline, in ms, of requests that name none", live},

    {"cpu", "threads", ENGRAM_MEMBER(pipeline.cpu.threads), range(0, 1024),
     "threads that compute on the CPU; 0: one for each core", restart},

    {"runtime", "pin_threads", ENGRAM_MEMBER(pipeline.runtime.pin_threads), truth,
     "pin the control threads to cores, for a process that owns its machine", restart},
    {"runtime", "scheduler_threads", ENGRAM_MEMBER(pipeline.runtime.scheduler_threads), range(1, 16),
     "threads that run the control actors", restart},

    {"supervisor", "restart_intensity", ENGRAM_MEMBER(pipeline.supervisor.restart_intensity), range(1, 1e6),
     "restarts of one actor within the period before giving up", live},
    {"supervisor", "restart_period_ms", ENGRAM_MEMBER(pipeline.supervisor.restart_period_ms), range(1, an_hour_in_ms),
     "the period in which restarts are counted, in ms", live},
    {"supervisor", "backoff_ms", ENGRAM_MEMBER(pipeline.supervisor.backoff_ms), range(0, a_minute_in_ms),
     "wait before the second restart in a row, in ms; doubles", live},
    {"supervisor", "max_backoff_ms", ENGRAM_MEMBER(pipeline.supervisor.max_backoff_ms), range(0, a_minute_in_ms),
     "longest wait before a restart, in ms", live},

    {"faults", "points", ENGRAM_MEMBER(pipeline.faults.points),
     text("a list of SITE=TASK, such as \"gpu0.launch=5%return(transient)\"", fault_points_misfit),
     "deliberate trouble, armed at start", restart},
    {"faults", "admin_enabled", ENGRAM_MEMBER(pipeline.faults.admin_enabled), truth,
     "PUT /v1/admin/faults may arm fault points", restart},
  };
}

std::vector<key> daemon_keys() {
  return {
    {"server", "host", ENGRAM_MEMBER(server.host), text("a host name or an address", host_misfit),
     "address to listen on", restart},
    {"server", "port", ENGRAM_MEMBER(server.port), range(0, 65'535),
     "port to listen on; 0: any free one", restart},
    {"server", "grpc_enabled", ENGRAM_MEMBER(server.grpc_enabled), truth,
     "listen for gRPC as well", restart},
    {"server", "grpc_port", ENGRAM_MEMBER(server.grpc_port), range(0, 65'535),
     "port to listen on for gRPC; 0: any free one", restart},
    {"server", "threads", ENGRAM_MEMBER(server.threads), range(1, 1024),
     "connections served at once", restart},
    {"server", "max_body_bytes", ENGRAM_MEMBER(server.max_body_bytes), range(1024, 4'294'967'296),
     "larger request bodies are refused", restart},
    {"server", "admin_api", ENGRAM_MEMBER(server.admin_api), truth,
     "serve the admin API; without tokens on a loopback address only", restart},
    {"server", "drain_timeout_ms", ENGRAM_MEMBER(server.drain_timeout_ms), range(0, an_hour_in_ms),
     "how long a stop waits for accepted requests, in ms", restart},
    {"server", "tls_certificate", ENGRAM_MEMBER(server.tls_certificate), text("a path, or \"\"", nullptr),
     "PEM file with the certificate of both doors, and those above it; \"\": no TLS", restart},
    {"server", "tls_key", ENGRAM_MEMBER(server.tls_key), text("a path, or \"\"", nullptr),
     "PEM file with its private key", restart},
    {"server", "tls_client_ca", ENGRAM_MEMBER(server.tls_client_ca), text("a path, or \"\"", nullptr),
     "PEM file with the authorities of clients' certificates; \"\": none is asked for", restart},
    {"server", "tokens_file", ENGRAM_MEMBER(server.tokens_file), text("a path, or \"\"", nullptr),
     "who may do what: a line of ROLE TOKEN NAME each; \"\": no token is asked for", live},
    {"server", "insecure", ENGRAM_MEMBER(server.insecure), truth,
     "serve other machines without TLS, or without asking who they are", restart},
    {"server", "client_requests_per_second", ENGRAM_MEMBER(server.client_requests_per_second), range(0, 1e6),
     "requests that one client may send in the long run; 0: any number", live},
    {"server", "client_burst", ENGRAM_MEMBER(server.client_burst), range(0, 1e6),
     "requests that one client may send at once; 0: those of one second", live},
    {"server", "client_connections", ENGRAM_MEMBER(server.client_connections), range(0, 65'535),
     "HTTP connections of one address; 0: any number until others wait, then 3/4 of server.threads", restart},
    {"server", "slow_client_ms", ENGRAM_MEMBER(server.slow_client_ms), range(10, an_hour_in_ms),
     "longest time, in ms, of an HTTP client for a request's head, for 16 KiB of its body, for taking 64 KiB of the answer and, for each MiB of it, all", restart},

    {"oip", "shared_memory", ENGRAM_MEMBER(oip.shared_memory), truth,
     "clients of the Open Inference Protocol may register system shared memory", restart},
    {"oip", "shared_memory_prefix", ENGRAM_MEMBER(oip.shared_memory_prefix),
     text("a '/' and what may follow it", shared_memory_prefix_misfit),
     "what the keys of such memory begin with", restart},

    {"datasets", "directory", ENGRAM_MEMBER(datasets.directory), text("a path, or \"\"", nullptr),
     "the dataset store; \"\": $ENGRAM_DATA_DIR, else ~/.local/share/engram", restart},
    {"datasets", "load", ENGRAM_MEMBER(datasets.load),
     text("a list of NAME or NAME@VERSION", datasets_misfit),
     "datasets to load at start; empty: every dataset of the store", restart},
  };
}

#undef ENGRAM_MEMBER
// clang-format on

std::vector<key> joined_keys() {
  auto all = gpu_keys();
  for (auto part : {control_keys(), daemon_keys()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

bool in_range(double what, const limits& allowed) {
  return what >= allowed.lowest && what <= allowed.highest; // false for a NaN
}

} // namespace

std::string key::path() const {
  return std::string{section} + '.' + std::string{name};
}

const std::vector<key>& keys() {
  static const auto all = joined_keys();
  return all;
}

const key* find_key(std::string_view path) {
  const auto found = std::find_if(keys().begin(), keys().end(),
                                  [&](const key& each) { return each.path() == path; });
  return found == keys().end() ? nullptr : &*found;
}

bool is_section(std::string_view path) {
  return std::any_of(keys().begin(), keys().end(), [&](const key& each) {
    return each.section == path || each.section.starts_with(std::string{path} + '.');
  });
}

std::optional<std::string> misfit(const key& which, const value& what) {
  const auto& allowed = which.allowed;
  const auto out_of_range = [&](double number) -> std::optional<std::string> {
    if (in_range(number, allowed)) return {};
    return "is out of range";
  };
  switch (which.bound.type) {
  case kind::boolean:
    return {};
  case kind::integer:
    return out_of_range(static_cast<double>(std::get<std::int64_t>(what)));
  case kind::number:
    return out_of_range(std::get<double>(what));
  case kind::string:
    return allowed.rule ? allowed.rule({std::get<std::string>(what)}) : std::nullopt;
  case kind::list:
    return allowed.rule(std::get<std::vector<std::string>>(what));
  }
  return {};
}

std::string allowed_text(const key& which) {
  switch (which.bound.type) {
  case kind::boolean:
    return "true, false";
  case kind::integer:
  case kind::number:
    return plain(which.allowed.lowest) + ".." + plain(which.allowed.highest);
  default:
    return std::string{which.allowed.words};
  }
}

const std::vector<ordered_pair>& ordered_pairs() {
  static const std::vector<ordered_pair> all{
      {"gpu.breaker.cool_down_ms", "gpu.breaker.max_cool_down_ms"},
      {"gpu.host.respawn_backoff_ms", "gpu.host.max_respawn_backoff_ms"},
      {"supervisor.backoff_ms", "supervisor.max_backoff_ms"}};
  return all;
}

std::optional<std::string> disorder(const ordered_pair& pair, const options& values) {
  const auto lower = find_key(pair.lower)->bound.get(values);
  const auto upper = find_key(pair.upper)->bound.get(values);
  if (lower <= upper) return {};
  return std::string{pair.lower} + " = " + to_text(lower) + " is above " + std::string{pair.upper} +
         " = " + to_text(upper) + "; lower the one or raise the other";
}

} // namespace engram::config
