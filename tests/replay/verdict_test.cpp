#include "engram/replay/report.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

report good() {
  report what;
  what.what.measured = 10s;
  what.what.goal.p99 = 50ms;
  what.measured_seconds = 10;
  what.total.requested = what.total.sent = what.total.answered = what.sent = 1000;
  what.total.took.response.record(5'000'000, 1000);
  what.sampled = what.checks.checked = 10;
  return what;
}

struct verdict_case {
  const char* name;
  std::function<void(report&)> change;
  verdict_kind kind;
  const char* reason;
};

class verdicts : public testing::TestWithParam<verdict_case> {};

TEST_P(verdicts, name_their_reason) {
  auto what = good();
  GetParam().change(what);
  const auto judged = judge(what);
  EXPECT_EQ(judged.kind, GetParam().kind);
  const std::string reason = judged.reasons.empty() ? "" : judged.reasons.front();
  EXPECT_EQ(reason, GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    replay, verdicts,
    testing::Values(
        verdict_case{"good", [](report&) {}, verdict_kind::pass, ""},
        verdict_case{"lost", [](report& r) { r.lost = 1; }, verdict_kind::fail,
                     "1 request was never answered"},
        verdict_case{"duplicated", [](report& r) { r.duplicated = 2; }, verdict_kind::fail,
                     "2 answers came a second time"},
        verdict_case{"wrong", [](report& r) { r.checks.wrong = 1; }, verdict_kind::fail,
                     "1 answer differs from the reference"},
        verdict_case{"lost_in_the_pipeline",
                     [](report& r) { r.counts = pipeline_counts{.accepted = 1000, .lost = 3}; },
                     verdict_kind::fail, "the pipeline itself counts 3 lost requests"},
        verdict_case{"overdue_at_the_limit",
                     [](report& r) {
                       r.sent = 10'000;
                       r.overdue = 1;
                       r.what.goal.max_overdue_share = 0.0001;
                     },
                     verdict_kind::pass, ""},
        verdict_case{"overdue",
                     [](report& r) {
                       r.sent = 10'000;
                       r.overdue = 2;
                       r.what.goal.max_overdue_share = 0.0001;
                     },
                     verdict_kind::fail,
                     "0.02 % of the answers came more than 10 ms after the deadline; at most "
                     "0.01 % may"},
        verdict_case{"errors", [](report& r) { r.total.errors = 10; }, verdict_kind::fail,
                     "1 % of the requests ended in an error; at most 0 % may"},
        verdict_case{"errors_that_are_allowed",
                     [](report& r) {
                       r.total.errors = 10;
                       r.what.goal.max_error_share = 0.01;
                     },
                     verdict_kind::pass, ""},
        verdict_case{"slow", [](report& r) { r.total.took.response.record(80'000'000, 100); },
                     verdict_kind::fail, "p99 is 80 ms; at most 50 ms was asked for"},
        verdict_case{"late_sends_at_the_limit", [](report& r) { r.late_sends = 10; },
                     verdict_kind::pass, ""},
        verdict_case{"late_sends", [](report& r) { r.late_sends = 11; }, verdict_kind::invalid,
                     "1.1 % of the requests were sent more than 1 ms late; above 1 % the generator "
                     "is measured and not the target"},
        verdict_case{"late_sends_for_the_objective",
                     [](report& r) {
                       r.late_sends = 11;
                       r.what.goal.p99 = 250ms;
                     },
                     verdict_kind::invalid,
                     "1.1 % of the requests were sent more than 5 ms late; above 1 % the generator "
                     "is measured and not the target"},
        verdict_case{"a_slow_run_with_late_sends",
                     [](report& r) {
                       r.late_sends = 11;
                       r.total.took.response.record(80'000'000, 100);
                     },
                     verdict_kind::invalid,
                     "1.1 % of the requests were sent more than 1 ms late; above 1 % the generator "
                     "is measured and not the target"},
        verdict_case{"a_loss_with_late_sends",
                     [](report& r) {
                       r.late_sends = 11;
                       r.lost = 1;
                     },
                     verdict_kind::fail, "1 request was never answered"},
        verdict_case{"unsent", [](report& r) { r.unsent = 5; }, verdict_kind::invalid,
                     "5 requests were never sent, because the generator could not keep up"},
        verdict_case{"cut_short",
                     [](report& r) {
                       r.cut_short = true;
                       r.measured_seconds = 2.5;
                     },
                     verdict_kind::invalid, "it was cut short after 2.5 s of 10 s"},
        verdict_case{"too_few", [](report& r) { r.total.answered = r.total.sent = 458; },
                     verdict_kind::invalid, "a p99 needs at least 459 results and there are 458"},
        verdict_case{"nothing",
                     [](report& r) {
                       r.total.sent = r.total.answered = 0;
                       r.what.goal.p99.reset();
                     },
                     verdict_kind::invalid, "nothing was sent in the measured part"},
        verdict_case{"unverified", [](report& r) { r.checks.checked = 0; }, verdict_kind::invalid,
                     "none of the answers could be compared with the reference"},
        verdict_case{"a_fault_that_was_refused",
                     [](report& r) {
                       r.faults.push_back({1.0, "gpu0.x=off", "no such site"});
                     },
                     verdict_kind::invalid, "the fault gpu0.x=off could not be set: no such site"}),
    [](const auto& tested) { return std::string{tested.param.name}; });

} // namespace
