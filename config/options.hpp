#pragma once

/// Every knob of Engram, once, with its default, its unit and its range. The TOML key of a member
/// is its section and name: `gpu.thresholds.gpu_speedup_threshold`. `config/keys.hpp` binds keys to
/// members.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace engram {

/// [gpu]
struct gpu_options {
  bool enabled = true;                   ///< use GPUs at all
  std::uint32_t gpu_min_batch_size = 64; ///< smallest batch, in items, that may use a GPU; 1..1e6
  bool force_cpu_mode = false;           ///< never use a GPU, for debugging
  double vram_safety_margin = 0.8;       ///< fraction of a GPU's memory that may be used; 0.1..1
  /// CUDA ordinals ("0"), simulated GPUs ("sim:h100"), or the one entry "auto": every GPU found.
  std::vector<std::string> devices{"auto"};
  std::uint32_t streams = 4; ///< CUDA streams for each GPU worker; 1..32
  std::string isolation;     ///< "process", "none" or "": process in the daemon, none embedded

  /// [gpu.thresholds]
  struct thresholds_options {
    double gpu_speedup_threshold =
        1.5; ///< least predicted CPU time / GPU time to use a GPU; 1..100
    double gpu_success_rate_threshold = 0.95; ///< below it the GPU is disabled; 0..1
  } thresholds;

  /// [gpu.telemetry]
  struct telemetry_options {
    bool telemetry_enabled = true; ///< export metrics; the control loops run either way
    std::uint32_t performance_window_size = 100; ///< outcomes in the sliding window; 10..1e5
  } telemetry;

  /// [gpu.breaker]: how a disabled GPU is brought back.
  struct breaker_options {
    double cool_down_ms = 1000;       ///< first time in open; doubles until it stays well; 1..3.6e6
    double max_cool_down_ms = 60'000; ///< where the doubling ends; 1..3.6e6
    double cool_down_jitter = 0.1;    ///< each cool-down is changed by up to this fraction; 0..1
    double half_open_timeout_ms =
        5'000; ///< longest time in half_open before it is open again; 1..3.6e6
    std::uint32_t probes_to_close = 5; ///< good shadow runs in a row that close it; 1..1000
  } breaker;

  /// [gpu.host]: the child processes of isolation = "process".
  struct host_options {
    std::string
        program; ///< the `engram` binary to run them with; "": this process's own, if it is one
    bool standby = true; ///< keep a second runner ready
    double hang_timeout_ms =
        1'000;                   ///< a runner that ends no batch for so long is killed; 10..3.6e6
    double late_timeout_ms = 20; ///< with a standby ready, one whose oldest batch is later than
                                 ///< this and than 4 times its prediction is replaced; 0.1..3.6e6
    double start_timeout_ms = 20'000; ///< one that is not ready after so long is killed; 10..3.6e6
    std::uint32_t crash_intensity =
        10; ///< deaths within the period before the GPU has to wait for its breaker; 1..1e6
    double crash_period_ms = 10'000; ///< 1..3.6e6
    double respawn_backoff_ms = 10;  ///< wait before the second start in a row; doubles; 0..60000
    double max_respawn_backoff_ms = 2'000; ///< 0..3.6e6
  } host;

  /// [gpu.verification]: how a GPU that computes wrongly is found.
  struct verification_options {
    double check_share =
        0.001; ///< share of a GPU's answers that the CPU checks after answering; 0..1
    double canary_interval_ms =
        1'000; ///< an idle GPU is given a known-answer batch so often; 0: never; 0..3.6e6
    std::string evidence_directory; ///< where wrong answers are written; "": nowhere
  } verification;
};

/// [batching]
struct batching_options {
  double max_wait_ms = 10;               ///< longest a request waits for company; 0..1000
  std::uint32_t target_batch_size = 128; ///< a window closes at this many items; 1..65536
  bool adaptive = false; ///< shrink the window while the latency objective is at risk
};

/// [routing]: when a running batch counts as hung, and how often devices are compared.
struct routing_options {
  double time_limit_factor = 4;    ///< a batch may take this many times its predicted time; 1..1000
  double time_limit_floor_ms = 50; ///< but never less than this; 1..60000
  double shadow_share = 0.005;     ///< share of batches repeated on the other device; 0..0.5
};

