// How fast is the GPU, compared with the CPU, with an earlier run, and with the guide's figures?

#include "engram/bench/gpu/baseline.hpp"
#include "engram/bench/gpu/bench_case.hpp"
#include "engram/bench/gpu/bench_devices.hpp"
#include "engram/bench/gpu/case_runner.hpp"
#include "engram/bench/gpu/derived.hpp"
#include "engram/bench/gpu/name_filter.hpp"
#include "engram/bench/gpu/neighbours.hpp"
#include "engram/bench/gpu/report.hpp"
#include "engram/bench/gpu/run_header.hpp"
#include "engram/bench/gpu/run_json.hpp"
#include "engram/bench/gpu/verdict.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

using namespace engram;
using namespace engram::bench;

constexpr int exit_fine = 0;
constexpr int exit_bad = 1;   ///< a case had trouble, or something regressed
constexpr int exit_usage = 2; ///< bad input, or no such GPU

struct command_line {
  std::vector<std::string> filters;
  std::vector<std::string> baselines;
  std::string save_as;
  std::string json_file;
  std::string baseline_dir;
  bool list = false;
  bool full = false;
  bool quick = false;
  run_settings settings;
};

constexpr const char* footer = R"(
Filters: a word without '/' is any part of a name; with '/' its pieces must be whole neighbouring
pieces: cosine_similarity_cpu_vs_gpu/128 is not .../1280. --list shows the names.

Verdicts: a change counts when the median moved by more than the noise band. The noise of one side is the
range of the medians of 10 consecutive parts of its repeats, relative to its median; the band is the root
of the sum of both squares, and at least 2 %. With fewer than 3 repeats on a side: undecided.

Exit codes: 0; 1 when a case had trouble or something regressed; 2 for bad input or a missing GPU.)";

int refuse(const error& why) {
  std::fprintf(stderr, "gpu_performance_validation: %s\n", why.message.c_str());
  return exit_usage;
}

void add_options(CLI::App& app, command_line& asked) {
  auto& settings = asked.settings;
  app.add_option("filter", asked.filters, "names of cases to run, or parts of them");
  app.add_option("--gpu", settings.gpu, "cuda:<number> or sim:<profile>")->capture_default_str();
  app.add_flag("--full", asked.full, "also the cases with gigabytes of data");
  app.add_flag("--quick", asked.quick, "a tenth of the repeats and of the time");
  app.add_flag("--list", asked.list, "print the names of the cases that would run");
  app.add_flag("--skip-cpu", settings.skip_cpu, "measure the GPU alone: no speedup, no break-even");
  app.add_flag("--pin", settings.pin_threads, "pin the pipeline's threads to cores");
  app.add_option("--cpu-threads", settings.cpu_threads, "0: one for each core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option("--repeats", settings.limits.repeats,
                 "most repeats of a case (ten times as many in pipeline/)")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", settings.limits.seconds, "time for each case and device")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3600.0));
  app.add_option("--save-baseline", asked.save_as, "save this run under a name");
  app.add_option("--baseline", asked.baselines,
                 "one: compare this run with it; two: compare these, run nothing")
      ->allow_extra_args(false); // what follows a name is a filter
  app.add_option("--baseline-dir", asked.baseline_dir,
                 "where saved runs lie; else $XDG_STATE_HOME/engram/baselines, else "
                 "./.engram-baselines");
  app.add_option("--json", asked.json_file,
                 "write everything there; -: to standard output, and "
                 "the text to standard error");
  app.footer(footer);
}

/// Returns the cases to run; `invalid_argument` for a filter that names none.
result<std::vector<bench_case>> choose(const command_line& asked) {
  auto cases = all_cases();
  for (const auto& filter : asked.filters)
    if (std::none_of(cases.begin(), cases.end(),
                     [&](const auto& each) { return matches(each.name, filter); }))
      return error{ec::invalid_argument,
                   "No case is called \"" + filter + "\"; see --list --full."};
  std::erase_if(cases, [&](const bench_case& each) {
    const bool wanted = !each.large || asked.full || !asked.filters.empty();
    return !wanted || !matches_any(each.name, asked.filters);
  });
  return cases;
}

baseline_store store_of(const command_line& asked) {
  return baseline_store{asked.baseline_dir.empty() ? default_baseline_directory()
                                                   : std::filesystem::path{asked.baseline_dir}};
}

int print_comparison(const run_record& before, const std::string& before_name,
                     const run_record& after, const std::string& after_name, std::FILE* out) {
  const auto all = compare(before, after);
  if (!all) return refuse(all.error());
  const auto title = [](const std::string& name, const run_record& run) {
    return name + " (" + run.commit + ", " + run.gpu.model +
           (run.gpu.simulated ? ", simulated)" : ")");
  };
  std::fputs(comparison_text(*all, title(before_name, before), title(after_name, after)).c_str(),
             out);
  const bool regressed = std::any_of(all->lines.begin(), all->lines.end(), [](const auto& line) {
    return line.result.what == verdict::regressed;
  });
  return regressed ? exit_bad : exit_fine;
}

