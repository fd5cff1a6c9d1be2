// Stands in for NVIDIA's libnvidia-ml.so.1: two GPUs, at 00000000:07:00.0 one that tells
// everything, at 00000000:0A:00.0 one that tells its name and no more. What it pretends can be told
// from within
// (`pretend`) or by $PRETENDED_NVML: "works", which is usual, "does not start" or "hangs". Built
// with PRETENDED_NVML_IS_OLD it lacks all that a first version may have lacked.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

constexpr int success = 0, invalid_argument = 2, not_supported = 3, not_found = 6,
              driver_not_loaded = 9;

enum class pretence { unset, works, does_not_start, hangs };
std::atomic<pretence> pretended{pretence::unset};
std::atomic<int> users{0}, readings{0};

pretence parse(const char* text) {
  const std::string name = text ? text : "works";
  return name == "hangs"            ? pretence::hangs
         : name == "does not start" ? pretence::does_not_start
                                    : pretence::works;
}

struct card {
  const char* bus_id;
} cards[] = {{"00000000:07:00.0"}, {"00000000:0A:00.0"}};

#ifndef PRETENDED_NVML_IS_OLD
bool tells(const void* device) {
  return users > 0 && device == &cards[0];
}

int give(const void* device, unsigned* out, unsigned value) {
  if (!tells(device)) return not_supported;
  *out = value;
  return success;
}

int give_text(char* out, unsigned size, const char* text) {
  std::strncpy(out, text, size);
  return success;
}
#endif

} // namespace

extern "C" {

// -- for tests

void pretend(const char* what) {
  pretended = parse(what);
}
int pretended_users() {
  return users;
}
int pretended_readings() {
  return readings;
}

// -- NVML's own

int nvmlInit_v2() {
  if (pretended == pretence::unset) pretended = parse(std::getenv("PRETENDED_NVML"));
  if (pretended == pretence::does_not_start) return driver_not_loaded;
  ++users;
  return success;
}

int nvmlShutdown() {
  --users;
  return success;
}

const char* nvmlErrorString(int code) {
  return code == driver_not_loaded ? "Driver Not Loaded" : nullptr;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return success;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= 2) return invalid_argument;
  *device = &cards[index];
  ++readings;
  return success;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  ++readings;
  for (auto& each : cards)
    // CUDA writes four digits of the domain, NVML eight.
    if (std::strcmp(bus_id, each.bus_id) == 0 || std::strcmp(bus_id, each.bus_id + 4) == 0) {
      *device = &each;
      return success;
    }
  return not_found;
}

#ifndef PRETENDED_NVML_IS_OLD

int nvmlSystemGetDriverVersion(char* out, unsigned size) {
  return give_text(out, size, "580.65.06");
}

int nvmlDeviceGetIndex(void* device, unsigned* out) {
  *out = device == &cards[0] ? 0 : 1;
  return success;
}

int nvmlDeviceGetName(void* device, char* out, unsigned size) {
  return give_text(out, size, device == &cards[0] ? "Pretended GPU" : "Another one");
}

int nvmlDeviceGetUUID(void* device, char* out, unsigned size) {
  if (!tells(device)) return not_supported;
  return give_text(out, size, "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f");
}

struct pci_info {
  char short_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};

int nvmlDeviceGetPciInfo_v3(void* device, pci_info* out) {
  std::memset(out, 0x7f, sizeof *out); // whoever reads the wrong place will notice
  std::strcpy(out->bus_id, static_cast<const card*>(device)->bus_id);
  return success;
}

struct utilization {
  unsigned gpu, memory;
};

int nvmlDeviceGetUtilizationRates(void* device, utilization* out) {
  while (pretended == pretence::hangs)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  if (!tells(device)) return not_supported;
  *out = {37, 12};
  return success;
}

struct memory {
  unsigned long long total, free, used;
};

int nvmlDeviceGetMemoryInfo(void* device, memory* out) {
  if (!tells(device)) return not_supported;
  *out = {80ULL << 30, 76ULL << 30, 4ULL << 30};
  return success;
}

int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* out) {
  return sensor == 0 ? give(device, out, 61) : not_supported;
}

int nvmlDeviceGetTemperatureThreshold(void* device, unsigned which, unsigned* out) {
  return which < 2 ? give(device, out, which == 0 ? 92 : 87) : not_supported;
}

int nvmlDeviceGetPowerUsage(void* device, unsigned* out) {
  return give(device, out, 312'500);
}

int nvmlDeviceGetPowerManagementLimit(void* device, unsigned* out) {
  return give(device, out, 500'000);
}

int nvmlDeviceGetPowerManagementDefaultLimit(void* device, unsigned* out) {
  return give(device, out, 700'000);
}

int nvmlDeviceGetPowerManagementLimitConstraints(void* device, unsigned* least, unsigned* most) {
  give(device, least, 200'000);
  return give(device, most, 750'000);
}

int nvmlDeviceGetClockInfo(void* device, unsigned which, unsigned* out) {
  return which == 1 || which == 2 ? give(device, out, which == 1 ? 1410 : 2619) : not_supported;
}

int nvmlDeviceGetMaxClockInfo(void* device, unsigned which, unsigned* out) {
  return which == 1 || which == 2 ? give(device, out, which == 1 ? 1980 : 2619) : not_supported;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* out) {
  if (!tells(device)) return not_supported;
  *out = 0x4 | 1ULL << 40; // the power cap, and a reason of the future
  return success;
}

int nvmlDeviceGetCurrPcieLinkGeneration(void* device, unsigned* out) {
  return give(device, out, 4);
}
int nvmlDeviceGetCurrPcieLinkWidth(void* device, unsigned* out) {
  return give(device, out, 8);
}
int nvmlDeviceGetMaxPcieLinkGeneration(void* device, unsigned* out) {
  return give(device, out, 4);
}
int nvmlDeviceGetMaxPcieLinkWidth(void* device, unsigned* out) {
  return give(device, out, 16);
}
int nvmlDeviceGetGpuMaxPcieLinkGeneration(void* device, unsigned* out) {
  return give(device, out, 5);
}

int nvmlDeviceGetEccMode(void* device, unsigned* now, unsigned* later) {
  give(device, later, 0);
  return give(device, now, 1);
}

int nvmlDeviceGetTotalEccErrors(void* device, unsigned type, unsigned since,
                                unsigned long long* out) {
  if (!tells(device)) return not_supported;
  *out = type == 1 && since == 0 ? 2 : 999;
  return success;
}

int nvmlDeviceGetMigMode(void* device, unsigned* now, unsigned* later) {
  give(device, later, 1);
  return give(device, now, 0);
}

int nvmlDeviceGetPersistenceMode(void* device, unsigned* out) {
  return give(device, out, 0);
}

#endif

} // extern "C"
