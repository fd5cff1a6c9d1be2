#include "engram/devices/cuda_datasets.hpp"

#include "engram/devices/cuda_error.hpp"
#include "engram/devices/describe.hpp"
#include "engram/devices/fault_injection.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

// How long a publication waits for the memory of retired datasets whose last batches still run.
constexpr auto retirement_patience = 2s;
constexpr std::size_t workspace_limit = 1u << 30; // of a lane

/// Sets a flag for as long as it lives.
class busy_mark {
public:
  explicit busy_mark(std::atomic<bool>& flag) noexcept : flag_(flag) { flag_ = true; }
  ~busy_mark() { flag_ = false; }
  busy_mark(const busy_mark&) = delete;
  busy_mark& operator=(const busy_mark&) = delete;

private:
  std::atomic<bool>& flag_;
};

} // namespace

cuda_datasets::cuda_datasets(const cuda_options& options, bool has_filter, vram_budget& budget,
                             const gpu_fault_sites& faults, cuda_lane_keeper& keeper)
    : options_(options), has_filter_(has_filter), budget_(budget), faults_(faults), keeper_(keeper),
      disposer_([ordinal = options.ordinal] { cudaSetDevice(ordinal); }) {}

void cuda_datasets::stop() {
  residents_.clear();
  disposer_.stop();
}

result<void> cuda_datasets::publish(const dataset_ptr& data) {
  const std::lock_guard one_at_a_time(publishing_);
  if (auto usable = refuse_if_lost(); !usable) return usable;
  if (contains(data->key)) return {};
  if (auto fault = injected_fault(faults_.upload.name, faults_.upload.point.fire()))
    return refuse(*fault);
  return take(data, device_bytes(*data), [&](cuda_dataset& resident) {
    auto fault = uploader_.upload(data, budget_, resident);
    if (!fault) uploaded_bytes_ += device_bytes(*data);
    return fault;
  });
}

result<void> cuda_datasets::attach(const dataset_ptr& data, const resident_memory& memory) {
  const std::lock_guard one_at_a_time(publishing_);
  if (auto usable = refuse_if_lost(); !usable) return usable;
  return take(data, 0, [&](cuda_dataset& resident) {
    return map_shared(options_.ordinal, data, memory, resident);
  });
}

void cuda_datasets::retire(std::uint64_t key) {
  const std::lock_guard one_at_a_time(publishing_);
  std::shared_ptr<const cuda_dataset> dropped; // let go of after the lock
  const std::lock_guard lock(mutex_);
  if (const auto found = residents_.find(key); found != residents_.end()) {
    dropped = std::move(found->second);
    residents_.erase(found);
    retired_.push_back(dropped);
  }
}

bool cuda_datasets::contains(std::uint64_t key) const {
  const std::lock_guard lock(mutex_);
  return residents_.contains(key);
}

std::shared_ptr<const cuda_dataset> cuda_datasets::find(std::uint64_t key) const {
  const std::lock_guard lock(mutex_);
  const auto found = residents_.find(key);
  return found == residents_.end() ? nullptr : found->second;
}

result<void> cuda_datasets::refuse_if_lost() const {
  if (const auto loss = keeper_.loss())
    return error{ec::unavailable, options_.name + " is lost: " + loss->message};
  return {};
}

/// Makes `data` resident with `fill(resident)`, which takes `bytes` of the budget, and makes room
/// for its batches. What was resident under the same key is replaced.
template <class Fill>
result<void> cuda_datasets::take(const dataset_ptr& data, std::uint64_t bytes, Fill&& fill) {
  const busy_mark mark(is_publishing_);
  cudaGetLastError(); // what the caller's thread has left is no fault of this dataset
  if (auto fault = cuda_fault(cudaSetDevice(options_.ordinal), "choosing the GPU"))
    return refuse(*fault);
  const auto needed = bytes + growth_for(needs_of(outline_of(data), has_filter_));
  if (!make_room(needed)) return no_room(*data, needed);
  // Freed on the disposer's thread, whoever lets go of it last.
  auto resident = disposer_.shared(std::make_unique<cuda_dataset>());
  if (auto fault = fill(*resident)) return refuse(*fault);
  if (auto fault = grow_lanes(*resident)) return refuse(*fault);
  const std::lock_guard lock(mutex_);
  residents_.insert_or_assign(data->key, std::move(resident));
  return {};
}

/// Returns what the lanes must take at least so that batches with `needs` fit.
std::uint64_t cuda_datasets::growth_for(const lane_needs& needs) const noexcept {
  std::uint64_t sum = 0;
  const auto more = [](std::size_t wanted, std::size_t has) {
    return wanted > has ? vram_budget::rounded(wanted) - vram_budget::rounded(has) : 0;
  };
  for (const auto& lane : keeper_.lanes())
    sum += more(needs.in_bytes, lane.memory().in_bytes) +
           more(needs.least_workspace, lane.memory().workspace_bytes);
  return sum;
}

/// Returns whether `bytes` fit, waiting for what was retired to be freed if that may help.
bool cuda_datasets::make_room(std::uint64_t bytes) {
  if (bytes > budget_.total()) return false;
  const auto fits = [&] { return bytes <= budget_.total() - budget_.used(); };
  std::erase_if(retired_, [](const auto& each) { return each.expired(); });
  if (retired_.empty() && !disposer_.is_busy()) return fits();
  return disposer_.wait_until(fits, retirement_patience);
}

error cuda_datasets::no_room(const dataset& data, std::uint64_t needed) const {
  return {ec::resource_exhausted,
          engram::no_room(options_.name, "dataset " + describe(data), needed,
                          budget_.total() - budget_.used(), budget_.total())};
}

error cuda_datasets::refuse(const device_fault& fault) {
  if (is_loss(fault)) keeper_.lose(fault);
  const auto code = fault.kind == fault_class::oom ? ec::resource_exhausted : ec::unavailable;
  return {code, options_.name + " could not take the dataset: " + fault.message};
}

/// Sees to it that batches on `resident` fit into every lane.
std::optional<device_fault> cuda_datasets::grow_lanes(const cuda_dataset& resident) {
  const auto needs = needs_of(resident, has_filter_);
  const auto most = static_cast<std::size_t>(
      std::min<std::uint64_t>(workspace_limit, budget_.total() / options_.workspace_share));
  for (auto& lane : keeper_.lanes()) {
    if (!keeper_.claim(lane))
      return device_fault{fault_class::transient, "a stream has been busy with one batch for too "
                                                  "long"};
    auto fault = lane.grow(needs, most, budget_);
    keeper_.unclaim(lane);
    if (fault) return fault;
  }
  return std::nullopt;
}

} // namespace engram
