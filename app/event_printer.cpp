#include "engram/app/event_printer.hpp"

#include <spdlog/spdlog.h>

#include <chrono>

namespace engram {

namespace {

using std::chrono::system_clock;

constexpr std::chrono::milliseconds pause{100};

/// Returns how much a person should mind.
spdlog::level::level_enum level_of(const pipeline_event& event) {
  const std::string_view kind = event.kind, detail = event.detail;
  // No GPU is a machine without one; no actor is the end.
  if (kind == "unavailable")
    return event.subject == "gpu" ? spdlog::level::info : spdlog::level::err;
  if (kind == "wrong_answer") return spdlog::level::err;
  const bool is_trouble = kind == "restart" || (kind == "device" && detail.starts_with("lost")) ||
                          (kind == "breaker" && detail.find("-> open") != detail.npos) ||
                          (kind == "publish" && detail.starts_with("not resident"));
  return is_trouble ? spdlog::level::warn : spdlog::level::info;
}

} // namespace

event_printer::event_printer(const pipeline& pipe)
    : pipe_(pipe), watcher_([this](const std::stop_token& end) { watch(end); }) {}

event_printer::~event_printer() {
  watcher_.request_stop();
  watcher_.join();
  catch_up();
}

void event_printer::watch(const std::stop_token& end) {
  while (!end.stop_requested()) {
    catch_up();
    std::unique_lock lock{mutex_};
    woken_.wait_for(lock, end, pause, [] { return false; });
  }
}

void event_printer::catch_up() {
  const std::lock_guard lock{mutex_};
  const auto found = pipe_.events(last_number_);
  if (found.empty()) return;
  if (const auto missing = found.front().number - last_number_ - 1; missing > 0)
    spdlog::warn("{} events came faster than they could be logged", missing);
  const auto steady_now = clock_type::now();
  const auto now = system_clock::now();
  for (const auto& event : found) {
    const auto when =
        now - std::chrono::duration_cast<system_clock::duration>(steady_now - event.when);
    spdlog::default_logger_raw()->log(
        when, spdlog::source_loc{}, level_of(event),
        fmt::format("{} {}: {}", event.kind, event.subject, event.detail));
  }
  last_number_ = found.back().number;
}

} // namespace engram
