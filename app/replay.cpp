#include "engram/app/commands.hpp"
#include "engram/app/signals.hpp"
#include "engram/app/stored_datasets.hpp"
#include "engram/config/names.hpp"
#include "engram/replay/durations.hpp"
#include "engram/replay/run.hpp"
#include "engram/replay/synthetic.hpp"
#include "engram/replay/wording.hpp"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <thread>

namespace engram {

namespace {

using replay::progress;

struct replay_arguments {
  std::string file;
  std::string out;
  std::optional<std::uint64_t> seed;
  std::optional<double> rate_scale;
  std::optional<std::string> duration_text;
};

// -- what to run
// -----------------------------------------------------------------------------------

result<replay::scenario> scenario_of(const replay_arguments& given) {
  auto what = replay::load_scenario(given.file);
  if (!what) return what;
  if (given.seed) what->seed = *given.seed;
  if (given.rate_scale) replay::scale_rate(*what, *given.rate_scale);
  if (given.duration_text) {
    const auto length = replay::parse_duration(*given.duration_text);
    if (!length || *length <= duration::zero())
      return error{ec::invalid_argument,
                   "--duration " + *given.duration_text + " is not a time like 10s or 2m"};
    what->measured = *length;
    // What lies beyond the new end would never happen.
    std::erase_if(what->faults, [&](const auto& mark) { return mark.at > *length; });
    std::erase_if(what->publications, [&](const auto& mark) { return mark.at > *length; });
  }
  if (auto why = replay::complaint(*what)) return error{ec::invalid_argument, *why};
  return what;
}

/// Returns the key that a flag means, or nullptr where that is not clear.
const config::key* key_of(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  const auto found = config::flag_spellings().find(name);
  if (found == config::flag_spellings().end() || found->second.size() != 1) return nullptr;
  return found->second.front();
}

/// Returns the configuration with what the scenario asks for: above file and environment, below the
/// flags of this command line.
result<configuration> configuration_of(const common_options& common, const replay::scenario& what) {
  std::set<const config::key*> by_hand;
  for (const auto& [name, value] : common.flags)
    by_hand.insert(key_of(name));
  auto merged = common;
  merged.flags.clear();
  std::vector<std::string> from_scenario;
  for (const auto& [name, value] : what.config) {
    const auto* key = key_of(name);
    if (key && by_hand.contains(key)) continue;
    merged.flags.emplace_back(name, value);
    if (key) from_scenario.push_back(key->path());
  }
  merged.flags.insert(merged.flags.end(), common.flags.begin(), common.flags.end());
  if (merged.preset.empty()) merged.preset = what.preset;
  auto loaded = load(merged);
  if (!loaded) return loaded;
  for (const auto& path : from_scenario)
    loaded->origins[path] = "scenario " + what.file;
  return loaded;
}

/// Makes the scenario's own datasets resident and loads the others that it names from the store.
result<void> publish_datasets(pipeline& pipe, const replay::scenario& what,
                              const dataset_store& store) {
  for (const auto& described : what.datasets) {
    auto made = replay::make_dataset(described);
    if (!made) return made.error();
    if (auto done = pipe.publish(described.name, std::move(*made)); !done) return done.error();
  }
  for (const auto& load : what.loads) {
    if (load.dataset.empty() || pipe.find(load.dataset)) continue;
    if (auto done = publish_stored(pipe, store, {load.dataset, 0}); !done) return done.error();
  }
  return {};
}

// -- while it runs
// ---------------------------------------------------------------------------------

std::string phase_text(const progress& now) {
  switch (now.now) {
  case progress::phase::warm_up:
    return "warm-up " + replay::seconds_text(-now.at_seconds);
  case progress::phase::measuring:
    return replay::seconds_text(std::min(now.at_seconds, now.measured_seconds)) + " of " +
           replay::seconds_text(now.measured_seconds);
  case progress::phase::draining:
    return "waiting for " + replay::count_text(now.outstanding) + " answers";
  case progress::phase::verifying:
    break;
  }
  return "comparing " + replay::count_text(now.to_verify) + " answers with the reference";
}

std::string progress_text(const progress& now) {
  auto text = phase_text(now) + "   sent " + replay::count_text(now.sent);
  if (now.now == progress::phase::warm_up || now.now == progress::phase::measuring)
    text += "   " + replay::rate_text(now.answered_per_second) + "/s   p50 " +
            replay::latency_text(now.p50_ns) + "   p99 " + replay::latency_text(now.p99_ns);
  for (const auto& [device, state] : now.breakers)
    if (device != "cpu") text += "   " + device + ' ' + std::string{to_string(state)};
  text += "   errors " + replay::count_text(now.errors);
  if (now.late_sends > 0) text += "   late " + replay::count_text(now.late_sends);
  return text;
}

/// Shows how a replay is doing on standard error: one line that is rewritten on a terminal, a line
/// every few seconds elsewhere.
class progress_line {
public:
  void show(const progress& now) {
    const auto time = clock_type::now();
    const auto pause =
        is_terminal_ ? std::chrono::milliseconds{200} : std::chrono::milliseconds{5'000};
    if (shown_ && time - *shown_ < pause) return;
    shown_ = time;
    std::fprintf(stderr, is_terminal_ ? "\r%s\x1b[K" : "%s\n", progress_text(now).c_str());
    std::fflush(stderr);
  }
  ~progress_line() {
    if (is_terminal_ && shown_) std::fputs("\r\x1b[K", stderr);
  }

private:
  bool is_terminal_ = isatty(STDERR_FILENO) == 1;
  std::optional<time_point> shown_;
};

/// Turns the first Ctrl-C into a request to stop, and the second into the end of the process.
class interruption {
public:
  interruption() : watcher_([this](const std::stop_token& end) { watch(end); }) {}
  std::stop_token token() const { return stop_.get_token(); }

private:
  void watch(const std::stop_token& end) {
    while (!end.stop_requested()) {
      if (wait_for_signal(std::chrono::milliseconds{100}) == 0) continue;
      if (stop_.stop_requested()) std::_Exit(128 + SIGINT);
      std::fputs("\nending early; what was sent is waited for (Ctrl-C again to leave at once)\n",
                 stderr);
      stop_.request_stop();
    }
  }

