#pragma once

#include "engram/devices/cuda_dataset.hpp"
#include "engram/devices/cuda_device.hpp"
#include "engram/devices/cuda_lane.hpp"
#include "engram/devices/disposer.hpp"
#include "engram/devices/gpu_fault_sites.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace engram {

/// What the datasets of a GPU ask of the device that runs its batches. Thread-safe but for the
/// lanes themselves.
class cuda_lane_keeper {
public:
  virtual std::deque<cuda_lane>& lanes() noexcept = 0;
  /// Waits until `lane` is free and takes it; false if it stays busy.
  virtual bool claim(cuda_lane& lane) = 0;
  virtual void unclaim(cuda_lane& lane) = 0;
  /// Returns what the device was lost for; nothing while it works.
  virtual std::optional<device_fault> loss() const = 0;
  /// From now on every batch fails with `fault`.
  virtual void lose(const device_fault& fault) = 0;

protected:
  ~cuda_lane_keeper() = default;
};

/// The datasets in a GPU's memory. Each is published, its own copy, or attached, what another
/// process has allocated; the lanes then have room for its batches. Thread-safe; none of its locks
/// is held while `keeper` is called but that of the publication under way.
class cuda_datasets {
public:
  /// All outlive this.
  cuda_datasets(const cuda_options& options, bool has_filter, vram_budget& budget,
                const gpu_fault_sites& faults, cuda_lane_keeper& keeper);
  std::optional<device_fault> open() { return uploader_.open(); }
  /// Forgets all of them and frees what no batch uses. Nothing else is called any more.
  void stop();

  result<void> publish(const dataset_ptr& data);
  /// Replaces what is resident under the same key.
  result<void> attach(const dataset_ptr& data, const resident_memory& memory);
  void retire(std::uint64_t key);

  bool contains(std::uint64_t key) const;
  /// Returns the dataset; null if it is not resident.
  std::shared_ptr<const cuda_dataset> find(std::uint64_t key) const;
  /// Returns true while memory is taken or freed: a launch may have to wait for the driver.
  bool is_busy() const { return is_publishing_ || disposer_.is_busy(); }
  std::uint64_t uploaded_bytes() const noexcept { return uploaded_bytes_; }

private:
  result<void> refuse_if_lost() const;
  template <class Fill>
  result<void> take(const dataset_ptr& data, std::uint64_t bytes, Fill&& fill);
  std::uint64_t growth_for(const lane_needs& needs) const noexcept;
  bool make_room(std::uint64_t bytes);
  error no_room(const dataset& data, std::uint64_t needed) const;
  error refuse(const device_fault& fault);
  std::optional<device_fault> grow_lanes(const cuda_dataset& resident);

  const cuda_options& options_;
  const bool has_filter_;
  vram_budget& budget_;
  const gpu_fault_sites& faults_;
  cuda_lane_keeper& keeper_;

  std::mutex publishing_;                  ///< one publication at a time
  std::atomic<bool> is_publishing_{false}; ///< memory is being taken
  std::atomic<std::uint64_t> uploaded_bytes_{0};
  cuda_uploader uploader_;
  std::vector<std::weak_ptr<const cuda_dataset>> retired_; ///< some may have batches running
  disposer disposer_; ///< frees what was retired, since freeing waits for the whole GPU

  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<const cuda_dataset>> residents_; ///< by the dataset's key
};

} // namespace engram
