// What does a GPU that dies at work cost the callers, and how soon does it serve again?

#include "engram/bench/gpu/bench_devices.hpp"
#include "engram/bench/gpu/fault_kind.hpp"
#include "engram/bench/gpu/fault_row.hpp"
#include "engram/bench/gpu/load_options.hpp"
#include "engram/bench/gpu/random_data.hpp"
#include "engram/bench/gpu/recovery_report.hpp"
#include "engram/bench/gpu/run_header.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace engram;
using namespace engram::bench;

constexpr int exit_fine = 0;
constexpr int exit_bad = 1;                ///< a bound was missed, or a request
constexpr int exit_usage = 2;              ///< bad input, or no such GPU
constexpr std::uint32_t most_queries = 64; ///< different ones
constexpr std::uint64_t data_seed = 1;

struct command_line {
  recovery_settings settings;
  std::string faults;
  std::string json_file;

  bool simulated() const { return settings.gpu.starts_with("sim:"); }
};

int refuse(const error& why) {
  std::fprintf(stderr, "gpu_fault_recovery: %s\n", why.message.c_str());
  return exit_usage;
}

constexpr const char* footer = R"(
Faults: KIND[/cold][:TIMES],... ; /cold keeps no standby runner. Kinds: illegal_address, trap, assert (a kernel
does it), sticky, exit, hang (injected), endless_kernel, kill_runner, stop_runner, kill_owner, stop_owner (SIGKILL
and SIGSTOP). Each happens when the GPU serves again after the one before and a standby is ready.

Columns: count, faults that happened; lost, dup, wrong, error: requests without their one right answer; detected:
from the last moment at which the fault had not happened to the event "lost"; GPU back: from there to the first
answer by the GPU as primary; uploaded: resident bytes sent again; callers': p99 of requests that were on their way
between the fault and the GPU's return; CPU-only: p99 of the same load without a GPU.

Bounds for illegal_address, trap, assert and sticky on a real GPU: detected p99 <= 1 ms, back p99 <= 20 ms (cold:
400 ms), ratio <= 2. For every row: lost, dup, wrong and error 0, uploaded 0 unless the owner of the data died.

Exit codes: 0; 1 when a bound was missed; 2 for bad input or a missing GPU.)";

void add_options(CLI::App& app, command_line& asked) {
  auto& settings = asked.settings;
  app.add_option("--gpu", settings.gpu, "cuda:<number> or sim:<profile>")->capture_default_str();
  app.add_option("--faults", asked.faults, "rows of the table; see below");
  add_options(app, static_cast<load_settings&>(settings));
  app.add_option("--wait-ms", settings.wait_ms, "batching.max_wait_ms")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1000.0));
  app.add_option("--late-ms", settings.late_ms, "gpu.host.late_timeout_ms")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3.6e6));
  app.add_option("--cpu-threads", settings.cpu_threads, "0: one for each core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option_function<double>(
         "--seconds", [&settings](double s) { settings.cpu_only = from_seconds(s); },
         "length of the run without a GPU (default 5)")
      ->check(CLI::Range(0.1, 3600.0));
  app.add_option("--json", asked.json_file, "write everything there");
  app.footer(footer);
}

/// Starts the pipeline once to learn what the GPU is, and that it is there.
result<gpu_description> describe_gpu(const recovery_settings& settings) {
  auto pipe = pipeline::start(recovery_options(settings, true));
  if (!pipe) return pipe.error();
  for (const auto& each : (*pipe)->health().devices)
    if (each.info.kind != device_kind::cpu)
      return gpu_description{.name = settings.gpu,
                             .model = each.info.model,
                             .driver = {},
                             .memory_bytes = each.info.memory_bytes,
                             .simulated = each.info.kind == device_kind::simulated};
  return error{ec::unavailable, "The pipeline found no GPU " + settings.gpu + "."};
}

/// Returns the data and what is asked about it.
result<query_set> make_queries(const collection_ptr& data) {
  dataset all;
  all.name = recovery_dataset;
  all.content = data;
  return query_set::make(std::make_shared<const dataset>(std::move(all)), most_queries, 10,
                         data_seed);
}

result<void> write_json(const std::string& path, const recovery_run& run) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file << to_json(run);
  if (!file.flush()) return error{ec::unavailable, "The file " + path + " cannot be written."};
  return {};
}

int measure(const command_line& asked, const std::vector<fault_plan>& plans) {
  const auto gpu = describe_gpu(asked.settings);
  if (!gpu) return refuse(gpu.error());
  const auto data =
      random_collection(asked.settings.rows, asked.settings.dim, element_type::bf16, data_seed);
  if (!data) return refuse(data.error());
  const auto queries = make_queries(*data);
  if (!queries) return refuse(queries.error());
  const auto cpu_only = measure_cpu_only(asked.settings, *data, *queries);
  if (!cpu_only) return refuse(cpu_only.error());

  recovery_run run{.header = begin_record(*gpu),
                   .settings = asked.settings,
                   .cpu_only = *cpu_only,
                   .faults = {}};
  std::fputs(recovery_head(run).c_str(), stdout);
  bool good = true;
  for (const auto& plan : plans) {
    std::fflush(stdout); // a row takes minutes
    run.faults.push_back(measure_row(asked.settings, plan, *data, *queries));
    std::fputs(recovery_line(run, run.faults.back()).c_str(), stdout);
    good = good && shortcomings(run.faults.back(), cpu_only->p99, run.header.gpu.simulated).empty();
  }
  std::fputs(recovery_tail(run).c_str(), stdout);
  if (!asked.json_file.empty())
    if (auto written = write_json(asked.json_file, run); !written) return refuse(written.error());
  return good ? exit_fine : exit_bad;
}

/// Returns what cannot be done with this GPU; empty if nothing.
std::string contradiction(const command_line& asked, const std::vector<fault_plan>& plans) {
  for (const auto& plan : plans) {
    if (plan.kind.real_only && asked.simulated())
      return "A simulated GPU has no kernels, so it knows no " + std::string{plan.kind.name} +
             "; try sticky.";
    if (!plan.kind.role.empty() && asked.settings.isolation == "none")
      return std::string{plan.kind.name} +
             " needs --isolation process: else the GPU has no child processes.";
  }
  return {};
}

} // namespace

int main(int argc, char** argv) {
  command_line asked;
  CLI::App app{"Makes a GPU fail under load and measures what the callers notice"};
  add_options(app, asked);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& trouble) {
    return app.exit(trouble) == 0 ? exit_fine : exit_usage;
  }
  if (asked.faults.empty())
    asked.faults = default_fault_plans(asked.simulated(), asked.settings.isolation == "process");
  const auto plans = parse_fault_plans(asked.faults);
  if (!plans) return refuse(plans.error());
  if (const auto wrong = contradiction(asked, *plans); !wrong.empty())
    return refuse({ec::invalid_argument, wrong});
  if (auto found = find_engram(asked.settings); !found) return refuse(found.error());
  return measure(asked, *plans);
}
