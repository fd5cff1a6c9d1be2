#include "engram/app/daemon_log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>

namespace engram {

namespace {

constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                            spdlog::level::err};

std::string name_of(spdlog::level::level_enum level) {
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

/// Writes where the default logger does, but has a level of its own.
spdlog::logger& steadfast_logger() {
  static spdlog::logger same{"always", spdlog::default_logger()->sinks().front()};
  return same;
}

} // namespace

void open_log() {
  spdlog::set_default_logger(spdlog::stderr_color_mt("engram"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v", spdlog::pattern_time_type::utc);
}

std::string log_level() {
  return name_of(spdlog::default_logger()->level());
}

result<void> set_log_level(const std::string& level) {
  for (const auto each : levels)
    if (name_of(each) == level) {
      spdlog::default_logger()->set_level(each);
      return {};
    }
  return error{ec::invalid_argument, "the log level is \"" + level.substr(0, 40) +
                                         "\": it must be debug, info, warning or error"};
}

void log_always(const std::string& line) {
  steadfast_logger().info(line);
}

} // namespace engram
