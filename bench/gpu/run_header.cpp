#include "engram/bench/gpu/run_header.hpp"

#include "engram/replay/report.hpp"

#include <engram_commit.hpp>

#include <ctime>

namespace engram::bench {

namespace {

std::string now_in_utc() {
  const auto now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

} // namespace

run_record begin_record(const gpu_description& gpu) {
  const auto machine = replay::this_machine();
  return {.version = ENGRAM_VERSION,
          .commit = ENGRAM_COMMIT,
          .taken = now_in_utc(),
          .processor = machine.processor,
          .cores = machine.cores,
          .kernel = machine.kernel,
          .compiler = machine.compiler,
          .instruction_set = machine.instruction_set,
          .gpu = gpu,
          .cases = {}};
}

} // namespace engram::bench
