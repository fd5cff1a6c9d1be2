#include "engram/tests/devices/sim_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using test::batch_of;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class faulty_sim_device : public test::sim_test {
protected:
  /// Expects that the device is well and that nothing was left behind in it.
  void expect_well() {
    faults.disarm_all();
    EXPECT_FALSE(fault_of(batch));
    EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
  }
};

// -- a batch fails --

struct failing_site {
  const char* site;
  fault_class fault;
};

class failing_sim_device : public faulty_sim_device,
                           public ::testing::WithParamInterface<failing_site> {};

TEST_P(failing_sim_device, fails_one_batch_and_goes_on) {
  const auto& [site, kind] = GetParam();
  arm(std::string(site) + "=1*return(" + std::string(to_string(kind)) + ")");
  const auto box = run(batch);
  clock->advance(1s);
  ASSERT_EQ(box->times, 1);
  ASSERT_TRUE(box->outcome.fault);
  EXPECT_EQ(box->outcome.fault->kind, kind);
  EXPECT_THAT(box->outcome.fault->message, HasSubstr(site));
  EXPECT_TRUE(box->outcome.outputs.empty());
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(sites, failing_sim_device,
                         ::testing::Values(failing_site{"gpu0.alloc", fault_class::oom},
                                           failing_site{"gpu0.launch", fault_class::transient},
                                           failing_site{"gpu0.launch", fault_class::no_device},
                                           failing_site{"gpu0.complete", fault_class::transient}));

TEST_F(faulty_sim_device, starts_the_next_batch_when_one_fails) {
  arm("gpu0.launch=3*return->off");
  std::vector<std::shared_ptr<test::answer_box>> boxes;
  for (int i = 0; i < 5; ++i)
    boxes.push_back(run(batch));
  clock->advance(1s);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(boxes[i]->times, 1);
    EXPECT_EQ(boxes[i]->outcome.fault.has_value(), i < 3);
  }
}

TEST_F(faulty_sim_device, corrupts_a_result_so_that_a_comparison_notices) {
  arm("gpu0.result=1*corrupt");
  const auto box = run(batch);
  clock->advance(1s);
  EXPECT_FALSE(box->outcome.fault);
  EXPECT_NE(box->outcome.outputs, compute_reference(*batch));
  expect_well();
}

// -- a batch is late, or never comes --

class late_sim_device : public faulty_sim_device,
                        public ::testing::WithParamInterface<const char*> {};

TEST_P(late_sim_device, answers_later_by_the_delay) {
  const auto start = clock->now();
  const auto punctual = run(batch);
  clock->advance(1s);
  const auto usual = punctual->when - start;
  arm(std::string(GetParam()) + "=1*delay(7.5)");
  const auto second_start = clock->now();
  const auto box = run(batch);
  clock->advance(1s);
  EXPECT_EQ(box->when - second_start, usual + 7500us);
  EXPECT_EQ(box->outcome.outputs, punctual->outcome.outputs);
  expect_well();
}

TEST_P(late_sim_device, never_answers_when_it_hangs_and_keeps_the_stream) {
  arm(std::string(GetParam()) + "=1*hang");
  const auto hung = run(batch);
  clock->advance(1h);
  EXPECT_FALSE(*hung);
  const auto others = {run(batch), run(batch)};
  clock->advance(1s);
  for (const auto& box : others)
    EXPECT_EQ(box->times, 1);
  EXPECT_FALSE(*hung);
}

TEST_P(late_sim_device, drops_a_hung_batch_when_it_is_reset) {
  arm(std::string(GetParam()) + "=2*hang");
  const auto first = run(batch), second = run(batch), waiting = run(batch);
  clock->advance(1h);
  EXPECT_TRUE(gpu->reset());
  EXPECT_EQ(first.use_count(), 1) << "the callback is still held";
  clock->advance(1s);
  EXPECT_FALSE(*first);
  EXPECT_FALSE(*second);
  EXPECT_EQ(waiting->times, 1);
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(sites, late_sim_device,
                         ::testing::Values("gpu0.alloc", "gpu0.launch", "gpu0.complete"));

TEST_F(faulty_sim_device, starts_nothing_while_every_stream_hangs) {
  arm("gpu0.complete=2*hang");
  run(batch), run(batch);
  const auto waiting = run(batch);
  clock->advance(1h);
  EXPECT_FALSE(*waiting);
}

// -- the device is lost --

class lost_sim_device : public faulty_sim_device,
                        public ::testing::WithParamInterface<const char*> {};

TEST_P(lost_sim_device, fails_every_batch_until_it_is_reset) {
  arm(GetParam());
  const auto fault = fault_of(batch);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, fault_class::sticky);
  for (int i = 0; i < 3; ++i) {
    const auto again = fault_of(batch);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->kind, fault_class::sticky);
    EXPECT_EQ(again->message, fault->message);
  }
  EXPECT_TRUE(gpu->reset());
  EXPECT_TRUE(gpu->is_resident(data->key));
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(sites, lost_sim_device,
                         ::testing::Values("gpu0.alloc=1*return(sticky)",
                                           "gpu0.launch=1*return(sticky)", "gpu0.launch=1*exit",
                                           "gpu0.complete=1*return(sticky)",
                                           "gpu0.complete=1*exit"));

