#pragma once

/// The commands of `engram` and what they share. One file for each command; each registers itself
/// with the command line and puts its exit code where it was told to.

#include "engram/base/error.hpp"
#include "engram/config/load.hpp"
#include "engram/config/options.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace engram {

/// What `engram` gives back to the shell.
enum exit_code : int {
  exit_fine = 0,
  exit_verdict_failed = 1, ///< the work was done and its verdict is no
  exit_usage = 2,          ///< the command line or the configuration is wrong
  exit_run_time = 3,       ///< something failed while running
};

inline constexpr bool built_with_cuda = ENGRAM_HAS_CUDA;

/// What every command understands. Filled before any command runs.
struct common_options {
  std::string config_file; ///< --config
  std::string preset;      ///< --preset
  std::string data_dir;    ///< --data-dir
  bool json = false;       ///< --json
  /// --set KEY=VALUE and --KEY VALUE, in the order given.
  std::vector<std::pair<std::string, std::string>> flags;
};

/// Returns the effective configuration: preset, file (--config, else $ENGRAM_CONFIG), environment,
/// flags.
result<configuration> load(const common_options& common);

/// Returns where the dataset store is: datasets.directory, else $ENGRAM_DATA_DIR, else
/// $XDG_DATA_HOME/engram, else ~/.local/share/engram.
std::filesystem::path store_directory(const options& values);

/// Prints "engram: MESSAGE" to standard error and returns exit_usage.
int report_usage_error(const error& why);
/// Prints "engram: MESSAGE" to standard error and returns exit_run_time.
int report_run_time_error(const error& why);
/// The same for a pipeline that does not start: its options are the configuration's fault.
int report_start_error(const error& why);

void add_start_command(CLI::App& app, common_options& common, int& exit_code);
void add_search_command(CLI::App& app, const common_options& common, int& exit_code);
void add_spread_command(CLI::App& app, const common_options& common, int& exit_code);
void add_replay_command(CLI::App& app, const common_options& common, int& exit_code);
void add_dataset_command(CLI::App& app, const common_options& common, int& exit_code);
void add_config_command(CLI::App& app, const common_options& common, int& exit_code);
void add_gpu_info_command(CLI::App& app, const common_options& common, int& exit_code);
void add_faults_command(CLI::App& app, const common_options& common, int& exit_code);
void add_version_command(CLI::App& app, const common_options& common, int& exit_code);

} // namespace engram
