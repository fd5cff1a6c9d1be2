#include "engram/replay/durations.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/wording.hpp"

namespace engram::replay {

namespace {

std::string count(std::uint64_t number, const char* one, const char* many) {
  return count_text(number) + ' ' + (number == 1 ? one : many);
}

/// Says which promises were broken.
void judge_promises(const report& what, std::vector<std::string>& reasons) {
  if (what.lost > 0)
    reasons.push_back(count(what.lost, "request was", "requests were") + " never answered");
  if (what.duplicated > 0)
    reasons.push_back(count(what.duplicated, "answer came", "answers came") + " a second time");
  if (what.checks.wrong > 0)
    reasons.push_back(count(what.checks.wrong, "answer differs", "answers differ") +
                      " from the reference");
  if (what.counts && what.counts->lost > 0)
    reasons.push_back("the pipeline itself counts " +
                      count(what.counts->lost, "lost request", "lost requests"));
}

void judge_objective(const report& what, std::vector<std::string>& reasons) {
  const auto errors = share_of(what.total.errors, what.total.sent);
  if (errors > what.what.goal.max_error_share)
    reasons.push_back(percent_text(errors) + " of the requests ended in an error; at most " +
                      percent_text(what.what.goal.max_error_share) + " may");
  const auto overdue = share_of(what.overdue, what.sent);
  if (overdue > what.what.goal.max_overdue_share)
    reasons.push_back(percent_text(overdue) + " of the answers came more than " +
                      duration_text(overdue_grace) + " after the deadline; at most " +
                      percent_text(what.what.goal.max_overdue_share) + " may");
  const auto& limit = what.what.goal.p99;
  if (!limit || what.total.answered == 0) return;
  const duration p99{static_cast<std::int64_t>(what.total.took.response.quantile(0.99))};
  if (p99 > *limit)
    reasons.push_back("p99 is " + duration_text(p99) + "; at most " + duration_text(*limit) +
                      " was asked for");
}

void judge_measurement(const report& what, std::vector<std::string>& reasons) {
  if (what.cut_short)
    reasons.push_back("it was cut short after " +
                      duration_text(from_seconds(what.measured_seconds)) + " of " +
                      duration_text(what.what.measured));
  if (what.total.sent == 0) reasons.push_back("nothing was sent in the measured part");
  if (what.unsent > 0)
    reasons.push_back(count(what.unsent, "request was", "requests were") +
                      " never sent, because the generator could not keep up");
  const auto late = share_of(what.late_sends, what.total.sent);
  if (late > max_late_share)
    reasons.push_back(percent_text(late) + " of the requests were sent more than " +
                      duration_text(what.what.late_limit()) + " late; above " +
                      percent_text(max_late_share) +
                      " the generator is measured and not the target");
  if (what.what.goal.p99 && !what.cut_short && what.total.answered < min_results_for_p99)
    reasons.push_back("a p99 needs at least " + std::to_string(min_results_for_p99) +
                      " results and there are " + std::to_string(what.total.answered));
  if (what.sampled > 0 && what.checks.checked == 0)
    reasons.push_back("none of the answers could be compared with the reference");
  for (const auto& fault : what.faults)
    if (!fault.refusal.empty())
      reasons.push_back("the fault " + fault.setting + " could not be set: " + fault.refusal);
}

} // namespace

std::string_view to_string(verdict_kind kind) noexcept {
  switch (kind) {
  case verdict_kind::pass:
    return "PASS";
  case verdict_kind::fail:
    return "FAIL";
  case verdict_kind::invalid:
    return "INVALID";
  }
  return "INVALID";
}

verdict judge(const report& what) {
  verdict judged;
  // A broken promise is one however badly it was measured.
  judge_promises(what, judged.reasons);
  if (!judged.reasons.empty()) {
    judged.kind = verdict_kind::fail;
    judge_objective(what, judged.reasons);
    judge_measurement(what, judged.reasons);
    return judged;
  }
  judge_measurement(what, judged.reasons);
  if (!judged.reasons.empty()) {
    judged.kind = verdict_kind::invalid;
    return judged;
  }
  judge_objective(what, judged.reasons);
  if (!judged.reasons.empty()) judged.kind = verdict_kind::fail;
  return judged;
}

} // namespace engram::replay