/// [admission]
struct admission_options {
  std::uint32_t max_in_flight =
      65'536; ///< accepted and unanswered requests; past it: overloaded; 1..1e7
  double default_deadline_ms = 1'000; ///< for requests that name none; 1..3.6e6
};

/// [cpu]
struct cpu_options {
  std::uint32_t threads = 0; ///< threads of the CPU worker's arena; 0: one for each core; 0..1024
};

/// [runtime]
struct runtime_options {
  bool pin_threads = false; ///< pin the actor threads to cores; for a process that owns its machine
  std::uint32_t scheduler_threads = 1; ///< threads that run the control actors; 1..16
};

/// [supervisor]: how often an actor may die.
struct supervisor_options {
  std::uint32_t restart_intensity =
      10; ///< restarts of one actor within the period before giving up; 1..1e6
  double restart_period_ms = 10'000; ///< 1..3.6e6
  double backoff_ms = 1;             ///< wait before the second restart in a row; doubles; 0..60000
  double max_backoff_ms = 1'000;     ///< 0..60000
};

/// [faults]: deliberate trouble, `site=[p%][cnt*]task(arg)` with `->` chains.
struct fault_options {
  std::vector<std::string>
      points;                 ///< armed at start, for example "gpu0.launch=5%return(transient)"
  bool admin_enabled = false; ///< PUT /v1/admin/faults may arm them
};

/// What a pipeline needs to start.
struct pipeline_options {
  gpu_options gpu;
  batching_options batching;
  routing_options routing;
  admission_options admission;
  cpu_options cpu;
  runtime_options runtime;
  supervisor_options supervisor;
  fault_options faults;
};

/// [server]: the daemon's doors, and who may come in.
struct server_options {
  std::string host = "127.0.0.1";           ///< address to listen on
  std::uint16_t port = 8080;                ///< 0: any free port; 0..65535
  bool grpc_enabled = true;                 ///< listen for gRPC as well
  std::uint16_t grpc_port = 8081;           ///< 0: any free port; 0..65535
  std::uint32_t threads = 64;               ///< connections served at once; 1..1024
  std::uint64_t max_body_bytes = 64u << 20; ///< larger bodies are refused with 413; 1024..2^32
  bool admin_api = true; ///< serve the admin API; without tokens on a loopback address only
  double drain_timeout_ms = 10'000; ///< how long a stop waits for accepted requests; 0..3.6e6
  std::string tls_certificate;      ///< PEM file: the certificate and those above it; "": no TLS
  std::string tls_key;              ///< PEM file: its private key
  std::string tls_client_ca;        ///< PEM file: whoever has no certificate of these is refused
  std::string tokens_file; ///< who may do what: service/access/token_file.hpp; "": everybody
  bool insecure = false;   ///< serve other machines without TLS, or without asking who they are
  double client_requests_per_second = 0; ///< of one client in the long run; 0: any; 0..1e6
  std::uint32_t client_burst = 0;        ///< at once; 0: those of one second; 0..1e6
  std::uint32_t client_connections = 0;  ///< of one address; 0: 3/4 of `threads` if others wait;
                                         ///< 0..65535
  double slow_client_ms = 5'000; ///< a client that is slow for so long is cut off; 10..3.6e6
};

/// [oip]: the Open Inference Protocol on both doors.
struct oip_options {
  bool shared_memory = false;                   ///< clients may register system shared memory
  std::string shared_memory_prefix = "/engram"; ///< what the keys of such memory begin with
};

/// [datasets]: what the daemon loads at start.
struct dataset_options {
  std::string directory; ///< the dataset store; "": $ENGRAM_DATA_DIR, else ~/.local/share/engram
  std::vector<std::string> load; ///< names, or "name@version"; empty: every dataset of the store
};

/// The whole configuration file.
struct options {
  pipeline_options pipeline;
  server_options server;
  oip_options oip;
  dataset_options datasets;
};

} // namespace engram
