// Does a pipeline answer every request, rightly and once, while CUDA calls return codes that they
// should not? One case a run, since what is injected stays with the process.

#include "engram/bench/gpu/load_options.hpp"
#include "engram/bench/gpu/query_set.hpp"
#include "engram/bench/gpu/random_data.hpp"
#include "engram/bench/gpu/steady_load.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/tests/gpu/cuda_inject/call_rules.hpp"
#include "engram/tests/gpu/inject_case.hpp"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>

namespace {

using namespace engram;
using namespace engram::bench;
using namespace engram::inject;

constexpr int exit_fine = 0;
constexpr int exit_bad = 1; ///< a request was not answered rightly and once, or nothing was tested
constexpr int exit_usage = 2; ///< bad input, or what is needed is missing
constexpr const char* dataset_name = "vectors";
constexpr std::uint32_t most_queries = 64; ///< different ones

struct command_line {
  std::string name;
  std::string config;
  bool list = false;
  std::string library;
  load_settings load{.program = {}, .rate = 2'000, .rows = 20'000, .dim = 128};
  double seconds = 4;
};

/// Says in one sentence why nothing can be run.
int refuse(const std::string& why) {
  std::fprintf(stderr, "cuda_inject_run: %s\n", why.c_str());
  return exit_usage;
}

/// A folder for the rules and for what was substituted by them, gone at the end.
class scratch_folder {
public:
  scratch_folder() {
    auto name = (std::filesystem::temp_directory_path() / "cuda_inject.XXXXXX").string();
    if (mkdtemp(name.data())) path_ = name;
  }
  ~scratch_folder() {
    std::error_code none;
    if (!path_.empty()) std::filesystem::remove_all(path_, none);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  explicit operator bool() const noexcept { return !path_.empty(); }
  std::string file(const char* name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

std::optional<std::string> text_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (!file) return std::nullopt;
  return text;
}

std::uint64_t lines_in(const std::string& path) {
  const auto text = text_of(path);
  return text ? static_cast<std::uint64_t>(std::ranges::count(*text, '\n')) : 0;
}

pipeline_options options_for(const command_line& asked) {
  pipeline_options options;
  options.gpu.devices = {"auto"}; // a GPU that cannot start is left out
  options.gpu.gpu_min_batch_size = 1;
  options.gpu.thresholds.gpu_speedup_threshold = 1;
  options.gpu.isolation = asked.load.isolation;
  options.gpu.host.program = asked.load.program;
  options.gpu.breaker.cool_down_ms = 50; // it is to come back often
  options.gpu.breaker.max_cool_down_ms = 200;
  options.batching.max_wait_ms = 1;
  return options;
}

/// What a load came to, and how the GPU was at its end.
struct run_result {
  load_outcome load;
  std::string gpu = "no GPU was left";
};

result<run_result> run_load(const command_line& asked) {
  const auto data = random_collection(asked.load.rows, asked.load.dim, element_type::bf16, 1);
  if (!data) return data.error();
  auto pipe = pipeline::start(options_for(asked));
  if (!pipe) return pipe.error();
  const auto published = (*pipe)->publish(dataset_name, *data);
  if (!published) return published.error();
  const auto queries = query_set::make(*published, most_queries, 10, 1);
  if (!queries) return queries.error();
  steady_load load{**pipe, *queries, asked.load.rate};
  std::this_thread::sleep_for(from_seconds(asked.seconds));
  run_result ended;
  for (const auto& each : (*pipe)->health().devices)
    if (each.info.kind != device_kind::cpu)
      ended.gpu = each.info.name + ' ' + std::string{to_string(each.breaker)};
  ended.load = load.finish();
  return ended;
}

int report(const run_result& ended, const std::string& name, std::uint64_t substituted) {
  const auto& load = ended.load;
  for (const auto& each : load.examples)
    std::printf("    %s\n", each.c_str());
  const auto count = [](std::uint64_t n) { return std::to_string(n); };
  const auto line = count(load.sent) + " requests: lost " + count(load.lost) + ", duplicated " +
                    count(load.duplicated) + ", wrong " + count(load.wrong) + ", errors " +
                    count(load.errors) + "; " + count(load.by_gpu) + " by the GPU, " +
                    count(load.fell_back) + " fell back; " + count(substituted) +
                    " codes substituted; " + ended.gpu;
  std::printf("%s: %s\n", name.c_str(), line.c_str());
  if (substituted == 0) {
    std::printf("%s: nothing was substituted, so nothing was tested\n", name.c_str());
    return exit_bad;
  }
  return load.is_clean() && load.sent > 0 ? exit_fine : exit_bad;
}

/// Arranges for the driver to load the library with the rules in `config`, in this process and its
/// children, and runs the load.
int run(const command_line& asked, const std::string& name, const std::string& config,
        const std::string& log) {
  setenv("CUDA_INJECTION64_PATH", asked.library.c_str(), 1);
  setenv("ENGRAM_CUDA_INJECT_CONFIG", config.c_str(), 1);
  const auto ended = run_load(asked);
  if (!ended) return refuse(ended.error().message);
  return report(*ended, name, lines_in(log));
}

int run_config(const command_line& asked) {
  const auto text = text_of(asked.config);
  if (!text) return refuse("the file " + asked.config + " cannot be read.");
  const auto rules = call_rules::parse(*text);
  if (!rules) return refuse(asked.config + ": " + rules.error().message);
  if (rules->log().empty())
    return refuse(asked.config + " names no \"log\", without which nobody knows what was tested.");
  std::filesystem::remove(rules->log());
  return run(asked, asked.config, asked.config, rules->log());
}

int run_case(const command_line& asked) {
  const auto cases = inject_cases();
  const auto found = std::ranges::find(cases, asked.name, &inject_case::name);
  if (found == cases.end()) return refuse("there is no case \"" + asked.name + "\"; see --list.");
  const scratch_folder folder;
  if (!folder) return refuse("no folder can be made for the rules' file: see TMPDIR.");
  const auto config = folder.file("rules.json"), log = folder.file("substituted.txt");
  std::ofstream{config} << found->config(log);
  return run(asked, found->name, config, log);
}

int list() {
  for (const auto& each : inject_cases())
    std::printf("%s\n", each.name.c_str());
  return exit_fine;
}

} // namespace

int main(int argc, char** argv) {
  command_line asked;
  CLI::App app{
      "Runs a load through a pipeline on one GPU while CUDA calls return wrong codes, and checks "
      "every answer"};
  app.add_option("case", asked.name, "one of --list");
  app.add_option("--config", asked.config,
                 "a file of rules of your own, instead; see cuda_inject/");
  app.add_flag("--list", asked.list, "print the cases");
  app.add_option("--library", asked.library,
                 "libengram_cuda_inject.so; else beside this program, else "
                 "../lib");
  add_options(app, asked.load);
  app.add_option("--seconds", asked.seconds, "length of the load")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& trouble) {
    return app.exit(trouble) == 0 ? exit_fine : exit_usage;
  }
  if (asked.list) return list();
  if (asked.name.empty() == asked.config.empty())
    return refuse("name either a case (see --list) or a --config.");
  if (asked.library.empty())
    asked.library =
        find_beside_this({"libengram_cuda_inject.so", "../lib/libengram_cuda_inject.so"});
  if (!std::filesystem::exists(asked.library))
    return refuse(
        "there is no libengram_cuda_inject.so beside this program; name it with --library.");
  if (auto found = find_engram(asked.load); !found) return refuse(found.error().message);
  return asked.config.empty() ? run_case(asked) : run_config(asked);
}
