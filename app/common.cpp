#include "engram/app/commands.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace engram {

namespace {

/// Returns the variable's value, empty if it is not set.
std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void print_error(const error& why) {
  // Several mistakes come one a line; each line says whose they are.
  std::string_view rest = why.message;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    std::fprintf(stderr, "engram: %.*s\n", static_cast<int>(line.size()), line.data());
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
}

} // namespace

result<configuration> load(const common_options& common) {
  config_sources sources;
  sources.preset = common.preset.empty() ? environment_variable("ENGRAM_PRESET") : common.preset;
  const std::string file =
      common.config_file.empty() ? environment_variable("ENGRAM_CONFIG") : common.config_file;
  if (!file.empty()) sources.file = file;
  sources.environment = environment_variables();
  sources.flags = common.flags;
  if (!common.data_dir.empty()) sources.flags.emplace_back("datasets.directory", common.data_dir);
  auto config = load_configuration(sources);
  // The children of `isolation = "process"` are this program again.
  if (config && config->values.pipeline.gpu.host.program.empty()) {
    std::error_code unknown;
    config->values.pipeline.gpu.host.program =
        std::filesystem::read_symlink("/proc/self/exe", unknown).string();
  }
  return config;
}

std::filesystem::path store_directory(const options& values) {
  if (!values.datasets.directory.empty()) return values.datasets.directory;
  if (const auto own = environment_variable("ENGRAM_DATA_DIR"); !own.empty()) return own;
  if (const auto data = environment_variable("XDG_DATA_HOME"); !data.empty())
    return std::filesystem::path{data} / "engram";
  const auto home = environment_variable("HOME");
  return std::filesystem::path{home.empty() ? "." : home} / ".local/share/engram";
}

int report_usage_error(const error& why) {
  print_error(why);
  return exit_usage;
}

int report_run_time_error(const error& why) {
  print_error(why);
  return exit_run_time;
}

int report_start_error(const error& why) {
  return why.code == ec::invalid_argument ? report_usage_error(why) : report_run_time_error(why);
}

} // namespace engram
