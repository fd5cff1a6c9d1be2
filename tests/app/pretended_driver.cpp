// Stands in for NVIDIA's libcuda.so.1 where there is none: a driver for CUDA 13.0 with as many GPUs
// as $PRETENDED_GPUS says, or one that does not start if that is not a number. The first is at
// 0000:0A:00.0, the second at 0000:07:00.0: CUDA's order is not that of the bus. From the third on
// they are slices of the second. Built with PRETENDED_DRIVER_IS_OLD it does not say where they are.

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

int gpus() {
  const char* text = std::getenv("PRETENDED_GPUS");
  return text ? std::atoi(text) : 0;
}

bool starts() {
  const char* text = std::getenv("PRETENDED_GPUS");
  return text && text[0] >= '0' && text[0] <= '9';
}

} // namespace

extern "C" {

int cuInit(unsigned flags) {
  return flags == 0 && starts() ? 0 : 999;
}

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = gpus();
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = 100 + ordinal; // a handle is not an ordinal
  return ordinal < gpus() ? 0 : 101;
}

int cuDeviceGetName(char* name, int size, int device) {
  const char* names[] = {"Pretended GPU", "Another one", "Another one MIG 1g.10gb"};
  std::strncpy(name, names[device > 102 ? 2 : device - 100], static_cast<std::size_t>(size));
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  *bytes = std::size_t{16} << 30;
  return device >= 100 ? 0 : 101;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
  return device >= 100 ? 0 : 101;
}

#ifndef PRETENDED_DRIVER_IS_OLD

int cuDeviceGetPCIBusId(char* out, int size, int device) {
  std::strncpy(out, device == 100 ? "0000:0A:00.0" : "0000:07:00.0",
               static_cast<std::size_t>(size));
  return device >= 100 ? 0 : 101;
}

int cuDeviceGetUuid_v2(unsigned char* out, int device) {
  for (int i = 0; i < 16; ++i)
    out[i] = static_cast<unsigned char>(device == 100 ? 0xf0 + i : i);
  return device >= 100 ? 0 : 101;
}

#endif

int cuGetErrorName(int code, const char** name) {
  *name = code == 999 ? "CUDA_ERROR_UNKNOWN" : nullptr;
  return *name ? 0 : 1;
}

} // extern "C"
