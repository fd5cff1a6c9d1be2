#include "engram/base/clock.hpp"
#include "engram/devices/cuda_dataset.hpp"
#include "engram/devices/cuda_device.hpp"
#include "engram/devices/cuda_error.hpp"
#include "engram/devices/cuda_properties.hpp"
#include "engram/devices/describe.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

// Of the budget, what datasets may take; the runners' streams share the rest.
constexpr double dataset_share = 0.75;
// How long it waits for memory that runners still hold, and how often it looks.
constexpr auto retirement_patience = 2s;
constexpr auto retry_pause = 10ms;

class cuda_owner final : public memory_owner {
public:
  cuda_owner(const cuda_options& options, const cudaDeviceProp& properties,
             std::uint64_t held_bytes)
      : name_(options.name),
        ordinal_(options.ordinal), facts_{properties.name, pci_bus_id_of(options.ordinal),
                                          properties.totalGlobalMem,
                                          static_cast<std::uint64_t>(
                                              static_cast<double>(properties.totalGlobalMem) *
                                              options.vram_safety_margin)},
        budget_(
            static_cast<std::uint64_t>(static_cast<double>(facts_.budget_bytes) * dataset_share)),
        inherited_(budget_, held_bytes) {
    uploader_.share_memory(ordinal_);
  }

  std::optional<device_fault> open() {
    if (auto fault = cuda_fault(cudaSetDevice(ordinal_), "choosing the GPU")) return fault;
    return uploader_.open();
  }

  host_ready facts() const override { return facts_; }
  std::uint64_t used_bytes() const override { return budget_.used(); }

  result<resident_memory> hold(const dataset_ptr& data, const unique_fd&) override {
    const auto needed = device_bytes(*data);
    if (const auto free = budget_.total() - budget_.used(); needed > free)
      return error{ec::resource_exhausted,
                   no_room(name_, "dataset " + describe(*data), needed, free, budget_.total())};
    cuda_dataset made;
    resident_memory out;
    auto fault = uploader_.upload(data, budget_, made);
    // Runners may still hold what was retired, for their last batches on it.
    for (duration waited = 0ms;
         fault && fault->kind == fault_class::oom && waited < retirement_patience;
         waited += retry_pause) {
      std::this_thread::sleep_for(retry_pause);
      made = {};
      fault = uploader_.upload(data, budget_, made);
    }
    if (!fault) fault = cuda_fault(share(made, out), "sharing the memory of \"" + data->name + '"');
    if (fault) {
      lost_ = is_loss(*fault);
      const auto code = fault->kind == fault_class::oom ? ec::resource_exhausted : ec::unavailable;
      return error{code, name_ + " could not take the dataset: " + fault->message};
    }
    made.data = nullptr; // the memory is all that is needed from now on
    held_.insert_or_assign(data->key, std::move(made));
    return out;
  }

  void let_go(std::uint64_t key, std::uint64_t bytes) override {
    if (held_.erase(key) == 0) inherited_.give_back(bytes);
  }
  bool is_lost() const override { return lost_; }

private:
  const std::string name_;
  const int ordinal_;
  host_ready facts_;
  vram_budget budget_; // outlives the memory below
  inherited_memory inherited_;
  cuda_uploader uploader_;
  bool lost_ = false;
  std::map<std::uint64_t, cuda_dataset> held_; ///< by the dataset's key
};

} // namespace

result<std::unique_ptr<memory_owner>> make_cuda_owner(const cuda_options& options,
                                                      std::uint64_t held_bytes) {
  const auto properties = cuda_properties(options.ordinal);
  if (!properties) return properties.error();
  auto made = std::make_unique<cuda_owner>(options, *properties, held_bytes);
  if (auto fault = made->open()) return unusable_gpu(options.ordinal, fault->message);
  return std::unique_ptr<memory_owner>{std::move(made)};
}

} // namespace engram
