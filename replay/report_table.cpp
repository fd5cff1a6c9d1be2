#include "engram/replay/durations.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/wording.hpp"

#include <algorithm>

namespace engram::replay {

namespace {

/// Rows of cells in columns as wide as their widest cell; the first is aligned left, the others
/// right.
class columns {
public:
  explicit columns(std::vector<std::string> head) { add(std::move(head)); }

  void add(std::vector<std::string> row) {
    if (widths_.size() < row.size()) widths_.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      widths_[i] = std::max(widths_[i], row[i].size());
    rows_.push_back(std::move(row));
  }

  std::string text(const std::string& indent = "  ") const {
    std::string out;
    for (const auto& row : rows_) {
      out += indent;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string gap(widths_[i] - row[i].size(), ' ');
        const bool is_last = i + 1 == row.size();
        if (i == 0)
          out += row[i] + (is_last ? "" : gap);
        else
          out += "  " + gap + row[i];
      }
      out += '\n';
    }
    return out;
  }

private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

std::string heading(const report& what) {
  auto out = "replay of " + what.what.name + ", seed " + std::to_string(what.what.seed) + ", " +
             duration_text(what.what.measured);
  if (what.what.warm_up > duration::zero())
    out += " after " + duration_text(what.what.warm_up) + " of warm-up";
  out += ", " + what.target + "\n";
  for (const auto& device : what.devices)
    out += "  " + device.name + ": " + device.model + '\n';
  return out;
}

std::string loads_table(const report& what) {
  columns table{{"", "requested/s", "achieved/s", "p50", "p90", "p99", "p99.9", "max", "errors"}};
  const auto row = [&](const load_result& load) {
    const auto per_second = [&](std::uint64_t number) {
      return rate_text(
          what.measured_seconds > 0 ? static_cast<double>(number) / what.measured_seconds : 0.0);
    };
    const auto& took = load.took.response;
    table.add({load.name, per_second(load.requested), per_second(load.completed),
               latency_text(took.quantile(0.5)), latency_text(took.quantile(0.9)),
               latency_text(took.quantile(0.99)), latency_text(took.quantile(0.999)),
               latency_text(took.max()), count_text(load.errors)});
  };
  for (const auto& load : what.loads)
    row(load);
  row(what.total);
  return table.text();
}

std::string service_line(const report& what) {
  const auto& took = what.total.took.service;
  auto out = "  Latency counts from the scheduled time. From the actual send: p50 " +
             latency_text(took.quantile(0.5)) + ", p99 " + latency_text(took.quantile(0.99)) +
             ", max " + latency_text(took.max()) + ".\n";
  if (what.what.goal.p99)
    out += "  Within the objective of " + duration_text(*what.what.goal.p99) + ": " +
           percent_text(share_of(what.total.in_time, what.total.requested)) + " of the requests.\n";
  return out;
}

std::string answers_table(const report& what) {
  columns table{{"answers by", "reason", "count", "share"}};
  for (const auto& [source, count] : what.by_device)
    table.add({what.device_label(source.device), reason_text(source), count_text(count),
               percent_text(share_of(count, what.total.answered))});
  auto out = table.text();
  out += "  fell back to another device: " + count_text(what.fell_back);
  std::string causes;
  for (const auto& [cause, count] : what.fallback_causes)
    (causes += causes.empty() ? " (" : ", ") += cause + ' ' + count_text(count);
  return out + causes + (causes.empty() ? "\n" : ")\n");
}

std::string errors_table(const report& what) {
  if (what.errors.empty()) return "  errors: none\n";
  std::string out;
  for (const auto& [code, count] : what.errors) {
    const auto example = what.error_examples.find(code);
    out += "  error " + code + ": " + count_text(count);
    if (example != what.error_examples.end()) out += " (" + example->second + ')';
    out += '\n';
  }
  return out;
}

std::string correctness_lines(const report& what) {
  auto out = "  lost " + count_text(what.lost) + "   duplicated " + count_text(what.duplicated) +
             "   wrong " + count_text(what.checks.wrong) + " of " +
             count_text(what.checks.checked) + " compared with the reference   " +
             count_text(what.late_sends) + " sent more than " +
             duration_text(what.what.late_limit()) + " late (" +
             percent_text(share_of(what.late_sends, what.total.sent)) + ")\n";
  out += "  overdue " + count_text(what.overdue) + ": answered more than " +
         duration_text(overdue_grace) + " after the deadline (" +
         percent_text(share_of(what.overdue, what.sent)) + ")\n";
  if (what.checks.made_wrong > 0)
    out +=
        "  made wrong on purpose, and not counted as wrong: " + count_text(what.checks.made_wrong) +
        '\n';
  if (what.checks.skipped > 0)
    out += "  " + count_text(what.checks.skipped) + " sampled answers were not compared\n";
  for (const auto& example : what.checks.examples)
    out += "  wrong: " + example + '\n';
  return out;
}

/// Faults, breaker changes and other events in the order of their times.
std::string timeline(const report& what) {
  struct line {
    double at;
    std::string text;
  };
  std::vector<line> lines;
  for (const auto& fault : what.faults)
    lines.push_back({fault.at_seconds,
                     "fault    " + fault.setting +
                         (fault.refusal.empty() ? "" : ": " + fault.refusal) +
                         (fault.fired == 0 ? "" : ": " + count_text(fault.fired) + " times")});
  for (const auto& each : what.publications)
    lines.push_back({each.at_seconds, "publish  " + each.dataset +
                                          (each.refusal.empty() ? "" : ": " + each.refusal)});
  for (const auto& change : what.breaker)
    lines.push_back({change.at_seconds, "breaker  " + what.device_label(change.device) + ' ' +
                                            std::string{to_string(change.from)} + " -> " +
                                            std::string{to_string(change.to)} +
                                            (change.why.empty() ? "" : ": " + change.why)});
  for (const auto& event : what.events)
    lines.push_back({event.at_seconds, event.kind + "  " + event.subject + ' ' + event.detail});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const line& a, const line& b) { return a.at < b.at; });
  std::string out;
  for (const auto& each : lines) {
    const auto at = seconds_text(each.at);
    out +=
        "  " + std::string(at.size() < 8 ? 8 - at.size() : 0, ' ') + at + "  " + each.text + '\n';
  }
  return out;
}

std::string verdict_lines(const report& what) {
  std::string out{to_string(what.judgement.kind)};
  out += '\n';
  for (const auto& reason : what.judgement.reasons)
    out += "  " + reason + '\n';
  return out;
}

} // namespace

std::string to_table(const report& what) {
  auto out = heading(what) + '\n' + loads_table(what) + service_line(what) + '\n' +
             answers_table(what) + errors_table(what) + correctness_lines(what);
  if (const auto lines = timeline(what); !lines.empty()) out += '\n' + lines;
  return out + '\n' + verdict_lines(what);
}

} // namespace engram::replay
