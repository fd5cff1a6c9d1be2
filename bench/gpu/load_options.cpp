#include "engram/bench/gpu/load_options.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>

namespace engram::bench {

void add_options(CLI::App& app, load_settings& settings) {
  app.add_option("--isolation", settings.isolation, "process, or none: CUDA in this process")
      ->capture_default_str()
      ->check(CLI::IsMember({"process", "none"}));
  app.add_option("--engram", settings.program,
                 "the engram binary for the GPU's processes; else beside this program, else "
                 "../../app/engram");
  app.add_option("--rate", settings.rate, "requests a second")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e6));
  app.add_option("--rows", settings.rows, "vectors that are resident")
      ->capture_default_str()
      ->check(CLI::Range(1u, 100'000'000u));
  app.add_option("--dim", settings.dim, "their dimension")
      ->capture_default_str()
      ->check(CLI::Range(1u, 8192u));
}

std::string find_beside_this(std::initializer_list<const char*> places) {
  std::error_code none;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  for (const auto* place : places)
    if (std::filesystem::exists(here / place, none)) return (here / place).lexically_normal();
  return {};
}

result<void> find_engram(load_settings& settings) {
  if (settings.program.empty()) settings.program = find_beside_this({"engram", "../../app/engram"});
  if (settings.isolation == "process" && settings.program.empty())
    return error{ec::unavailable,
                 "There is no engram binary beside this program; name it with --engram."};
  return {};
}

} // namespace engram::bench
