#include "engram/devices/host/gpu_host.hpp"

// The program that runs in the child processes of the tests.
int main() {
  return engram::run_gpu_host();
}
