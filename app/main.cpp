#include "engram/app/commands.hpp"
#include "engram/app/config_flags.hpp"
#include "engram/pipeline/gpu_host.hpp"

#include <CLI/CLI.hpp>
#include <sys/prctl.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace {

void add_commands(CLI::App& app, engram::common_options& common, int& exit_code) {
  engram::add_start_command(app, common, exit_code);
  engram::add_search_command(app, common, exit_code);
  engram::add_spread_command(app, common, exit_code);
#ifdef ENGRAM_HAS_REPLAY
  engram::add_replay_command(app, common, exit_code);
#endif
  engram::add_dataset_command(app, common, exit_code);
  engram::add_config_command(app, common, exit_code);
  engram::add_gpu_info_command(app, common, exit_code);
  engram::add_faults_command(app, common, exit_code);
  engram::add_version_command(app, common, exit_code);
}

void add_common_options(CLI::App& app, engram::common_options& common) {
  app.add_option("--config", common.config_file, "Configuration file (TOML); else $ENGRAM_CONFIG")
      ->type_name("FILE");
  app.add_option("--preset", common.preset,
                 "Begin with a preset (`engram config presets`); else $ENGRAM_PRESET")
      ->type_name("NAME");
  app.add_option("--data-dir", common.data_dir,
                 "The dataset store; else $ENGRAM_DATA_DIR, ~/.local/share/engram")
      ->type_name("DIR");
  app.add_flag("--json", common.json, "Print JSON");
  app.set_version_flag("--version", "engram " ENGRAM_VERSION, "Print the version and end");
  engram::add_config_flags(app, common);
  app.footer("These options go before or after the command. `engram COMMAND --help` tells more.\n"
             "Exit codes: 0 fine, 1 a verdict failed, 2 usage or configuration, 3 run time.\n\n"
             "Examples:\n"
             "  engram dataset import wordnet\n"
             "  engram search wordnet \"guide dog\"\n"
             "  engram spread wordnet dog\n"
             "  engram start --port 8080");
}

/// Says what is wrong with the command line.
std::string sentence(const CLI::App& app, const CLI::ParseError& wrong) {
  const std::string more = " (--help tells more)";
  if (!app.get_subcommands().empty()) return wrong.what() + more;
  const auto rest = app.remaining();
  if (rest.empty()) return "a command is missing" + more;
  return (rest.front().starts_with('-') ? "unknown option " : "unknown command ") + rest.front() +
         more;
}

int run(int argc, char** argv) {
  engram::common_options common;
  int exit_code = engram::exit_fine;
  CLI::App app{"Cosine similarity and activation spreading on CPUs and GPUs that fail", "engram"};
  app.require_subcommand(1);
  app.fallthrough();
  const auto look = app.get_formatter();
  for (const char* noise : {"TEXT", "REQUIRED"})
    look->label(noise, "");
  look->label("UINT", "N");
  look->label("FLOAT", "X");
  look->column_width(28);
  add_common_options(app, common);
  add_commands(app, common, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked); // --help, --version
  } catch (const CLI::ParseError& wrong) {
    return engram::report_usage_error({engram::ec::invalid_argument, sentence(app, wrong)});
  }
  return exit_code;
}

} // namespace

int main(int argc, char** argv) {
  // Timers of this process end within 1 ns of their time instead of 50 us: batching windows are
  // short.
  prctl(PR_SET_TIMERSLACK, 1);
  try {
    // What a pipeline starts for its GPUs; not for people.
    if (argc == 2 && std::string_view{argv[1]} == "gpu-host") return engram::serve_as_gpu_host();
    return run(argc, argv);
  } catch (const std::exception& why) {
    return engram::report_run_time_error(
        {engram::ec::internal, std::string{"unexpected: "} + why.what()});
  }
}
