#include "engram/app/commands.hpp"
#include "engram/app/daemon.hpp"
#include "engram/app/daemon_log.hpp"
#include "engram/app/live_configuration.hpp"
#include "engram/app/signals.hpp"
#include "engram/replay/durations.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <string>

namespace engram {

namespace {

int run_start(const common_options& common) {
  hold_signals({SIGINT, SIGTERM, SIGHUP});
  open_log();
  const auto config = live_configuration::read(common);
  if (!config) return report_usage_error(config.error());
  return daemon{common, *config}.run();
}

/// Returns a time such as "30s", "1.5m" or "30", which are seconds, in milliseconds; the text as it
/// is if it is none, so that the key complains of it.
std::string milliseconds_of(const std::string& time) {
  auto length = replay::parse_duration(time);
  if (!length) length = replay::parse_duration(time + "s");
  if (!length) return time;
  char text[48];
  std::snprintf(text, sizeof text, "%.9g", to_seconds(*length) * 1000);
  return text;
}

} // namespace

void add_start_command(CLI::App& app, common_options& common, int& exit_code) {
  auto* command = app.add_subcommand(
      "start", "Serve the datasets of the store over HTTP and gRPC until a signal ends it");
  const auto flag = [&common](const char* key) {
    return [&common, key](const std::string& value) { common.flags.emplace_back(key, value); };
  };
  command->add_option_function<std::string>("--host", flag("server.host"), "Address to listen on")
      ->type_name("HOST");
  command
      ->add_option_function<std::string>("--port", flag("server.port"),
                                         "Port to listen on; 0: any free one")
      ->type_name("PORT");
  command
      ->add_option_function<std::string>("--grpc-port", flag("server.grpc_port"),
                                         "Port to listen on for gRPC; 0: any free one")
      ->type_name("PORT");
  command->add_flag_callback(
      "--insecure", [&common] { common.flags.emplace_back("server.insecure", "true"); },
      "Serve other machines also without TLS, or without asking who they are");
  command
      ->add_option_function<std::string>(
          "--drain-timeout",
          [&common](const std::string& time) {
            common.flags.emplace_back("server.drain_timeout_ms", milliseconds_of(time));
          },
          "How long a stop waits for accepted requests: 30s, 1.5m; without a unit seconds")
      ->type_name("TIME");
  command->footer(
      "Routes: GET /v1 lists them; reflection lists those of gRPC. SIGINT and SIGTERM: take "
      "nothing\n"
      "new, answer what was accepted, end; a second one, or one before it is ready, ends at once.\n"
      "SIGHUP: read the configuration again; refused whole if anything is wrong. The admin API "
      "does\n"
      "the same and more (docs/admin.md). Standard error is the log: what was loaded, lost, "
      "restored,\n"
      "restarted. ENGRAM_FAILPOINTS arms fault points (`engram faults list`). The configuration "
      "comes\n"
      "from --preset, --config, ENGRAM_ variables and --KEY VALUE; the later wins.\n\n"
      "Examples:\n"
      "  engram start\n"
      "  engram start --config engram.toml --port 0\n"
      "  engram start --gpu.devices sim:h100 --set batching.max_wait_ms=2\n"
      "  curl -d '{\"collection\":\"wordnet\",\"text\":\"guide dog\",\"k\":3}' "
      "localhost:8080/v1/search");
  command->callback([&common, &exit_code] { exit_code = run_start(common); });
}

} // namespace engram
