#include "engram/app/commands.hpp"
#include "engram/app/table.hpp"
#include "engram/devices/gpu_discovery.hpp"
#include "engram/devices/sim_profile.hpp"
#include "engram/service/json_writer.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <cstdio>

namespace engram {

namespace {

std::string compute_capability(const found_gpu& gpu) {
  return std::to_string(gpu.compute_major) + '.' + std::to_string(gpu.compute_minor);
}

std::string number(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

void print_json(const gpu_survey& survey) {
  json_writer out;
  out.begin_object().field("cuda_build", built_with_cuda).field("driver", survey.driver_version);
  if (!built_with_cuda || survey.gpus.empty()) out.field("reason", "no_gpu");
  if (!survey.trouble.empty()) out.field("trouble", survey.trouble);
  out.key("gpus").begin_array();
  for (const auto& gpu : survey.gpus) {
    out.begin_object().field("device", std::to_string(gpu.ordinal)).field("name", gpu.name);
    out.field("memory_bytes", gpu.memory_bytes)
        .field("compute_capability", compute_capability(gpu));
    out.end_object();
  }
  out.end_array().key("simulated").begin_array();
  for (const auto& profile : sim_profiles()) {
    out.begin_object()
        .field("device", "sim:" + std::string{profile.name})
        .field("name", profile.model);
    out.field("memory_bytes", profile.memory_bytes).field("launch_seconds", profile.launch_seconds);
    out.field("pcie_bytes_per_second", profile.pcie_bytes_per_second);
    out.field("memory_bytes_per_second", profile.memory_bytes_per_second);
    out.field("flops", profile.flops)
        .field("edges_per_second", profile.edges_per_second)
        .end_object();
  }
  out.end_array().end_object();
  std::printf("%s\n", out.take().c_str());
}

void print_gpus(const gpu_survey& survey) {
  if (survey.gpus.empty()) {
    std::printf("No GPU on this machine: %s.\n", survey.trouble.c_str());
  } else {
    text_table table{{{"gpu", text_table::align::right},
                      {"name"},
                      {"memory", text_table::align::right},
                      {"compute"}}};
    for (const auto& gpu : survey.gpus)
      table.add({std::to_string(gpu.ordinal), gpu.name,
                 human_bytes(static_cast<double>(gpu.memory_bytes)), compute_capability(gpu)});
    std::printf("GPUs of this machine (driver for CUDA %s):\n\n%s", survey.driver_version.c_str(),
                table.to_string(terminal_width()).c_str());
  }
  if (!built_with_cuda)
    std::printf("%sThis build has no CUDA: batches run on the CPU, and answers say why (no_gpu).\n",
                survey.gpus.empty() ? "" : "\n");
}

void print_profiles() {
  text_table table{{{"device"},
                    {"pretends to be"},
                    {"memory", text_table::align::right},
                    {"launch", text_table::align::right},
                    {"PCIe", text_table::align::right},
                    {"memory rate", text_table::align::right},
                    {"float32", text_table::align::right},
                    {"edges", text_table::align::right}}};
  for (const auto& p : sim_profiles())
    table.add({"sim:" + std::string{p.name}, std::string{p.model},
               human_bytes(static_cast<double>(p.memory_bytes)),
               number("%.1f us", p.launch_seconds * 1e6),
               number("%.0f GB/s", p.pcie_bytes_per_second / 1e9),
               number("%.0f GB/s", p.memory_bytes_per_second / 1e9),
               number("%.1f TFLOP/s", p.flops / 1e12),
               number("%.0f G/s", p.edges_per_second / 1e9)});
  std::printf("\nSimulated GPUs, right answers at the times such a GPU would give them\n"
              "(use one with --gpu.devices sim:h100):\n\n%s",
              table.to_string().c_str());
}

int run_gpu_info(const common_options& common) {
  const auto survey = survey_gpus();
  if (common.json) {
    print_json(survey);
    return exit_fine;
  }
  print_gpus(survey);
  print_profiles();
  return exit_fine;
}

} // namespace

void add_gpu_info_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* command = app.add_subcommand(
      "gpu-info", "Show the GPUs of this machine and those that can be simulated");
  command->callback([&common, &exit_code] { exit_code = run_gpu_info(common); });
}

} // namespace engram
