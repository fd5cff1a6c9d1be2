#include "engram/devices/gpu_advice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

throttle_reasons only(throttle_reason why) {
  return throttle_reasons{1ULL << static_cast<unsigned>(why)};
}

/// A GPU at work about which nothing is to be said.
gpu_reading perfect() {
  gpu_reading gpu;
  gpu.index = 3;
  gpu.utilization_gpu = 0.95;
  gpu.utilization_memory = 0.6;
  gpu.temperature_celsius = 62;
  gpu.slowdown_celsius = 87;
  gpu.power_limit_watts = gpu.default_power_limit_watts = gpu.max_power_limit_watts = 700;
  gpu.min_power_limit_watts = 200;
  gpu.sm_clock_mhz = gpu.max_sm_clock_mhz = 1980;
  gpu.memory_clock_mhz = gpu.max_memory_clock_mhz = 2619;
  gpu.throttled_by = throttle_reasons{};
  gpu.pcie_generation = gpu.max_pcie_generation = gpu.card_pcie_generation = 5;
  gpu.pcie_width = gpu.max_pcie_width = 16;
  gpu.ecc_enabled = true;
  gpu.ecc_uncorrected = 0;
  gpu.mig_enabled = false;
  gpu.persistence_mode = true;
  return gpu;
}

struct advice_case {
  const char* name;
  std::function<void(gpu_reading&)> change;
  const char* topic;
  const char* words; ///< in the sentence
  const char* command;
};

std::ostream& operator<<(std::ostream& out, const advice_case& each) {
  return out << each.name;
}

class gpu_advice_for : public ::testing::TestWithParam<advice_case> {};

TEST_P(gpu_advice_for, says_one_sentence_with_its_command) {
  const auto& want = GetParam();
  auto gpu = perfect();
  want.change(gpu);
  const auto got = advise(gpu);
  ASSERT_EQ(got.size(), 1U) << ::testing::PrintToString(got.size());
  EXPECT_EQ(got[0].topic, want.topic);
  EXPECT_THAT(got[0].sentence, HasSubstr(want.words));
  EXPECT_EQ(got[0].command, want.command);
}

