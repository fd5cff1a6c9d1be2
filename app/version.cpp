#include "engram/app/commands.hpp"
#include "engram/kernels/isa.hpp"
#include "engram/service/json_writer.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace engram {

namespace {

int run_version(const common_options& common) {
  const auto level = chosen_isa();
  if (!level) return report_usage_error(level.error());
  if (common.json) {
    json_writer out;
    out.begin_object().field("version", ENGRAM_VERSION).field("cuda", built_with_cuda);
    out.field("isa", to_string(*level)).field("compiler", __VERSION__).end_object();
    std::printf("%s\n", out.take().c_str());
    return exit_fine;
  }
  std::printf("engram %s (CPU kernels: %s; CUDA: %s; compiler: %s)\n", ENGRAM_VERSION,
              std::string{to_string(*level)}.c_str(), built_with_cuda ? "yes" : "no", __VERSION__);
  return exit_fine;
}

} // namespace

void add_version_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* command =
      app.add_subcommand("version", "Print the version and what this build and machine can do");
  command->callback([&common, &exit_code] { exit_code = run_version(common); });
}

} // namespace engram
