#include "engram/devices/cuda_work_kinds.hpp"
#include "engram/kernels/cuda/spread.hpp"

#include <bit>

namespace engram {

namespace {

class spread_work final : public cuda_work {
public:
  spread_work(const work_batch& batch, resident_ptr resident)
      : items_(batch.items), resident_(std::move(resident)), sets_(flatten(batch.items)),
        answers_(sets_.size()) {
    planted_.resize(sets_.size());
    for (std::size_t s = 0; s < sets_.size(); ++s)
      cuda::plant(0, sets_[s].payload->seed_sets[sets_[s].index], planted_[s]);
  }

  std::size_t units() const noexcept override { return sets_.size(); }

  std::size_t fitting(std::size_t first, const lane_memory& memory) const noexcept override {
    const auto limit = std::min(sets_.size() - first, cuda::max_spread_sets);
    return most_that_fit(limit, [&](std::size_t count) {
      const auto top = top_of(first, count);
      return inputs(count, seeds_of(first, count)).layout.bytes() <= memory.in_bytes &&
             results(count, stride_for(top)).layout.bytes() <= memory.out_bytes &&
             cuda::spread_workspace_bytes(nodes(), count, top) <= memory.workspace_bytes;
    });
  }

  piece_inputs fill(std::size_t first, std::size_t count, const lane_memory& memory) override {
    first_ = first;
    count_ = count;
    top_ = top_of(first, count);
    const auto seeds = seeds_of(first, count);
    const inputs in(count, seeds);
    *at<std::uint32_t>(memory.in, in.seed_count) = static_cast<std::uint32_t>(seeds);
    auto* next = at<cuda::planted_seed>(memory.in, in.seeds);
    for (std::size_t s = 0; s < count; ++s) {
      at<spread_options>(memory.in, in.options)[s] = sets_[first + s].payload->spread;
      for (const auto& seed : planted_[first + s])
        *next++ = {static_cast<std::uint32_t>(s), seed.node, seed.amount};
    }
    return {in.layout.bytes()};
  }

  piece_shape shape() const noexcept override {
    return {static_cast<std::uint64_t>(operation::spread), resident_->upload, count_, top_, 0};
  }

  cudaError_t enqueue(const lane_memory& memory, cudaStream_t stream) const noexcept override {
    const inputs in(count_, 0); // the seeds come last: their number moves nothing
    const auto stride = stride_for(top_);
    const results out(count_, stride);
    return cuda::spread(resident_->graph,
                        {.sets = count_,
                         .top = top_,
                         .seeds = at<cuda::planted_seed>(memory.device_in, in.seeds),
                         .seed_count = at<std::uint32_t>(memory.device_in, in.seed_count),
                         .options = at<spread_options>(memory.device_in, in.options),
                         .hits = at<hit>(memory.out, out.hits),
                         .hit_stride = stride,
                         .counts = at<std::uint32_t>(memory.out, out.counts),
                         .hops = at<std::uint32_t>(memory.out, out.hops)},
                        memory.workspace, stream);
  }

  void collect(const lane_memory& memory) override {
    const auto stride = stride_for(top_);
    const results out(count_, stride);
    for (std::size_t s = 0; s < count_; ++s) {
      auto& mine = answers_[first_ + s];
      const auto* hits = at<hit>(memory.out, out.hits) + s * stride;
      mine.hits.assign(hits, hits + at<std::uint32_t>(memory.out, out.counts)[s]);
      mine.hops = at<std::uint32_t>(memory.out, out.hops)[s];
    }
  }

  std::vector<item_output> outputs() override {
    std::vector<item_output> out(items_.size());
    auto next = answers_.begin();
    for (std::size_t i = 0; i < items_.size(); ++i)
      for (std::size_t s = 0; s < items_[i].count; ++s, ++next) {
        out[i].counts.push_back(static_cast<std::uint32_t>(next->hits.size()));
        out[i].hops.push_back(next->hops);
        out[i].hits.insert(out[i].hits.end(), next->hits.begin(), next->hits.end());
      }
    return out;
  }

private:
  struct inputs {
    lane_layout layout;
    std::size_t seed_count, options, seeds;
    inputs(std::size_t sets, std::size_t seeds_in_all)
        : seed_count(layout.take<std::uint32_t>(1)), options(layout.take<spread_options>(sets)),
          seeds(layout.take<cuda::planted_seed>(seeds_in_all)) {}
  };
  struct results {
    lane_layout layout;
    std::size_t counts, hops, hits;
    results(std::size_t sets, std::size_t stride)
        : counts(layout.take<std::uint32_t>(sets)), hops(layout.take<std::uint32_t>(sets)),
          hits(layout.take<hit>(sets * stride)) {}
  };
  struct answer {
    std::vector<hit> hits;
    std::uint32_t hops = 0;
  };

  std::size_t nodes() const noexcept { return resident_->graph.nodes; }
  std::size_t seeds_of(std::size_t first, std::size_t count) const noexcept {
    std::size_t sum = 0;
    for (std::size_t s = first; s < first + count; ++s)
      sum += planted_[s].size();
    return sum;
  }
  /// Returns the sets' largest `top`, rounded up so that few graphs serve all; 0 if one wants all.
  std::uint32_t top_of(std::size_t first, std::size_t count) const noexcept {
    std::uint32_t most = 16;
    for (std::size_t s = first; s < first + count; ++s) {
      const auto top = sets_[s].payload->spread.top;
      if (top == 0 || top > cuda::max_spread_top) return 0;
      most = std::max(most, top);
    }
    return std::bit_ceil(most);
  }
  std::size_t stride_for(std::uint32_t top) const noexcept {
    return top == 0 ? nodes() : std::min<std::size_t>(nodes(), top);
  }

  std::vector<work_item> items_; // keeps the payloads
  resident_ptr resident_;
  std::vector<work_unit> sets_;
  std::vector<std::vector<cuda::planted_seed>> planted_; ///< by set
  std::vector<answer> answers_;                          ///< by set
  std::size_t first_ = 0, count_ = 0;                    ///< the piece filled last
  std::uint32_t top_ = 0;
};

} // namespace

std::unique_ptr<cuda_work> make_cuda_spread(const work_batch& batch, resident_ptr resident) {
  return std::make_unique<spread_work>(batch, std::move(resident));
}

} // namespace engram
