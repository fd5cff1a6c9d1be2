#include "engram/devices/gpu_discovery.hpp"

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace engram {

namespace {

// The part of the driver's interface that is used here, by its documented binary form.
using driver_result = int; // 0: success
using driver_device = int;

using driver_uuid = std::array<unsigned char, 16>;

constexpr int compute_major_attribute = 75;
constexpr int compute_minor_attribute = 76;

struct driver {
  driver_result (*init)(unsigned flags) = nullptr;
  driver_result (*version)(int* out) = nullptr;
  driver_result (*count)(int* out) = nullptr;
  driver_result (*get)(driver_device* out, int ordinal) = nullptr;
  driver_result (*name)(char* out, int size, driver_device device) = nullptr;
  driver_result (*memory)(std::size_t* out, driver_device device) = nullptr;
  driver_result (*attribute)(int* out, int which, driver_device device) = nullptr;
  driver_result (*error_name)(driver_result code, const char** out) = nullptr;
  // Older drivers lack these.
  driver_result (*bus_id)(char* out, int size, driver_device device) = nullptr;
  driver_result (*uuid)(driver_uuid* out, driver_device device) = nullptr;
};

template <class Function>
bool find(void* library, const char* symbol, Function& out) {
  out = reinterpret_cast<Function>(dlsym(library, symbol));
  return out != nullptr;
}

bool load(void* library, driver& out) {
  find(library, "cuDeviceGetPCIBusId", out.bus_id);
  find(library, "cuDeviceGetUuid_v2", out.uuid);
  return find(library, "cuInit", out.init) && find(library, "cuDriverGetVersion", out.version) &&
         find(library, "cuDeviceGetCount", out.count) && find(library, "cuDeviceGet", out.get) &&
         find(library, "cuDeviceGetName", out.name) &&
         find(library, "cuDeviceTotalMem_v2", out.memory) &&
         find(library, "cuDeviceGetAttribute", out.attribute) &&
         find(library, "cuGetErrorName", out.error_name);
}

std::string name_of(const driver& cuda, driver_result code) {
  const char* text = nullptr;
  if (cuda.error_name(code, &text) == 0 && text) return text;
  return "error " + std::to_string(code);
}

/// Returns the UUID as nvidia-smi -L writes it.
std::string to_string(const driver_uuid& uuid, bool is_slice) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = is_slice ? "MIG" : "GPU";
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits[uuid[i] >> 4];
    out += digits[uuid[i] & 15];
  }
  return out;
}

void say_where(const driver& cuda, driver_device device, found_gpu& gpu) {
  std::array<char, 32> bus_id{};
  if (cuda.bus_id && cuda.bus_id(bus_id.data(), static_cast<int>(bus_id.size() - 1), device) == 0)
    gpu.pci_bus_id = bus_id.data();
  driver_uuid uuid{};
  // The driver tells slices by their names alone.
  if (cuda.uuid && cuda.uuid(&uuid, device) == 0)
    gpu.uuid = to_string(uuid, gpu.name.find(" MIG ") != std::string::npos);
}

found_gpu describe(const driver& cuda, int ordinal) {
  found_gpu gpu;
  gpu.ordinal = ordinal;
  driver_device device = 0;
  if (cuda.get(&device, ordinal) != 0) return gpu;
  std::array<char, 256> name{};
  if (cuda.name(name.data(), static_cast<int>(name.size() - 1), device) == 0)
    gpu.name = name.data();
  std::size_t bytes = 0;
  if (cuda.memory(&bytes, device) == 0) gpu.memory_bytes = bytes;
  cuda.attribute(&gpu.compute_major, compute_major_attribute, device);
  cuda.attribute(&gpu.compute_minor, compute_minor_attribute, device);
  say_where(cuda, device, gpu);
  return gpu;
}

} // namespace

gpu_survey survey_gpus() {
  gpu_survey out;
  // Never closed: the driver keeps threads of its own once it is started.
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  driver cuda;
  if (!library || !load(library, cuda)) {
    out.trouble = library
                      ? "the NVIDIA driver library libcuda.so.1 is older than this program knows"
                      : "there is no NVIDIA driver (libcuda.so.1) on this machine";
    return out;
  }
  int version = 0;
  if (cuda.version(&version) == 0)
    out.driver_version = std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
  int count = 0;
  driver_result code = cuda.init(0);
  if (code == 0) code = cuda.count(&count);
  if (code != 0) {
    out.trouble = "the NVIDIA driver does not start: " + name_of(cuda, code);
    return out;
  }
  for (int ordinal = 0; ordinal < count; ++ordinal)
    out.gpus.push_back(describe(cuda, ordinal));
  if (count == 0) out.trouble = "the NVIDIA driver finds no GPU";
  return out;
}

} // namespace engram
