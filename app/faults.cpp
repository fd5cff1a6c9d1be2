#include "engram/app/commands.hpp"
#include "engram/app/table.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/json_codec.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

namespace engram {

namespace {

int list_points(const common_options& common) {
  const auto config = load(common);
  if (!config) return report_usage_error(config.error());
  const auto pipe = pipeline::start(config->values.pipeline);
  if (!pipe) return report_start_error(pipe.error());
  const auto sites = (*pipe)->faults();
  text_table table{
      {{"site"}, {"tasks"}, {"setting"}, {"fired", text_table::align::right}, {"meaning"}}};
  for (const auto& site : sites)
    table.add({site.name, site.tasks.to_string(), site.setting, std::to_string(site.fired),
               site.meaning});
  std::fputs(
      (common.json ? encode_faults(sites) + '\n' : table.to_string(terminal_width())).c_str(),
      stdout);
  return exit_fine;
}

} // namespace

void add_faults_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* faults = app.add_subcommand("faults", "Show where trouble can be made on purpose");
  faults->require_subcommand(1);
  auto* list =
      faults->add_subcommand("list", "List the fault points of a pipeline with this configuration");
  list->footer(
      "Arm them with --faults.points, with $ENGRAM_FAILPOINTS (separated by ;), in a replay's\n"
      "timeline, or with PUT /v1/admin/faults where faults.admin_enabled is true. A setting is\n"
      "SITE=[P%][COUNT*]TASK[(ARG)], chained by ->. Tasks: off, which every site takes, and\n"
      "return(oom|transient|sticky|no_device), delay(MILLISECONDS), hang, exit, corrupt,\n"
      "cuda(illegal_address|trap|assert|hang|oom).\n\n"
      "Examples:\n"
      "  engram faults list --gpu.devices sim:h100\n"
      "  ENGRAM_FAILPOINTS='gpu0.launch=5%return(transient)' engram start --gpu.devices sim:h100");
  list->callback([&common, &exit_code] { exit_code = list_points(common); });
}

} // namespace engram