INSTANTIATE_TEST_SUITE_P(
    state, gpu_advice_for,
    ::testing::Values(
        // The rows of the guide's table of power limits.
        advice_case{"rtx_3060_below_its_maximum",
                    [](auto& g) {
                      g.power_limit_watts = g.default_power_limit_watts = 170;
                      g.max_power_limit_watts = 215;
                    },
                    "power_limit", "170 W of at most 215 W and the GPU is at 62 C, below 75 C",
                    "sudo nvidia-smi -i 3 -pl 192"},
        advice_case{"rtx_4070_below_its_maximum",
                    [](auto& g) {
                      g.power_limit_watts = g.default_power_limit_watts = 200;
                      g.max_power_limit_watts = 240;
                    },
                    "power_limit", "while it stays that cool", "sudo nvidia-smi -i 3 -pl 220"},
        advice_case{"limit_below_the_default", [](auto& g) { g.power_limit_watts = 300; },
                    "power_limit", "300 W of at most 700 W", "sudo nvidia-smi -i 3 -pl 700"},
        advice_case{"power_cap_holds_the_clocks_back",
                    [](auto& g) {
                      g.power_limit_watts = g.default_power_limit_watts = 600;
                      g.sm_clock_mhz = 1500;
                      g.throttled_by = only(throttle_reason::sw_power_cap);
                    },
                    "power_limit", "the limit is what holds its clocks back",
                    "sudo nvidia-smi -i 3 -pl 650"},
        advice_case{"above_85_c", [](auto& g) { g.temperature_celsius = 86; }, "temperature",
                    "too hot for long work (86 C, slowdown at 87 C)",
                    "sudo nvidia-smi -i 3 -pl 630"},
        advice_case{"above_85_c_at_the_least_power",
                    [](auto& g) {
                      g.temperature_celsius = 86;
                      g.power_limit_watts = 200;
                    },
                    "temperature", "give it more air",
                    "nvidia-smi -i 3 -q -d TEMPERATURE,POWER,PERFORMANCE"},
        advice_case{"thermal_slowdown",
                    [](auto& g) {
                      g.temperature_celsius = 87;
                      g.sm_clock_mhz = 1200;
                      g.throttled_by = only(throttle_reason::hw_thermal_slowdown);
                    },
                    "throttling", "lowers its clocks because of heat",
                    "sudo nvidia-smi -i 3 -pl 630"},
        advice_case{"hot_and_slow_without_reasons",
                    [](auto& g) {
                      g.temperature_celsius = 81;
                      g.sm_clock_mhz = 1200;
                      g.throttled_by.reset();
                    },
                    "throttling", "because of heat (81 C", "sudo nvidia-smi -i 3 -pl 630"},
        advice_case{
            "power_brake",
            [](auto& g) { g.throttled_by = only(throttle_reason::hw_power_brake_slowdown); },
            "throttling", "power supply", "nvidia-smi -i 3 -q -d PERFORMANCE,POWER,TEMPERATURE"},
        advice_case{"persistence_mode_off", [](auto& g) { g.persistence_mode = false; },
                    "persistence_mode", "lets go of the GPU", "sudo nvidia-smi -i 3 -pm 1"},
        advice_case{"sm_clock_below_its_maximum", [](auto& g) { g.sm_clock_mhz = 1410; }, "clocks",
                    "The SM clock is at 1410 of 1980 MHz while the GPU works",
                    "sudo nvidia-smi -i 3 -lgc 1980"},
        advice_case{"memory_clock_below_its_maximum", [](auto& g) { g.memory_clock_mhz = 1593; },
                    "clocks", "-rmc undoes it", "sudo nvidia-smi -i 3 -lmc 2619"},
        advice_case{"application_clocks",
                    [](auto& g) {
                      g.sm_clock_mhz = 1095;
                      g.throttled_by = only(throttle_reason::applications_clocks_setting);
                    },
                    "clocks", "1095 of 1980 MHz", "sudo nvidia-smi -i 3 -rac"},
        advice_case{"pcie_in_a_narrow_slot", [](auto& g) { g.pcie_width = 8; }, "pcie",
                    "generation 5 x8, less than the card's generation 5 x16, so that copies to and "
                    "from the GPU take 2 times",
                    "nvidia-smi -i 3 --query-gpu=pcie.link.gen.current,pcie.link.gen.max,"
                    "pcie.link.width.current,pcie.link.width.max --format=csv"},
        advice_case{"pcie_in_an_old_machine",
                    [](auto& g) { g.pcie_generation = g.max_pcie_generation = 3; }, "pcie",
                    "take 4 times as long: check the slot",
                    "nvidia-smi -i 3 --query-gpu=pcie.link.gen.current,pcie.link.gen.max,"
                    "pcie.link.width.current,pcie.link.width.max --format=csv"},
        advice_case{"pcie_of_a_small_card",
                    [](auto& g) {
                      g.pcie_generation = g.max_pcie_generation = g.card_pcie_generation = 3;
                      g.pcie_width = g.max_pcie_width = 4;
                    },
                    "pcie",
                    "less than generation 3 x16, so that copies to and from the GPU take 4 times",
                    "nvidia-smi -i 3 --query-gpu=pcie.link.gen.current,pcie.link.gen.max,"
                    "pcie.link.width.current,pcie.link.width.max --format=csv"},
        advice_case{"ecc_errors", [](auto& g) { g.ecc_uncorrected = 2; }, "ecc",
                    "2 errors that could not be corrected",
                    "nvidia-smi -i 3 -q -d ECC,ROW_REMAPPER,PAGE_RETIREMENT"},
        advice_case{"ecc_off", [](auto& g) { g.ecc_enabled = false; }, "ecc", "a flipped bit",
                    "sudo nvidia-smi -i 3 -e 1"},
        advice_case{"mig_on", [](auto& g) { g.mig_enabled = true; }, "mig", "one slice of the GPU",
                    "sudo nvidia-smi -i 3 -mig 0"},
        advice_case{"busy_half_of_the_time", [](auto& g) { g.utilization_gpu = 0.3; },
                    "utilization", "A kernel ran 30 % of the time, so the GPU waits for work",
                    "nvidia-smi dmon -i 3 -s puct -c 100"},
        advice_case{"busy_most_of_the_time", [](auto& g) { g.utilization_gpu = 0.7; },
                    "utilization", "could do more", "nvidia-smi dmon -i 3 -s puct -c 100"},
        advice_case{"bound_by_memory", [](auto& g) { g.utilization_memory = 0.85; }, "utilization",
                    "Memory was in use 85 % of the time", "nvidia-smi dmon -i 3 -s puct -c 100"},
        advice_case{"idle_with_a_slow_link",
                    [](auto& g) {
                      g.utilization_gpu = 0;
                      g.pcie_generation = 1; // to save power
                    },
                    "utilization", "look again under load", "nvidia-smi dmon -i 3 -s puct -c 100"}),
    [](const auto& each) { return std::string{each.param.name}; });

