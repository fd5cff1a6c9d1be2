#include "engram/kernels/isa.hpp"
#include "engram/replay/report.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace engram::replay {

namespace {

std::string processor_name() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

} // namespace

machine_info this_machine() {
  machine_info here;
  here.processor = processor_name();
  here.cores = std::max(1u, std::thread::hardware_concurrency());
  const auto pages = sysconf(_SC_PHYS_PAGES);
  const auto page_bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0)
    here.memory_bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
  utsname system{};
  if (uname(&system) == 0)
    here.kernel = std::string{system.sysname} + ' ' + system.release + ' ' + system.machine;
#if defined(__clang__)
  here.compiler = "clang " __clang_version__;
#else
  here.compiler = "g++ " __VERSION__;
#endif
  if (const auto level = chosen_isa()) here.instruction_set = to_string(*level);
  return here;
}

} // namespace engram::replay
