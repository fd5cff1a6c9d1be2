#pragma once

#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/kernels/isa.hpp"

#include <memory>

namespace engram {

/// Computes the outputs of `batch` with the CPU kernels on `threads` threads of a oneTBB arena.
/// What the CPU device and the simulated GPUs share. Thread-safe: concurrent batches share the
/// arena.
class cpu_engine {
public:
  cpu_engine(isa level, std::uint32_t threads);
  ~cpu_engine();

  std::vector<item_output> compute(const work_batch& batch) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Computes the outputs of `batch` in float32 with the scalar kernels on this thread: the reference
/// that sampled answers are compared with, bit by bit.
std::vector<item_output> compute_reference(const work_batch& batch);

/// Returns a device that runs every batch in `run` itself, on the calling thread and its arena,
/// before it calls `done`. Everything is resident; fault sites "<name>.launch" and "<name>.result".
/// threads 0: one for each core.
std::unique_ptr<device> make_cpu_device(std::string name, isa level, std::uint32_t threads,
                                        fault_points& faults, const clock_source& clock);

} // namespace engram
