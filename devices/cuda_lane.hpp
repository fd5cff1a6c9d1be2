#pragma once

#include "engram/devices/cuda_memory.hpp"
#include "engram/devices/cuda_work.hpp"
#include "engram/devices/device.hpp"
#include "engram/kernels/cuda/copy_in.hpp"
#include "engram/kernels/misbehaviour.hpp"

#include <compare>
#include <map>
#include <optional>
#include <span>
#include <utility>

namespace engram {

/// One CUDA stream with the memory that its work needs: pinned staging, device workspace, and
/// captured graphs of the shapes that come again. One piece at a time; not thread-safe: whoever
/// works with a lane owns it meanwhile.
class cuda_lane {
public:
  std::optional<device_fault> open(vram_budget& budget);
  /// Makes room for `needs`, which only grow. The workspace gets as much of the best as the budget
  /// and `most_workspace` allow, the least at least. On a fault the lane is as it was.
  std::optional<device_fault> grow(const lane_needs& needs, std::size_t most_workspace,
                                   vram_budget& budget);

  const lane_memory& memory() const noexcept { return memory_; }

  /// Copies `inputs` and starts the kernels of the piece that `work` filled last.
  std::optional<device_fault> launch(const cuda_work& work, const piece_inputs& inputs);
  /// Goes wrong on purpose: on the stream, so that what is launched next runs into it.
  std::optional<device_fault> misbehave(misbehaviour what);
  enum class progress { running, done, failed };
  /// Looks whether the piece is done; `fault` says why it failed.
  progress poll(std::optional<device_fault>& fault);
  /// Returns where the finished piece's time on the GPU went; `device_seconds` is left 0.
  device_times times() const noexcept;
  /// Waits until nothing of the lane runs any more.
  std::optional<device_fault> drain() noexcept;

private:
  struct kept_graph {
    cuda_graph graph; ///< null until the shape came a second time
    std::uint64_t last_launch = 0;
  };

  /// What of `in` is copied to the device.
  struct copied_range {
    std::size_t first = 0, bytes = 0;
    friend auto operator<=>(const copied_range&, const copied_range&) = default;
  };
  using graph_key = std::pair<piece_shape, copied_range>;

  cudaError_t copy_placed(std::span<const std::byte> placed);
  cudaError_t launch_graph_or_enqueue(const cuda_work& work, copied_range range);
  cudaError_t enqueue(const cuda_work& work, copied_range range, unsigned event_flags);
  cudaError_t copy_inputs(copied_range range, unsigned event_flags);
  cuda::copy_times* times_of_copy() const noexcept;
  kept_graph* graph_for(const graph_key& key);
  cudaError_t capture(const cuda_work& work, copied_range range, cuda_graph& out);

  device_memory device_in_, workspace_;
  pinned_memory in_, out_, copy_times_;
  lane_memory memory_;
  cuda_event begun_, placed_, copied_, ended_;
  std::map<graph_key, kept_graph> graphs_;
  std::uint64_t launches_ = 0;
  bool copies_by_kernel_ = false; ///< the piece launched last
  bool copied_placed_ = false;    ///< it too
  cuda_stream stream_;            // destroyed first: it waits for what still runs
};

} // namespace engram