int compare_saved(const command_line& asked) {
  const auto store = store_of(asked);
  const auto before = store.load(asked.baselines[0]);
  if (!before) return refuse(before.error());
  const auto after = store.load(asked.baselines[1]);
  if (!after) return refuse(after.error());
  return print_comparison(*before, asked.baselines[0], *after, asked.baselines[1], stdout);
}

/// Runs the cases; prints each family as soon as it is complete.
void run_cases(const std::vector<bench_case>& cases, case_runner& runner, run_record& run,
               std::FILE* out) {
  for (std::size_t i = 0; i < cases.size(); ++i) {
    run.cases.push_back(runner.run(cases[i]));
    if (i + 1 < cases.size() && cases[i + 1].family == cases[i].family) continue;
    std::fputs(family_text(run, cases[i].family).c_str(), out);
    std::fflush(out);
  }
  std::fputs(guide_text(run).c_str(), out);
}

result<void> write_json(const std::string& path, const run_record& run) {
  const auto text = to_json(run);
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return {};
  }
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file << text;
  if (!file.flush()) return error{ec::unavailable, "The file " + path + " cannot be written."};
  return {};
}

/// Finds what would make the results useless before minutes are spent on them.
result<void> check_outputs(const command_line& asked, const baseline_store& store) {
  if (!asked.save_as.empty())
    if (auto path = store.path_of(asked.save_as); !path) return path.error();
  if (!asked.json_file.empty() && asked.json_file != "-" &&
      !std::ofstream{asked.json_file, std::ios::app})
    return error{ec::unavailable, "The file " + asked.json_file + " cannot be written."};
  return {};
}

int measure(const command_line& asked, const std::vector<bench_case>& cases) {
  const auto store = store_of(asked);
  if (auto checked = check_outputs(asked, store); !checked) return refuse(checked.error());
  result<run_record> before = run_record{};
  if (!asked.baselines.empty()) before = store.load(asked.baselines.front());
  if (!before) return refuse(before.error());
  auto devices = make_bench_devices(asked.settings.gpu, asked.settings.cpu_threads);
  if (!devices) return refuse(devices.error());

  std::FILE* out = asked.json_file == "-" ? stderr : stdout;
  auto run = begin_record((*devices)->description);
  std::fputs(header_text(run).c_str(), out);
  {
    const neighbour_watch neighbours;
    case_runner runner{**devices, asked.settings};
    run_cases(cases, runner, run, out);
    run.cores_used_by_others = neighbours.cores_used_by_others();
  }
  std::fputs(neighbours_text(run).c_str(), out);
  if (!asked.json_file.empty())
    if (auto written = write_json(asked.json_file, run); !written) return refuse(written.error());
  if (!asked.save_as.empty())
    if (auto saved = store.save(asked.save_as, run); !saved) return refuse(saved.error());
  const bool trouble = std::any_of(run.cases.begin(), run.cases.end(),
                                   [](const auto& each) { return !each.trouble.empty(); });
  const int compared = asked.baselines.empty() ? exit_fine
                                               : print_comparison(*before, asked.baselines.front(),
                                                                  run, "this run", out);
  return compared != exit_fine ? compared : trouble ? exit_bad : exit_fine;
}

int list(const std::vector<bench_case>& cases) {
  for (const auto& each : cases)
    std::printf("%s\n", each.name.c_str());
  return exit_fine;
}

/// Returns what is wrong with the combination of options; empty if nothing is.
std::string contradiction(const command_line& asked) {
  if (asked.baselines.size() > 2) return "At most two --baseline can be compared.";
  if (asked.baselines.size() == 2 && (!asked.save_as.empty() || !asked.json_file.empty()))
    return "Two --baseline run nothing, so there is nothing for --save-baseline or --json.";
  return {};
}

} // namespace

int main(int argc, char** argv) {
  command_line asked;
  CLI::App app{"Measures the GPU against the CPU, an earlier run and the guide's figures"};
  add_options(app, asked);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& trouble) {
    return app.exit(trouble) == 0 ? exit_fine : exit_usage;
  }
  if (const auto wrong = contradiction(asked); !wrong.empty())
    return refuse({ec::invalid_argument, wrong});
  if (asked.baselines.size() == 2) return compare_saved(asked);
  if (asked.quick) {
    asked.settings.limits.repeats = std::max<std::size_t>(asked.settings.limits.repeats / 10, 1);
    asked.settings.limits.seconds /= 10;
  }
  asked.settings.limits.least =
      std::min(asked.settings.limits.least, asked.settings.limits.repeats);
  const auto cases = choose(asked);
  if (!cases) return refuse(cases.error());
  return asked.list ? list(*cases) : measure(asked, *cases);
}
