#include "engram/devices/cuda_lane.hpp"

#include "engram/base/trace.hpp"
#include "engram/devices/cuda_error.hpp"
#include "engram/kernels/cuda/misbehave.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace engram {

namespace {

constexpr std::size_t staging_bytes = 8u << 20;
constexpr std::size_t small_copy_bytes = 32u << 10;
// A copy in whole steps may begin anywhere.
constexpr std::size_t spare_bytes = cuda::copy_step;
constexpr std::size_t most_graphs = 64;
// A graph that was not launched for so long gives way to a new one.
constexpr std::uint64_t stale_launches = 4096;

/// Copies take whole steps, and so has memory.
constexpr std::size_t whole_steps(std::size_t bytes) noexcept {
  return (bytes + cuda::copy_step - 1) / cuda::copy_step * cuda::copy_step;
}

/// Graphs can be switched off for tools that follow single launches.
bool keeps_graphs() noexcept {
  static const bool wanted = [] {
    const char* said = std::getenv("ENGRAM_CUDA_GRAPHS");
    return !said || std::string_view{said} != "0";
  }();
  return wanted;
}

double seconds_between(const cuda_event& from, const cuda_event& to) noexcept {
  float milliseconds = 0;
  return cudaEventElapsedTime(&milliseconds, from.get(), to.get()) == cudaSuccess
             ? milliseconds * 1e-3
             : 0.0;
}

} // namespace

std::optional<device_fault> cuda_lane::open(vram_budget& budget) {
  for (auto* event : {&begun_, &placed_, &copied_, &ended_})
    if (auto fault = cuda_fault(make(*event), "creating an event")) return fault;
  if (auto fault = cuda_fault(make(stream_), "creating a stream")) return fault;
  if (auto fault = cuda_fault(copy_times_.allocate(sizeof(cuda::copy_times)), "pinning memory"))
    return fault;
  return grow({.in_bytes = staging_bytes, .out_bytes = staging_bytes}, 0, budget);
}

std::optional<device_fault> cuda_lane::grow(const lane_needs& needs, std::size_t most_workspace,
                                            vram_budget& budget) {
  const auto before = memory_;
  auto code = cudaSuccess;
  if (needs.in_bytes > memory_.in_bytes) {
    const auto bytes = whole_steps(needs.in_bytes) + spare_bytes;
    code = in_.allocate(bytes);
    if (code == cudaSuccess) code = device_in_.allocate(bytes, budget);
  }
  if (code == cudaSuccess && needs.out_bytes > memory_.out_bytes)
    code = out_.allocate(needs.out_bytes);
  if (code == cudaSuccess) {
    const auto least = std::max(needs.least_workspace, before.workspace_bytes);
    auto wanted = std::max(least, std::min(needs.best_workspace, most_workspace));
    if (wanted > before.workspace_bytes) {
      code = workspace_.allocate(wanted, budget);
      while (code == cudaErrorMemoryAllocation && wanted > least) {
        wanted = std::max(least, wanted / 2);
        code = workspace_.allocate(wanted, budget);
      }
    }
  }
  if (code != cudaSuccess) { // what it had fits again
    const auto bytes = before.in_bytes ? before.in_bytes + spare_bytes : 0;
    if (in_.bytes() != bytes) static_cast<void>(in_.allocate(bytes));
    if (device_in_.bytes() != bytes) static_cast<void>(device_in_.allocate(bytes, budget));
    if (out_.bytes() != before.out_bytes) static_cast<void>(out_.allocate(before.out_bytes));
    if (workspace_.bytes() != before.workspace_bytes)
      static_cast<void>(workspace_.allocate(before.workspace_bytes, budget));
  }
  const lane_memory now{
      .in = in_.get(),
      .device_in = device_in_.get(),
      .out = out_.get(),
      .workspace = workspace_.get(),
      .in_bytes = std::max(std::min(in_.bytes(), device_in_.bytes()), spare_bytes) - spare_bytes,
      .out_bytes = out_.bytes(),
      .workspace_bytes = workspace_.bytes()};
  if (now != memory_) graphs_.clear(); // they name the old memory
  memory_ = now;
  return cuda_fault(code, "making room for a dataset's batches");
}

std::optional<device_fault> cuda_lane::launch(const cuda_work& work, const piece_inputs& inputs) {
  const auto first = inputs.first_in_lane();
  // Whole steps, so that seeds of about the same number share a graph.
  const copied_range range{first, whole_steps(inputs.bytes - first)};
  copies_by_kernel_ = range.bytes <= small_copy_bytes;
  copied_placed_ = !inputs.placed.empty();
  auto code = cudaEventRecord(begun_.get(), stream_.get());
  if (code == cudaSuccess && copied_placed_) code = copy_placed(inputs.placed);
  if (code == cudaSuccess) code = launch_graph_or_enqueue(work, range);
  if (code == cudaSuccess) code = cudaEventRecord(ended_.get(), stream_.get());
  return cuda_fault(code, "launching a batch");
}

