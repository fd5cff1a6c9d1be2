#pragma once

/// What a replay found out, and how it is shown: as a table, as JSON, as a page.

#include "engram/base/latency_histogram.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/replay/scenario.hpp"
#include "engram/replay/verifier.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace engram::replay {

/// How long answers took. Nanoseconds; results only, errors are counted apart.
struct latencies {
  latency_histogram response; ///< from the scheduled time, whether or not the request went out then
  latency_histogram service;  ///< from the moment it was really sent
};

/// One load, or all of them, in the measured part.
struct load_result {
  std::string name;
  std::optional<operation> op; ///< none for all loads together
  std::uint64_t requested = 0; ///< scheduled
  std::uint64_t sent = 0;
  std::uint64_t answered = 0; ///< with a result, whenever it came
  std::uint64_t errors = 0;
  std::uint64_t in_time = 0;   ///< answered within the objective's p99
  std::uint64_t completed = 0; ///< results that came before the measured part ended
  latencies took;
};

/// A piece of the run, on the time axis that starts when the warm-up ends.
struct time_slice {
  double start_seconds = 0;
  std::uint64_t sent = 0;                         ///< sent in it
  std::uint64_t answered = 0;                     ///< results that came in it
  std::uint64_t errors = 0;                       ///< errors that came in it
  std::map<std::string, std::uint64_t> by_device; ///< results that came in it
  /// Response times of the requests that were scheduled in it, one for each load.
  std::vector<latency_histogram> response;

  latency_histogram all_loads() const;
};

/// Which device answered, and why it was that one.
struct answer_source {
  std::string device;
  route_reason reason{};  ///< of the first choice, also when its device failed
  bool fell_back = false; ///< the first choice failed or was late, and `device` stepped in

  auto operator<=>(const answer_source&) const = default;
};
/// Returns the reason for people: "gpu", or "gpu, fell back" for a choice that another device had
/// to make good.
std::string reason_text(const answer_source& source);

struct breaker_change {
  std::string device;
  double at_seconds = 0;
  breaker_state from = breaker_state::closed;
  breaker_state to = breaker_state::closed;
  std::string why;
};

/// A line of the fault timeline and what became of it.
struct fault_event {
  double at_seconds = 0; ///< when it was set
  std::string setting;
  std::string refusal;     ///< empty if it was set
  std::uint64_t fired = 0; ///< times it did something until its site was set again
};

/// A publication while it ran.
struct publication_event {
  double at_seconds = 0; ///< when it began
  std::string dataset;
  std::string refusal; ///< empty if it was published
};

/// Something else that happened: a restart, a publication.
struct other_event {
  double at_seconds = 0;
  std::string kind, subject, detail;
};

struct machine_info {
  std::string processor;
  std::uint32_t cores = 0;
  std::uint64_t memory_bytes = 0;
  std::string kernel;
  std::string compiler;
  std::string instruction_set;
};
machine_info this_machine();

struct config_value {
  std::string key, value, origin;
};

enum class verdict_kind : std::uint8_t {
  pass,
  fail,   ///< the system broke a promise or missed the objective
  invalid ///< the measurement itself is not worth a judgement
};
std::string_view to_string(verdict_kind kind) noexcept;

struct verdict {
  verdict_kind kind = verdict_kind::pass;
  std::vector<std::string> reasons; ///< why not PASS; one sentence each
};

struct report {
  scenario what;
  std::string target;
  std::string started_at; ///< UTC, ISO 8601
  machine_info machine;
  std::vector<device_info> devices;
  std::vector<config_value> config; ///< filled by the caller

  double measured_seconds = 0; ///< less than asked when it was cut short
  bool cut_short = false;
  load_result total;
  std::vector<load_result> loads;
  std::map<answer_source, std::uint64_t> by_device;  ///< measured results
  std::map<std::string, std::uint64_t> errors;       ///< measured, by code
  std::map<std::string, std::string> error_examples; ///< a message for each code
  std::uint64_t fell_back = 0;                       ///< measured results
  std::map<std::string, std::uint64_t> fallback_causes;

  // Of the whole run, the warm-up included: a lost answer is a lost answer.
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;       ///< never answered
  std::uint64_t duplicated = 0; ///< answered again
  std::uint64_t overdue = 0;    ///< answered later than `overdue_grace` after its deadline
  std::uint64_t unsent = 0;     ///< the generator could not keep up
  verification checks;
  std::uint64_t sampled = 0; ///< results that were to be compared
  std::optional<pipeline_counts> counts;

  std::uint64_t late_sends = 0; ///< measured: later than the scenario's late_limit()
  latency_histogram lateness;   ///< measured: how late each request was sent

  double slice_seconds = 0;
  std::vector<time_slice> slices;
  std::vector<breaker_change> breaker;
  std::map<std::string, breaker_state> breaker_at_start;
  std::vector<fault_event> faults;
  std::vector<publication_event> publications;
  std::vector<other_event> events;

  verdict judgement;

  /// Returns the fault that was set last before `at_seconds`, or nullptr.
  const fault_event* fault_before(double at_seconds) const;
  /// Returns the name of a device for people: "gpu0 (simulated)" for one that is pretended.
  std::string device_label(const std::string& device) const;
};

/// How much later than its deadline, which counts from the send, an answer may come before it is
/// overdue.
inline constexpr duration overdue_grace = std::chrono::milliseconds{10};
/// Share of late sends above which a run measures the generator.
inline constexpr double max_late_share = 0.01;
/// Results without which a p99 says nothing: with fewer, even none above the objective does not
/// prove it at 99 % confidence (0.99^459 < 0.01).
inline constexpr std::uint64_t min_results_for_p99 = 459;

/// Returns whether the run is worth a judgement and what it is.
verdict judge(const report& what);

/// Returns the report for a terminal.
std::string to_table(const report& what);
/// Returns the report as JSON; replay/README.md documents its keys.
std::string to_json(const report& what);
/// Returns the report as one HTML page that fetches nothing.
std::string to_html(const report& what);

/// Writes replay.json and report.html into `folder`, which is made if it is not there. Errors name
/// the file.
result<void> write_report(const report& what, const std::filesystem::path& folder);

} // namespace engram::replay
