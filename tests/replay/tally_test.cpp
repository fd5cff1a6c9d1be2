#include "engram/replay/tally.hpp"

#include <gtest/gtest.h>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

class tally_test : public testing::Test {
protected:
  tally_test() {
    report_.what.loads.resize(2);
    report_.what.loads[0].name = "a";
    report_.what.loads[1].name = "b";
    report_.what.warm_up = 1s;
    report_.what.measured = 2s;
    report_.what.goal.p99 = 10ms;
    books_.emplace(report_.what, report_);
  }

  static void place(sent_request& request, std::int64_t scheduled_ms, std::int64_t late_us,
                    std::uint32_t load = 0) {
    request.scheduled_ns = scheduled_ms * 1'000'000;
    request.sent_ns = request.scheduled_ns + late_us * 1'000;
    request.load = load;
  }
  static outcome result_of(const sent_request& request, std::int64_t took_ms) {
    outcome what;
    what.request = &request;
    what.answered_ns = request.scheduled_ns + took_ms * 1'000'000;
    what.device = "cpu";
    return what;
  }

  report report_;
  std::optional<tally> books_;
};

TEST_F(tally_test, counts_the_measured_part_and_each_load) {
  sent_request warm, first, second;
  place(warm, 500, 0);
  place(first, 1500, 100);
  place(second, 1600, 2'000, 1);
  for (const auto* each : {&warm, &first, &second})
    books_->sent(*each);
  EXPECT_EQ(books_->outstanding(), 3u);
  books_->answered(result_of(warm, 900));
  books_->answered(result_of(first, 5));
  books_->answered(result_of(second, 20));
  EXPECT_EQ(books_->outstanding(), 0u);
  EXPECT_EQ(report_.sent, 3u);
  EXPECT_EQ(report_.total.sent, 2u);
  EXPECT_EQ(report_.total.answered, 2u);
  EXPECT_EQ(report_.total.in_time, 1u);
  EXPECT_EQ(report_.loads[0].answered, 1u);
  EXPECT_EQ(report_.loads[1].answered, 1u);
  EXPECT_EQ(report_.late_sends, 1u);
  EXPECT_EQ(report_.total.took.response.max(), 20'000'000u);
  EXPECT_EQ(report_.total.took.service.max(), 18'000'000u);
}

TEST_F(tally_test, puts_latency_where_the_request_was_due_and_answers_where_they_came) {
  sent_request request;
  place(request, 1000, 0);
  books_->sent(request);
  books_->answered(result_of(request, 600));
  ASSERT_DOUBLE_EQ(report_.slice_seconds, 0.25);
  ASSERT_EQ(report_.slices.size(), 7u);
  EXPECT_EQ(report_.slices[4].sent, 1u);
  EXPECT_EQ(report_.slices[4].all_loads().count(), 1u);
  EXPECT_EQ(report_.slices[6].answered, 1u);
  EXPECT_EQ(report_.slices[6].by_device.at("cpu"), 1u);
  EXPECT_DOUBLE_EQ(report_.slices[4].start_seconds, 0.0);
}

TEST_F(tally_test, tells_completions_of_the_measured_part_from_those_after_it) {
  sent_request early, last;
  place(early, 2000, 0);
  place(last, 2990, 0);
  books_->sent(early);
  books_->sent(last);
  books_->answered(result_of(early, 5));
  books_->answered(result_of(last, 50));
  EXPECT_EQ(report_.total.answered, 2u);
  EXPECT_EQ(report_.total.completed, 1u);
}

TEST_F(tally_test, puts_answers_of_any_lateness_into_a_bounded_number_of_slices) {
  sent_request request;
  place(request, 2000, 0);
  books_->sent(request);
  books_->answered(result_of(request, 3'600'000));
  EXPECT_LE(report_.slices.size(), 60u);
}

TEST_F(tally_test, counts_fallbacks_by_their_cause) {
  sent_request request;
  place(request, 1500, 0);
  books_->sent(request);
  auto what = result_of(request, 5);
  what.fell_back = true;
  what.reason = route_reason::gpu;
  what.more = std::make_unique<outcome::details>();
  what.more->cause = "sticky";
  books_->answered(what);
  EXPECT_EQ(report_.fell_back, 1u);
  EXPECT_EQ(report_.fallback_causes.at("sticky"), 1u);
  EXPECT_EQ(report_.by_device.at({"cpu", route_reason::gpu, true}), 1u);
}

TEST_F(tally_test, keeps_fallbacks_apart_from_the_answers_of_the_first_choice) {
  sent_request request;
  place(request, 1500, 0);
  books_->sent(request);
  books_->sent(request);
  auto what = result_of(request, 5);
  what.reason = route_reason::gpu;
  what.device = "gpu0";
  books_->answered(what);
  what = result_of(request, 5);
  what.reason = route_reason::gpu;
  what.fell_back = true;
  books_->answered(what);
  EXPECT_EQ(report_.by_device,
            (std::map<answer_source, std::uint64_t>{{{"cpu", route_reason::gpu, true}, 1},
                                                    {{"gpu0", route_reason::gpu, false}, 1}}));
}

TEST(tally, counts_as_late_what_is_late_for_the_objective) {
  report found;
  found.what.loads.resize(1);
  found.what.measured = 2s;
  found.what.goal.p99 = 250ms;
  tally books{found.what, found};
  for (const auto late_ns : {1'200'000, 5'000'000, 5'000'001}) {
    sent_request request{};
    request.scheduled_ns = 1'000'000'000;
    request.sent_ns = request.scheduled_ns + late_ns;
    books.sent(request);
  }
  EXPECT_EQ(found.late_sends, 1u);
}

TEST_F(tally_test, long_runs_have_longer_slices) {
  report other;
  other.what.measured = 1h;
  const tally books{other.what, other};
  EXPECT_DOUBLE_EQ(other.slice_seconds, 15.0);
}

} // namespace
