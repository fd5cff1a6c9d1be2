#include "engram/devices/cuda_dataset.hpp"

#include "engram/devices/cuda_error.hpp"
#include "engram/kernels/cuda/narrow.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

namespace engram {

namespace {

constexpr std::size_t piece_bytes = 8u << 20;
constexpr std::size_t narrow_bytes = 2; // of a bfloat16

struct row_bytes {
  std::size_t stored, padded, narrow;

  explicit row_bytes(const vector_collection& rows) noexcept
      : stored(rows.dim() * size_of(rows.type())),
        padded(cuda::row_stride(rows.dim()) * size_of(rows.type())),
        narrow(rows.type() == element_type::f32 ? cuda::row_stride(rows.dim()) * narrow_bytes : 0) {
  }
};

void place_rows(const std::byte* data, const std::byte* norms, const std::byte* narrow,
                cuda_dataset& out) noexcept {
  out.rows.data = data;
  out.rows.inverse_norms = reinterpret_cast<const float*>(norms);
  out.rows.narrow = narrow;
}

void place_graph(const std::byte* in_offsets, const std::byte* in_edges,
                 const std::byte* out_offsets, const std::byte* out_targets,
                 cuda_dataset& out) noexcept {
  out.graph.in_offsets = reinterpret_cast<const std::uint64_t*>(in_offsets);
  out.graph.in_edges = reinterpret_cast<const cuda::in_edge*>(in_edges);
  out.graph.out_offsets = reinterpret_cast<const std::uint64_t*>(out_offsets);
  out.graph.out_targets = reinterpret_cast<const node_id*>(out_targets);
}

} // namespace

std::uint64_t device_bytes(const dataset& data) noexcept {
  const auto whole = &vram_budget::rounded;
  if (const auto* rows = data.collection()) {
    const row_bytes each(*rows);
    // The last: what rounding moved, while it is being found out.
    return whole(rows->size() * each.padded) + whole(rows->size() * sizeof(float)) +
           whole(rows->size() * each.narrow) + whole(each.narrow ? sizeof(float) : 0);
  }
  const auto& graph = *data.graph();
  return 2 * whole((graph.nodes() + 1) * sizeof(std::uint64_t)) +
         whole(graph.edges() * sizeof(cuda::in_edge)) + whole(graph.edges() * sizeof(node_id));
}

cuda_dataset outline_of(const dataset_ptr& data) {
  static std::atomic<std::uint64_t> uploads{0};
  cuda_dataset out;
  out.data = data;
  out.upload = ++uploads;
  if (const auto* rows = data->collection()) {
    out.rows.type = rows->type();
    out.rows.rows = rows->size();
    out.rows.dim = rows->dim();
    out.rows.narrow_type = rows->type() == element_type::f32 ? element_type::bf16 : rows->type();
  } else {
    out.graph.nodes = data->graph()->nodes();
    out.graph.edges = data->graph()->edges();
  }
  return out;
}

cudaError_t share(const cuda_dataset& dataset, resident_memory& out) {
  for (const auto& each : dataset.shared) {
    auto& part = out.parts.emplace_back();
    part.bytes = each.bytes();
    if (const auto code = each.share(part.handle); code != cudaSuccess) return code;
  }
  out.detail = std::bit_cast<std::uint32_t>(dataset.rows.narrow_residual);
  return cudaSuccess;
}

std::optional<device_fault> map_shared(int ordinal, const dataset_ptr& data,
                                       const resident_memory& memory, cuda_dataset& out) {
  out = outline_of(data);
  std::vector<const std::byte*> at;
  for (const auto& part : memory.parts) {
    auto& mapped = out.shared.emplace_back();
    if (auto fault = cuda_fault(mapped.map(ordinal, part.handle, part.bytes),
                                "mapping \"" + data->name + '"')) {
      out.shared.clear();
      return fault;
    }
    at.push_back(mapped.get());
  }
  out.rows.narrow_residual = std::bit_cast<float>(static_cast<std::uint32_t>(memory.detail));
  if (data->collection() && at.size() >= 2)
    place_rows(at[0], at[1], at.size() > 2 ? at[2] : at[0], out);
  else if (data->graph() && at.size() == 4)
    place_graph(at[0], at[1], at[2], at[3], out);
  else
    return device_fault{fault_class::transient, "the memory is not that of \"" + data->name + '"'};
  return std::nullopt;
}

std::optional<device_fault> cuda_uploader::open() {
  failure_ = cudaSuccess;
  note(make(stream_));
  for (auto& each : pieces_) {
    note(each.memory.allocate(piece_bytes));
    note(make(each.copied));
  }
  return cuda_fault(failure_, "making room for uploads");
}

std::optional<device_fault> cuda_uploader::upload(const dataset_ptr& data, vram_budget& budget,
                                                  cuda_dataset& out) {
  failure_ = cudaSuccess;
  out = outline_of(data);
  if (const auto* rows = data->collection())
    upload_rows(*rows, budget, out);
  else
    upload_graph(*data->graph(), budget, out);
  note(cudaStreamSynchronize(stream_.get()));
  if (failure_ != cudaSuccess) {
    out.memory.clear();
    out.shared.clear();
  }
  return cuda_fault(failure_, "uploading \"" + data->name + '"');
}

/// Remembers the first failure; true while there is none.
bool cuda_uploader::note(cudaError_t code) noexcept {
  if (failure_ == cudaSuccess) failure_ = code;
  return failure_ == cudaSuccess;
}

std::byte* cuda_uploader::add_memory(std::size_t bytes, vram_budget& budget, cuda_dataset& out) {
  if (sharing_ordinal_) {
    auto& memory = out.shared.emplace_back();
    note(memory.allocate(*sharing_ordinal_, bytes, budget));
    return memory.get();
  }
  auto& memory = out.memory.emplace_back();
  note(memory.allocate(bytes, budget));
  return memory.get();
}

/// Copies `units` units; `fill(staging, first, count)` writes those of one piece.
template <class Fill>
void cuda_uploader::copy(std::byte* to, std::size_t unit_bytes, std::size_t units, Fill&& fill) {
  const std::size_t at_once = std::max<std::size_t>(1, piece_bytes / unit_bytes);
  for (std::size_t first = 0; first < units && failure_ == cudaSuccess; first += at_once) {
    auto& [memory, copied] = pieces_[next_piece_];
    next_piece_ ^= 1;
    const auto count = std::min(at_once, units - first);
    if (!note(cudaEventSynchronize(copied.get()))) return; // its last copy
    fill(memory.get(), first, count);
    note(cudaMemcpyAsync(to + first * unit_bytes, memory.get(), count * unit_bytes,
                         cudaMemcpyHostToDevice, stream_.get()));
    note(cudaEventRecord(copied.get(), stream_.get()));
  }
}

void cuda_uploader::copy_plain(std::byte* to, const void* from, std::size_t bytes) {
  copy(to, 1, bytes, [from](std::byte* staging, std::size_t first, std::size_t count) {
    std::memcpy(staging, static_cast<const std::byte*>(from) + first, count);
  });
}

void cuda_uploader::upload_rows(const vector_collection& rows, vram_budget& budget,
                                cuda_dataset& out) {
  const row_bytes each(rows);
  const auto view = rows.rows();
  auto* data = add_memory(rows.size() * each.padded, budget, out);
  auto* norms = add_memory(rows.size() * sizeof(float), budget, out);
  auto* narrow = each.narrow ? add_memory(rows.size() * each.narrow, budget, out) : data;
  if (failure_ != cudaSuccess) return;
  copy(data, each.padded, rows.size(),
       [&](std::byte* staging, std::size_t first, std::size_t count) {
         if (each.padded == each.stored) {
           std::memcpy(staging, view.row(first), count * each.stored);
           return;
         }
         std::memset(staging, 0, count * each.padded);
         for (std::size_t r = 0; r < count; ++r)
           std::memcpy(staging + r * each.padded, view.row(first + r), each.stored);
       });
  copy_plain(norms, view.inverse_norms, rows.size() * sizeof(float));
  place_rows(data, norms, narrow, out);
  if (each.narrow == 0) return;
  device_memory residual;
  if (!note(residual.allocate(sizeof(float), budget))) return;
  note(cudaMemsetAsync(residual.get(), 0, sizeof(float), stream_.get()));
  note(cuda::narrow_rows(reinterpret_cast<const float*>(data), out.rows.inverse_norms, rows.size(),
                         out.rows.stride(), narrow, reinterpret_cast<float*>(residual.get()),
                         stream_.get()));
  note(cudaMemcpyAsync(&out.rows.narrow_residual, residual.get(), sizeof(float),
                       cudaMemcpyDeviceToHost, stream_.get()));
  note(cudaStreamSynchronize(stream_.get()));
}

void cuda_uploader::upload_graph(const activation_graph& graph, vram_budget& budget,
                                 cuda_dataset& out) {
  const auto view = graph.view();
  const auto offset_bytes = (view.nodes + 1) * sizeof(std::uint64_t);
  auto* in_offsets = add_memory(offset_bytes, budget, out);
  auto* in_edges = add_memory(view.edges * sizeof(cuda::in_edge), budget, out);
  auto* out_offsets = add_memory(offset_bytes, budget, out);
  auto* out_targets = add_memory(view.edges * sizeof(node_id), budget, out);
  if (failure_ != cudaSuccess) return;
  copy_plain(in_offsets, view.in_offsets, offset_bytes);
  copy(in_edges, sizeof(cuda::in_edge), view.edges,
       [&](std::byte* staging, std::size_t first, std::size_t count) {
         auto* edges = reinterpret_cast<cuda::in_edge*>(staging);
         for (std::size_t e = 0; e < count; ++e)
           edges[e] = {view.in_sources[first + e], view.in_weights[first + e]};
       });
  copy_plain(out_offsets, view.out_offsets, offset_bytes);
  copy_plain(out_targets, view.out_targets, view.edges * sizeof(node_id));
  place_graph(in_offsets, in_edges, out_offsets, out_targets, out);
}

} // namespace engram
