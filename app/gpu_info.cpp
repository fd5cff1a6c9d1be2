#include "engram/app/commands.hpp"
#include "engram/app/gpu_reading.hpp"
#include "engram/app/table.hpp"
#include "engram/devices/gpu_advice.hpp"
#include "engram/devices/gpu_discovery.hpp"
#include "engram/devices/nvml.hpp"
#include "engram/devices/sim_profile.hpp"
#include "engram/service/json_writer.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <vector>

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

/// What NVML says of the GPUs of a survey, in their order.
struct gpu_readings {
  std::vector<std::optional<gpu_reading>> of;
  std::string trouble; ///< why none can be read; empty if NVML works
};

/// The driver and NVML number GPUs differently, and only the driver knows CUDA_VISIBLE_DEVICES.
gpu_readings read_gpus(const gpu_survey& survey) {
  const nvml source;
  gpu_readings out;
  out.trouble = source.trouble();
  for (const auto& gpu : survey.gpus)
    out.of.push_back(source.read(gpu.pci_bus_id));
  return out;
}

void write_state(json_writer& out, const gpu_reading& reading) {
  out.key("nvml");
  write_reading(out, reading);
  out.key("advice").begin_array();
  for (const auto& each : advise(reading))
    out.begin_object()
        .field("topic", each.topic)
        .field("sentence", each.sentence)
        .field("command", each.command)
        .end_object();
  out.end_array();
}

void print_json(const gpu_survey& survey, const gpu_readings& readings) {
  json_writer out;
  out.begin_object().field("cuda_build", built_with_cuda).field("driver", survey.driver_version);
  if (!built_with_cuda || survey.gpus.empty()) out.field("reason", "no_gpu");
  if (!survey.trouble.empty()) out.field("trouble", survey.trouble);
  if (!readings.trouble.empty()) out.field("nvml_trouble", readings.trouble);
  out.key("gpus").begin_array();
  for (std::size_t i = 0; i < survey.gpus.size(); ++i) {
    const auto& gpu = survey.gpus[i];
    out.begin_object().field("device", std::to_string(gpu.ordinal)).field("name", gpu.name);
    out.field("memory_bytes", gpu.memory_bytes)
        .field("compute_capability", compute_capability(gpu));
    if (!gpu.pci_bus_id.empty()) out.field("pci_bus_id", gpu.pci_bus_id);
    if (!gpu.uuid.empty()) out.field("uuid", gpu.uuid);
    if (readings.of[i]) write_state(out, *readings.of[i]);
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

void print_advice(const gpu_reading& reading) {
  const auto advice = advise(reading);
  if (advice.empty()) {
    std::printf("\nNothing to advise.\n");
    return;
  }
  std::printf("\nAdvice; engram changes no setting of a GPU, you may:\n");
  for (const auto& each : advice)
    std::printf("\n  - %s\n      %s\n", each.sentence.c_str(), each.command.c_str());
}

void print_states(const gpu_survey& survey, const gpu_readings& readings) {
  if (survey.gpus.empty()) return;
  if (!readings.trouble.empty()) {
    std::printf("\nPower, clocks and temperature cannot be read: %s.\n", readings.trouble.c_str());
    return;
  }
  for (std::size_t i = 0; i < survey.gpus.size(); ++i) {
    const auto& gpu = survey.gpus[i];
    const auto& reading = readings.of[i];
    const auto first =
        std::find_if(survey.gpus.begin(), survey.gpus.end(),
                     [&](const found_gpu& other) { return other.pci_bus_id == gpu.pci_bus_id; });
    if (!reading)
      std::printf("\nGPU %d: NVML does not know it.\n", gpu.ordinal);
    else if (first->ordinal != gpu.ordinal)
      std::printf("\nGPU %d: a slice of the same card as GPU %d.\n", gpu.ordinal, first->ordinal);
    else {
      const auto index = reading->index ? std::to_string(*reading->index) : "?";
      std::printf("\nGPU %d (%s in nvidia-smi, driver %s):\n\n%s", gpu.ordinal, index.c_str(),
                  reading->driver_version.value_or("?").c_str(), reading_text(*reading).c_str());
      print_advice(*reading);
    }
  }
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
  const auto readings = read_gpus(survey);
  if (common.json) {
    print_json(survey, readings);
    return exit_fine;
  }
  print_gpus(survey);
  print_states(survey, readings);
  print_profiles();
  return exit_fine;
}

} // namespace

void add_gpu_info_command(CLI::App& app, const common_options& common, int& exit_code) {
  auto* command = app.add_subcommand(
      "gpu-info", "Show the GPUs of this machine, what to change, and those that can be simulated");
  command->footer(
      "What NVML tells of each GPU, and what the tuning guide advises about it, each with the "
      "command to run.\nNo setting is changed. CUDA_VISIBLE_DEVICES decides which GPUs are "
      "shown.");
  command->callback([&common, &exit_code] { exit_code = run_gpu_info(common); });
}

} // namespace engram