std::optional<device_fault> cuda_lane::misbehave(misbehaviour what) {
  return cuda_fault(cuda::misbehave(what, stream_.get()), "misbehaving on purpose");
}

/// Not in a graph: it comes from another place each time.
cudaError_t cuda_lane::copy_placed(std::span<const std::byte> placed) {
  const trace_range range{"transfer"};
  const auto code = cudaMemcpyAsync(device_in_.get(), placed.data(), placed.size(),
                                    cudaMemcpyHostToDevice, stream_.get());
  return code == cudaSuccess ? cudaEventRecord(placed_.get(), stream_.get()) : code;
}

cudaError_t cuda_lane::launch_graph_or_enqueue(const cuda_work& work, copied_range inputs) {
  ++launches_;
  auto* kept = keeps_graphs() ? graph_for({work.shape(), inputs}) : nullptr;
  if (!kept) return enqueue(work, inputs, cudaEventRecordDefault);
  const bool came_before = kept->last_launch != 0;
  kept->last_launch = launches_;
  if (!came_before) return enqueue(work, inputs, cudaEventRecordDefault);
  if (!kept->graph)
    if (const auto code = capture(work, inputs, kept->graph); code != cudaSuccess) return code;
  const trace_range range{"kernel"};
  return cudaGraphLaunch(kept->graph.get(), stream_.get());
}

/// Puts the copy of the inputs and the kernels into the stream.
cudaError_t cuda_lane::enqueue(const cuda_work& work, copied_range inputs, unsigned event_flags) {
  if (const auto code = copy_inputs(inputs, event_flags); code != cudaSuccess) return code;
  const trace_range range{"kernel"};
  return work.enqueue(memory_, stream_.get());
}

cudaError_t cuda_lane::copy_inputs(copied_range inputs, unsigned event_flags) {
  const trace_range range{"transfer"};
  auto* stream = stream_.get();
  auto* to = device_in_.get() + inputs.first;
  const auto* from = in_.get() + inputs.first;
  if (copies_by_kernel_) return cuda::copy_in(to, from, inputs.bytes, times_of_copy(), stream);
  const auto code = cudaMemcpyAsync(to, from, inputs.bytes, cudaMemcpyHostToDevice, stream);
  return code == cudaSuccess ? cudaEventRecordWithFlags(copied_.get(), stream, event_flags) : code;
}

/// Returns what is kept for `key`; null if there is no room for another.
cuda_lane::kept_graph* cuda_lane::graph_for(const graph_key& key) {
  if (const auto found = graphs_.find(key); found != graphs_.end()) return &found->second;
  if (graphs_.size() >= most_graphs) {
    const auto oldest = std::ranges::min_element(
        graphs_, {}, [](const auto& each) { return each.second.last_launch; });
    if (launches_ - oldest->second.last_launch < stale_launches) return nullptr;
    graphs_.erase(oldest);
  }
  return &graphs_[key];
}

cudaError_t cuda_lane::capture(const cuda_work& work, copied_range inputs, cuda_graph& out) {
  auto code = cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal);
  if (code != cudaSuccess) return code;
  code = enqueue(work, inputs, cudaEventRecordExternal); // recorded at every launch
  cudaGraph_t recorded = nullptr;
  const auto ended = cudaStreamEndCapture(stream_.get(), &recorded);
  if (code == cudaSuccess) code = ended;
  if (code == cudaSuccess) {
    cudaGraphExec_t made = nullptr;
    code = cudaGraphInstantiate(&made, recorded, 0);
    out.reset(made);
  }
  if (recorded) cudaGraphDestroy(recorded);
  return code;
}

cuda_lane::progress cuda_lane::poll(std::optional<device_fault>& fault) {
  const auto code = cudaEventQuery(ended_.get());
  if (code == cudaSuccess) return progress::done;
  if (code == cudaErrorNotReady) return progress::running;
  fault = cuda_fault(code, "running a batch");
  return progress::failed;
}

device_times cuda_lane::times() const noexcept {
  const double whole = seconds_between(begun_, ended_);
  double transfer = 0.0;
  if (copies_by_kernel_) {
    const auto& copy = *times_of_copy();
    if (copy.ended > copy.begun) transfer = static_cast<double>(copy.ended - copy.begun) * 1e-9;
    if (copied_placed_) transfer += seconds_between(begun_, placed_);
  } else {
    transfer = seconds_between(begun_, copied_);
  }
  transfer = std::min(transfer, whole);
  return {.transfer_seconds = transfer, .kernel_seconds = whole - transfer};
}

cuda::copy_times* cuda_lane::times_of_copy() const noexcept {
  return reinterpret_cast<cuda::copy_times*>(copy_times_.get());
}

std::optional<device_fault> cuda_lane::drain() noexcept {
  return cuda_fault(cudaStreamSynchronize(stream_.get()), "waiting for a stream");
}

} // namespace engram