  std::stop_source stop_;
  std::jthread watcher_; ///< last: it uses stop_
};

std::vector<replay::config_value> shown_configuration(const configuration& config) {
  std::vector<replay::config_value> rows;
  for (const auto& key : all_keys()) {
    const auto origin = config.origins.find(key.key);
    rows.push_back({key.key, value_of(config.values, key.key),
                    origin == config.origins.end() ? "default" : origin->second});
  }
  return rows;
}

int show_report(const common_options& common, const replay_arguments& given,
                const replay::report& found) {
  std::fputs((common.json ? to_json(found) : to_table(found)).c_str(), stdout);
  if (!given.out.empty()) {
    if (auto written = write_report(found, given.out); !written)
      return report_run_time_error(written.error());
    if (!common.json) std::printf("report: %s/report.html\n", given.out.c_str());
  }
  return found.judgement.kind == replay::verdict_kind::pass ? exit_fine : exit_verdict_failed;
}

/// Makes the folder for the report before a long run, so that a bad one is known at once.
result<void> prepare_folder(const std::string& folder) {
  if (folder.empty()) return {};
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed && access(folder.c_str(), W_OK) == 0) return {};
  return error{ec::unavailable, "--out " + folder + " is not a folder that can be written to; " +
                                    "name another one"};
}

int run_replay_command(const common_options& common, const replay_arguments& given) {
  const auto what = scenario_of(given);
  if (!what) return report_usage_error(what.error());
  const auto config = configuration_of(common, *what);
  if (!config) return report_usage_error(config.error());
  if (auto folder = prepare_folder(given.out); !folder) return report_usage_error(folder.error());

  hold_signals({SIGINT, SIGTERM});
  interruption ctrl_c;
  auto pipe = pipeline::start(config->values.pipeline);
  if (!pipe) return report_start_error(pipe.error());
  const dataset_store store{store_directory(config->values)};
  if (auto ready = publish_datasets(**pipe, *what, store); !ready)
    return report_run_time_error(ready.error());

  const auto target = replay::make_pipeline_target(**pipe);
  replay::run_options options;
  options.stop = ctrl_c.token();
  options.publish = [&](const replay::synthetic_dataset& described) -> result<void> {
    auto made = replay::make_dataset(described);
    if (!made) return made.error();
    auto done = (*pipe)->publish(described.name, std::move(*made));
    return done ? result<void>{} : done.error();
  };
  std::optional<progress_line> line{std::in_place};
  options.on_progress = [&](const progress& now) { line->show(now); };
  auto found = replay::run_replay(
      *what, *target, [&](std::string_view name) { return (*pipe)->find(name); }, options);
  line.reset();
  if (!found) return report_start_error(found.error());
  found->config = shown_configuration(*config);
  return show_report(common, given, *found);
}

} // namespace

void add_replay_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto given = std::make_shared<replay_arguments>();
  auto* command = app.add_subcommand(
      "replay", "Send the load of a scenario, break what it says, and judge what happened");
  command->add_option("SCENARIO", given->file, "A scenario file (TOML); see scenarios/README.md")
      ->required();
  command->add_option("--out", given->out, "Write replay.json and report.html into this folder")
      ->type_name("DIR");
  command->add_option("--seed", given->seed,
                      "Seed of arrivals and payloads, in place of the file's");
  command->add_option("--rate-scale", given->rate_scale, "Multiply every rate")
      ->type_name("FACTOR")
      ->check(CLI::Range(1e-6, 1e6));
  command->add_option("--duration", given->duration_text, "Length of the measured part")
      ->type_name("TIME");
  command->footer("Exit code 1 when the verdict is FAIL or INVALID.\n\nExamples:\n"
                  "  engram replay scenarios/smoke.toml\n"
                  "  engram replay scenarios/demo.toml --out demo-out\n"
                  "  engram replay scenarios/demo.toml --set gpu.gpu_min_batch_size=64");
  command->callback(
      [&common, &exit_code, given] { exit_code = run_replay_command(common, *given); });
}

} // namespace engram