TEST_F(faulty_sim_device, takes_the_batches_that_are_under_way_along_when_it_is_lost) {
  arm("gpu0.launch=1*off->1*return(sticky)");
  const auto running = run(batch), fatal = run(batch), after = run(batch);
  clock->ring();
  for (const auto& box : {running, fatal, after}) {
    ASSERT_EQ(box->times, 1);
    EXPECT_EQ(box->outcome.fault->kind, fault_class::sticky);
  }
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
  clock->advance(1s);
  EXPECT_EQ(running->times, 1);
}

TEST_F(faulty_sim_device, takes_the_batches_that_wait_along_when_it_is_lost) {
  const auto first = run(batch), second = run(batch), waiting = run(batch);
  arm("gpu0.complete=return(sticky)");
  clock->advance(1s);
  for (const auto& box : {first, second, waiting}) {
    ASSERT_EQ(box->times, 1);
    EXPECT_EQ(box->outcome.fault->kind, fault_class::sticky);
  }
  EXPECT_EQ(faults.list()[1].name, "gpu0.complete");
  EXPECT_EQ(faults.list()[1].fired, 1u) << "only the first batch got that far";
}

TEST_F(faulty_sim_device, stays_lost_when_the_reset_fails) {
  arm("gpu0.launch=1*return(sticky)");
  ASSERT_TRUE(fault_of(batch));
  arm("gpu0.reset=2*return(no_device)");
  EXPECT_FALSE(gpu->reset());
  EXPECT_TRUE(fault_of(batch));
  EXPECT_FALSE(gpu->reset());
  EXPECT_TRUE(gpu->reset());
  expect_well();
}

// -- uploads --

TEST_F(faulty_sim_device, refuses_a_dataset_when_the_upload_fails) {
  const auto more = sample.collection(10, 4);
  arm("gpu0.upload=1*return(oom)->1*return(transient)");
  EXPECT_EQ(gpu->publish(more).error().code, ec::resource_exhausted);
  EXPECT_EQ(gpu->publish(more).error().code, ec::unavailable);
  EXPECT_FALSE(gpu->is_resident(more->key));
  EXPECT_TRUE(gpu->publish(more));
}

TEST_F(faulty_sim_device, is_lost_by_a_sticky_fault_of_an_upload) {
  const auto more = sample.collection(10, 4);
  arm("gpu0.upload=1*return(sticky)");
  EXPECT_FALSE(gpu->publish(more));
  EXPECT_EQ(gpu->publish(more).error().code, ec::unavailable);
  EXPECT_EQ(fault_of(batch)->kind, fault_class::sticky);
  EXPECT_TRUE(gpu->reset());
  EXPECT_TRUE(gpu->publish(more));
}

// -- the end --

class stopping_sim_device : public faulty_sim_device,
                            public ::testing::WithParamInterface<const char*> {};

TEST_P(stopping_sim_device, answers_nothing_after_it_is_gone) {
  if (*GetParam()) arm(GetParam());
  const auto before = run(batch), running = run(batch), waiting = run(batch);
  clock->ring();
  const auto answered = before->times + running->times + waiting->times;
  gpu.reset();
  for (const auto& box : {before, running, waiting})
    EXPECT_LE(box->times, 1);
  clock->advance(1h);
  EXPECT_EQ(before->times + running->times + waiting->times, answered);
}

INSTANTIATE_TEST_SUITE_P(states, stopping_sim_device,
                         ::testing::Values("", "gpu0.complete=hang", "gpu0.complete=delay(50)",
                                           "gpu0.launch=hang", "gpu0.alloc=hang",
                                           "gpu0.alloc=delay(1)",
                                           "gpu0.launch=1*off->return(transient)"));

TEST_F(faulty_sim_device, lets_go_of_callbacks_that_it_will_not_call) {
  arm("gpu0.complete=hang");
  const auto box = run(batch);
  clock->advance(1s);
  gpu.reset();
  EXPECT_EQ(box.use_count(), 1);
}

} // namespace
} // namespace engram
