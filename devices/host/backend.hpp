#pragma once

/// What the two kinds of child processes do with one kind of GPU.

#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/host/handles.hpp"
#include "engram/devices/host/hello.hpp"
#include "engram/devices/vram_budget.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace engram {

/// The device memory of one dataset, as its owner hands it to others. As long as somebody holds the
/// handles it stays, whichever process ends.
struct resident_memory {
  struct part {
    unique_fd handle;
    std::uint64_t bytes = 0;
  };
  std::vector<part> parts;
  std::uint64_t detail = 0; ///< what else a runner has to know; the owner's kind says what
};

/// What a former owner has allocated of a budget, which is given back piece by piece.
class inherited_memory {
public:
  inherited_memory(vram_budget& budget, std::uint64_t bytes)
      : budget_(budget), bytes_(bytes), share_(budget.reserve_at_most(bytes)) {}
  void give_back(std::uint64_t bytes) {
    bytes_ -= std::min(bytes_, bytes);
    share_ = {};
    share_ = budget_.reserve_at_most(bytes_);
  }

private:
  vram_budget& budget_;
  std::uint64_t bytes_;
  vram_budget::reservation share_;
};

/// Allocates and fills the memory of datasets and runs nothing.
class memory_owner {
public:
  virtual ~memory_owner() = default;
  virtual host_ready facts() const = 0;
  /// Makes the device memory of `data`; its content also lies in `content`. `resource_exhausted`
  /// says how much is missing.
  virtual result<resident_memory> hold(const dataset_ptr& data, const unique_fd& content) = 0;
  /// Forgets the memory, of `bytes`, which a former owner may have allocated; others may still use
  /// it.
  virtual void let_go(std::uint64_t key, std::uint64_t bytes) = 0;
  virtual std::uint64_t used_bytes() const = 0;
  /// Returns true if this process never gets its GPU back.
  virtual bool is_lost() const { return false; }
};

/// A device that runs on memory which another process owns.
class attached_device : public device {
public:
  /// Makes the owner's memory of `data` usable; `data` has no content unless `needs_content`.
  virtual result<void> attach(const dataset_ptr& data, const resident_memory& memory) = 0;
  /// Makes `memory`, which outlives the device, cheap to read for it: inputs that lie there need no
  /// copy on the host. Before the first batch. False if it cannot; then it is as cheap as before.
  virtual bool pin(std::span<std::byte>) { return false; }
  /// Returns true if this process never gets its GPU back.
  virtual bool is_lost() const { return false; }
  /// Returns the device memory that it has taken for itself.
  virtual std::uint64_t own_bytes() const = 0;
};

/// Returns how many GPUs CUDA finds; `unavailable` says why there are none.
result<int> count_gpus();
/// Opens the GPU that `hello` names, in this process. `unavailable` says why it cannot be used.
result<std::unique_ptr<memory_owner>> open_owner(const host_hello& hello);
result<std::unique_ptr<attached_device>> open_runner(const host_hello& hello, fault_points& faults);
/// Returns whether runners on this kind of GPU compute from the dataset's content.
bool needs_content(const host_hello& hello) noexcept;

} // namespace engram
