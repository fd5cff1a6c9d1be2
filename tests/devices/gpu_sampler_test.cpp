#include "engram/devices/gpu_sampler.hpp"
#include "engram/tests/support/manual_clock.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "nvml_fixture.hpp"

namespace engram {
namespace {

using namespace std::chrono_literals;

class gpu_samples : public test::pretended_nvml {
protected:
  /// Waits until `done`, a minute at most.
  static bool wait_until(const std::function<bool()>& done) {
    for (int i = 0; i < 60'000 && !done(); ++i)
      std::this_thread::sleep_for(1ms);
    return done();
  }

  test::manual_alarm_clock clock;
};

TEST_F(gpu_samples, bear_the_names_of_the_watched) {
  const gpu_sampler sampler{
      {.gpus = {{"0", "0000:0A:00.0"}, {"1", "0000:07:00.0"}, {"2", "0000:99:00.0"}},
       .period = 1h,
       .library = library},
      clock};
  ASSERT_TRUE(wait_until([&] { return !sampler.latest().empty(); }));
  const auto samples = sampler.latest();
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].label, "0");
  EXPECT_EQ(samples[0].reading.name, "Another one");
  EXPECT_EQ(samples[1].label, "1");
  EXPECT_EQ(samples[1].reading.temperature_celsius, 61U);
}

TEST_F(gpu_samples, are_of_all_gpus_where_none_is_named) {
  const gpu_sampler sampler{{.period = 1h, .library = library}, clock};
  ASSERT_TRUE(wait_until([&] { return sampler.latest().size() == 2; }));
  EXPECT_EQ(sampler.latest()[0].label, "0");
  EXPECT_EQ(sampler.latest()[1].label, "1");
}

TEST_F(gpu_samples, are_not_taken_by_those_who_look) {
  const gpu_sampler sampler{{.period = 1h, .library = library}, clock};
  ASSERT_TRUE(wait_until([&] { return !sampler.latest().empty(); }));
  const int before = readings();
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(sampler.latest().size(), 2U);
  EXPECT_EQ(readings(), before);
}

TEST_F(gpu_samples, are_taken_again_after_a_period) {
  const int before = readings();
  const gpu_sampler sampler{{.gpus = {{"0", "0000:07:00.0"}}, .period = 1ms, .library = library},
                            clock};
  EXPECT_TRUE(wait_until([&] { return readings() >= before + 3; }));
}

TEST_F(gpu_samples, are_not_shown_when_they_are_old) {
  const gpu_sampler sampler{{.period = 1h, .library = library}, clock};
  ASSERT_TRUE(wait_until([&] { return !sampler.latest().empty(); }));
  clock.advance(5h);
  EXPECT_FALSE(sampler.latest().empty());
  clock.advance(1s);
  EXPECT_TRUE(sampler.latest().empty());
}

TEST_F(gpu_samples, are_none_without_nvml) {
  pretend("does not start");
  const gpu_sampler silent{{.period = 1ms, .library = library}, clock};
  const gpu_sampler absent{{.period = 1ms, .library = "/nowhere/libnvidia-ml.so.1"}, clock};
  std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(silent.latest().empty());
  EXPECT_TRUE(absent.latest().empty());
}

TEST_F(gpu_samples, end_with_their_sampler) {
  {
    const gpu_sampler sampler{{.period = 1h, .library = library}, clock};
    ASSERT_TRUE(wait_until([&] { return users() == 1; }));
  }
  EXPECT_EQ(users(), 0);
}

TEST_F(gpu_samples, hold_nobody_up_while_nvml_hangs) {
  pretend("hangs");
  const int before = readings();
  std::optional<gpu_sampler> sampler;
  sampler.emplace(gpu_sampler::settings{.period = 1ms, .library = library}, clock);
  ASSERT_TRUE(wait_until([&] { return readings() > before; }));
  EXPECT_TRUE(sampler->latest().empty());
  sampler.reset(); // comes back, and leaves a thread behind
  EXPECT_EQ(users(), 1);
  pretend("works");
  EXPECT_TRUE(wait_until([&] { return users() == 0; }));
}

} // namespace
} // namespace engram