std::vector<std::string> topics(const gpu_reading& gpu) {
  std::vector<std::string> out;
  for (const auto& each : advise(gpu))
    out.push_back(each.topic);
  return out;
}

TEST(gpu_advice, is_silent_about_a_gpu_in_good_shape) {
  EXPECT_THAT(topics(perfect()), IsEmpty());
}

TEST(gpu_advice, judges_nothing_that_is_absent) {
  EXPECT_THAT(topics(gpu_reading{}), IsEmpty());
}

TEST(gpu_advice, does_not_lock_the_clocks_of_a_hot_gpu_or_give_it_more_power) {
  auto gpu = perfect();
  gpu.temperature_celsius = 90;
  gpu.power_limit_watts = 500;
  gpu.sm_clock_mhz = 900;
  gpu.throttled_by = only(throttle_reason::sw_thermal_slowdown);
  EXPECT_THAT(topics(gpu), ElementsAre("throttling"));
}

TEST(gpu_advice, leaves_the_power_limit_alone_between_75_and_85_c) {
  auto gpu = perfect();
  gpu.power_limit_watts = 500;
  for (const unsigned celsius : {75U, 80U, 85U}) {
    gpu.temperature_celsius = celsius;
    EXPECT_THAT(topics(gpu), IsEmpty()) << celsius;
  }
}

TEST(gpu_advice, tells_of_idle_clocks_that_the_first_batches_wait) {
  auto gpu = perfect();
  gpu.utilization_gpu = 0;
  gpu.sm_clock_mhz = 345;
  gpu.throttled_by = only(throttle_reason::gpu_idle);
  EXPECT_THAT(topics(gpu), ElementsAre("clocks", "utilization"));
  EXPECT_THAT(advise(gpu)[0].sentence, HasSubstr("because the GPU is idle"));
}

TEST(gpu_advice, puts_the_pressing_first) {
  auto gpu = perfect();
  gpu.ecc_uncorrected = 1;
  gpu.persistence_mode = false;
  gpu.temperature_celsius = 88;
  gpu.mig_enabled = true;
  EXPECT_THAT(topics(gpu), ElementsAre("ecc", "temperature", "persistence_mode", "mig"));
}

TEST(gpu_advice, names_the_gpu_by_what_is_known) {
  gpu_reading gpu;
  gpu.persistence_mode = false;
  EXPECT_EQ(advise(gpu)[0].command, "sudo nvidia-smi -pm 1");
  gpu.uuid = "GPU-1";
  EXPECT_EQ(advise(gpu)[0].command, "sudo nvidia-smi -i GPU-1 -pm 1");
}

} // namespace
} // namespace engram
