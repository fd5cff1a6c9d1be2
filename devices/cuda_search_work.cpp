#include "engram/devices/cuda_work_kinds.hpp"
#include "engram/kernels/cuda/search.hpp"
#include "engram/kernels/cuda/select.hpp"

#include <bit>
#include <numeric>

namespace engram {

namespace {

using cuda::search_pass;

struct search_inputs {
  lane_layout layout;
  std::size_t queries, inverse_norms, k;

  search_inputs(std::size_t count, std::size_t stride)
      : queries(layout.take<float>(count * stride)), inverse_norms(layout.take<float>(count)),
        k(layout.take<std::uint32_t>(count)) {}
};

struct search_results {
  lane_layout layout;
  std::size_t hits, counts;

  search_results(std::size_t count, std::uint32_t max_k)
      : hits(layout.take<hit>(count * max_k)), counts(layout.take<std::uint32_t>(count)) {}
};

/// Queries go through the filter where there is one; those that it could not prove are appended
/// and scanned.
class search_work final : public cuda_work {
public:
  search_work(const work_batch& batch, resident_ptr resident, bool has_filter,
              const pinned_regions& pinned)
      : items_(batch.items), resident_(std::move(resident)), pinned_(pinned),
        queries_(flatten(batch.items)), found_(queries_.size()) {
    std::uint32_t most = 1;
    for (const auto& item : items_)
      most = std::max(most, item.payload->k);
    // Few sizes, so that few graphs serve all.
    max_k_ = std::min<std::uint32_t>(std::bit_ceil(std::max(most, 16u)), cuda::max_take);
    for (std::uint32_t q = 0; q < queries_.size(); ++q)
      if (inverse_norm(q) == 0.0f)
        answer_zero_vector(q); // every score is 0, which no filter could part
      else
        order_.push_back(q);
    filtered_ = has_filter && cuda::faster_pass(rows(), order_.size()) == search_pass::filter
                    ? order_.size()
                    : 0;
  }

  std::size_t units() const noexcept override { return order_.size(); }

  std::size_t fitting(std::size_t first, const lane_memory& memory) const noexcept override {
    const auto pass = pass_at(first);
    const auto end = pass == search_pass::filter ? filtered_ : order_.size();
    constexpr std::size_t most = 32'768; // queries in one launch
    return most_that_fit(std::min(end - first, most), [&](std::size_t count) {
      return search_inputs(count, rows().stride()).layout.bytes() <= memory.in_bytes &&
             search_results(count, max_k_).layout.bytes() <= memory.out_bytes &&
             cuda::search_workspace_bytes(rows(), count, max_k_, pass) <= memory.workspace_bytes;
    });
  }

  piece_inputs fill(std::size_t first, std::size_t count, const lane_memory& memory) override {
    first_ = first;
    count_ = count;
    const auto stride = rows().stride();
    const search_inputs inputs(count, stride);
    const auto row = [&](std::size_t i) {
      const auto& [payload, index] = queries_[order_[first + i]];
      return payload->query_rows().row(index).data();
    };
    const auto placed = placed_rows(pinned_, count, rows().dim, stride, row);
    for (std::size_t i = 0; i < count; ++i) {
      const auto q = order_[first + i];
      const auto& payload = queries_[q].payload;
      if (placed.empty())
        write_row(at<float>(memory.in, inputs.queries) + i * stride, row(i), payload->dim, stride);
      at<float>(memory.in, inputs.inverse_norms)[i] = inverse_norm(q);
      at<std::uint32_t>(memory.in, inputs.k)[i] = payload->k;
    }
    return {inputs.layout.bytes(), placed};
  }

  piece_shape shape() const noexcept override {
    return {static_cast<std::uint64_t>(operation::search), resident_->upload, count_, max_k_,
            static_cast<std::uint64_t>(pass_at(first_))};
  }

  cudaError_t enqueue(const lane_memory& memory, cudaStream_t stream) const noexcept override {
    const search_inputs inputs(count_, rows().stride());
    const search_results results(count_, max_k_);
    return cuda::search(rows(),
                        {.queries = at<float>(memory.device_in, inputs.queries),
                         .inverse_norms = at<float>(memory.device_in, inputs.inverse_norms),
                         .k = at<std::uint32_t>(memory.device_in, inputs.k),
                         .count = count_,
                         .max_k = max_k_,
                         .hits = at<hit>(memory.out, results.hits),
                         .hit_counts = at<std::uint32_t>(memory.out, results.counts)},
                        pass_at(first_), memory.workspace, stream);
  }

  void collect(const lane_memory& memory) override {
    const search_results results(count_, max_k_);
    const auto* counts = at<std::uint32_t>(memory.out, results.counts);
    for (std::size_t i = 0; i < count_; ++i) {
      const auto q = order_[first_ + i];
      const auto* hits = at<hit>(memory.out, results.hits) + i * max_k_;
      if (counts[i] == cuda::overflowed)
        order_.push_back(q);
      else
        found_[q].assign(hits, hits + counts[i]);
    }
  }

  std::vector<item_output> outputs() override {
    std::vector<item_output> out(items_.size());
    auto next = found_.begin();
    for (std::size_t i = 0; i < items_.size(); ++i)
      for (std::size_t r = 0; r < items_[i].count; ++r, ++next) {
        out[i].counts.push_back(static_cast<std::uint32_t>(next->size()));
        if (items_[i].count == 1)
          out[i].hits = std::move(*next);
        else
          out[i].hits.insert(out[i].hits.end(), next->begin(), next->end());
      }
    return out;
  }

private:
  const cuda::device_rows& rows() const noexcept { return resident_->rows; }
  search_pass pass_at(std::size_t first) const noexcept {
    return first < filtered_ ? search_pass::filter : search_pass::scan;
  }
  float inverse_norm(std::uint32_t q) const noexcept {
    return queries_[q].payload->inverse_norms[queries_[q].index];
  }
  void answer_zero_vector(std::uint32_t q) {
    found_[q].resize(std::min<std::size_t>(queries_[q].payload->k, rows().rows));
    for (std::uint32_t id = 0; id < found_[q].size(); ++id)
      found_[q][id] = {id, 0.0f};
  }

  std::vector<work_item> items_; // keeps the payloads
  resident_ptr resident_;
  const pinned_regions& pinned_;
  std::vector<work_unit> queries_;
  std::vector<std::vector<hit>> found_; ///< by query
  std::vector<std::uint32_t> order_;    ///< queries to do, the filtered ones first
  std::size_t filtered_ = 0;
  std::uint32_t max_k_ = 0;
  std::size_t first_ = 0, count_ = 0; ///< the piece filled last
};

} // namespace

std::unique_ptr<cuda_work> make_cuda_search(const work_batch& batch, resident_ptr resident,
                                            bool has_filter, const pinned_regions& pinned) {
  return std::make_unique<search_work>(batch, std::move(resident), has_filter, pinned);
}

} // namespace engram
