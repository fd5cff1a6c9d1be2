#include "engram/pipeline/watch_gpus.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

TEST(watched_gpus, bear_the_numbers_of_their_devices) {
  device_info cpu, simulated, first, second, somewhere;
  cpu.name = "cpu";
  simulated.name = "gpu0";
  simulated.kind = device_kind::simulated;
  first.name = "gpu1";
  first.kind = device_kind::cuda;
  first.pci_bus_id = "0000:0A:00.0";
  second.name = "gpu2";
  second.kind = device_kind::cuda;
  second.pci_bus_id = "0000:07:00.0";
  somewhere.name = "gpu3";
  somewhere.kind = device_kind::cuda;
  const auto watched = gpus_to_watch({cpu, simulated, first, second, somewhere});
  ASSERT_EQ(watched.size(), 2U);
  EXPECT_EQ(watched[0].label, "1");
  EXPECT_EQ(watched[0].pci_bus_id, "0000:0A:00.0");
  EXPECT_EQ(watched[1].label, "2");
  EXPECT_EQ(watched[1].pci_bus_id, "0000:07:00.0");
}

TEST(watched_gpus, are_none_without_a_real_gpu) {
  device_info simulated;
  simulated.name = "gpu0";
  simulated.kind = device_kind::simulated;
  EXPECT_TRUE(gpus_to_watch({simulated}).empty());
}

} // namespace
} // namespace engram
