#include "engram/bench/gpu/neighbours.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

namespace engram::bench {

namespace {

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

} // namespace

std::optional<double> busy_ticks(std::string_view line) {
  std::istringstream in{std::string{line}};
  std::string label;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0, stolen = 0;
  if (!(in >> label >> user >> nice >> system >> idle >> waiting >> irq >> softirq >> stolen) ||
      label != "cpu")
    return std::nullopt;
  return user + nice + system + irq + softirq + stolen;
}

neighbour_watch::reading neighbour_watch::read() {
  reading now;
  std::string line;
  if (std::ifstream file{"/proc/stat"}; std::getline(file, line))
    now.machine_seconds =
        busy_ticks(line).value_or(0) / static_cast<double>(std::max(1L, sysconf(_SC_CLK_TCK)));
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  now.own_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  now.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  return now;
}

neighbour_watch::neighbour_watch() : begin_(read()) {}

double neighbour_watch::cores_used_by_others() const {
  const auto now = read();
  const double wall = now.wall_seconds - begin_.wall_seconds;
  const double others =
      now.machine_seconds - begin_.machine_seconds - (now.own_seconds - begin_.own_seconds);
  return wall > 0 ? std::max(0.0, others / wall) : 0;
}

} // namespace engram::bench
