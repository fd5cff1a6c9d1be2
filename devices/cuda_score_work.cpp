// Scores of listed rows, and of targets that come with the request.

#include "engram/devices/cuda_work_kinds.hpp"
#include "engram/kernels/cuda/score.hpp"

#include <tbb/parallel_for.h>

namespace engram {

namespace {

constexpr std::size_t parallel_copy_bytes = 1u << 20;

/// What both have in common: one query for each item, one score for each unit. A piece takes along
/// the queries of the items that it touches.
class scoring_work : public cuda_work {
public:
  std::size_t units() const noexcept override { return units_.size(); }

  std::size_t fitting(std::size_t first, const lane_memory& memory) const noexcept override {
    return most_that_fit(units() - first, [&](std::size_t count) {
      return input_bytes(count, queries_of(first, count)) <= memory.in_bytes &&
             count * sizeof(float) <= memory.out_bytes;
    });
  }

  void collect(const lane_memory& memory) override {
    const auto* scores = at<float>(memory.out, 0);
    std::copy(scores, scores + count_, scores_.begin() + static_cast<std::ptrdiff_t>(first_));
  }

  std::vector<item_output> outputs() override {
    std::vector<item_output> out(items_.size());
    auto next = scores_.begin();
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const auto end = next + static_cast<std::ptrdiff_t>(items_[i].count);
      out[i].scores.assign(next, end);
      next = end;
    }
    return out;
  }

protected:
  explicit scoring_work(const work_batch& batch)
      : items_(batch.items), units_(flatten(batch.items)), dim_(batch.dim), scores_(units_.size()) {
    item_of_.reserve(units_.size());
    for (std::uint32_t i = 0; i < items_.size(); ++i)
      item_of_.insert(item_of_.end(), items_[i].count, i);
  }

  /// Returns the bytes of a piece's inputs.
  virtual std::size_t input_bytes(std::size_t count, std::size_t queries) const noexcept = 0;

  std::size_t stride() const noexcept { return cuda::row_stride(dim_); }
  std::size_t queries_of(std::size_t first, std::size_t count) const noexcept {
    return item_of_[first + count - 1] - item_of_[first] + 1;
  }
  void begin_piece(std::size_t first, std::size_t count) noexcept {
    first_ = first;
    count_ = count;
    queries_ = queries_of(first, count);
  }
  /// Returns which of the piece's queries its `i`-th unit is scored with.
  std::uint32_t query_of(std::size_t i) const noexcept {
    return item_of_[first_ + i] - item_of_[first_];
  }
  void write_queries(float* queries, float* inverse_norms) const noexcept {
    for (std::size_t q = 0; q < queries_; ++q) {
      const auto& payload = *items_[item_of_[first_] + q].payload;
      write_row(queries + q * stride(), payload.query_rows().data(), dim_, stride());
      inverse_norms[q] = payload.inverse_norms.front();
    }
  }

  std::vector<work_item> items_; // keeps the payloads
  std::vector<work_unit> units_;
  std::vector<std::uint32_t> item_of_; ///< by unit
  std::size_t dim_;
  std::vector<float> scores_;                       ///< by unit
  std::size_t first_ = 0, count_ = 0, queries_ = 0; ///< the piece filled last
};

class score_work final : public scoring_work {
public:
  score_work(const work_batch& batch, resident_ptr resident)
      : scoring_work(batch), resident_(std::move(resident)) {}

  piece_inputs fill(std::size_t first, std::size_t count, const lane_memory& memory) override {
    begin_piece(first, count);
    const inputs in(count, queries_, stride());
    write_queries(at<float>(memory.in, in.queries), at<float>(memory.in, in.inverse_norms));
    auto* pairs = at<cuda::score_pair>(memory.in, in.pairs);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [payload, index] = units_[first + i];
      pairs[i] = {query_of(i), payload->ids[index]};
    }
    return {in.layout.bytes()};
  }

  piece_shape shape() const noexcept override {
    return {static_cast<std::uint64_t>(operation::score), resident_->upload, count_, queries_, 0};
  }

  cudaError_t enqueue(const lane_memory& memory, cudaStream_t stream) const noexcept override {
    const inputs in(count_, queries_, stride());
    return cuda::score(resident_->rows, at<float>(memory.device_in, in.queries),
                       at<float>(memory.device_in, in.inverse_norms),
                       at<cuda::score_pair>(memory.device_in, in.pairs), count_,
                       at<float>(memory.out, 0), stream);
  }

protected:
  std::size_t input_bytes(std::size_t count, std::size_t queries) const noexcept override {
    return inputs(count, queries, stride()).layout.bytes();
  }

private:
  struct inputs {
    lane_layout layout;
    std::size_t queries, inverse_norms, pairs;
    inputs(std::size_t count, std::size_t query_count, std::size_t stride)
        : queries(layout.take<float>(query_count * stride)),
          inverse_norms(layout.take<float>(query_count)),
          pairs(layout.take<cuda::score_pair>(count)) {}
  };

  resident_ptr resident_;
};

class similarity_work final : public scoring_work {
public:
  similarity_work(const work_batch& batch, const pinned_regions& pinned)
      : scoring_work(batch), pinned_(pinned) {}

  piece_inputs fill(std::size_t first, std::size_t count, const lane_memory& memory) override {
    begin_piece(first, count);
    const inputs in(count, queries_, stride());
    write_queries(at<float>(memory.in, in.queries), at<float>(memory.in, in.inverse_norms));
    auto* query = at<std::uint32_t>(memory.in, in.query_of);
    auto* targets = at<float>(memory.in, in.targets);
    const auto row = [&](std::size_t i) {
      const auto& [payload, index] = units_[first + i];
      return payload->target_rows().row(index).data();
    };
    const auto placed = placed_rows(pinned_, count, dim_, stride(), row);
    const auto write = [&](std::size_t i) {
      query[i] = query_of(i);
      if (placed.empty()) write_row(targets + i * stride(), row(i), dim_, stride());
    };
    // One core copies slower than the bus to the GPU carries.
    if (placed.empty() && count * stride() * sizeof(float) >= parallel_copy_bytes)
      tbb::parallel_for(std::size_t{0}, count, write);
    else
      for (std::size_t i = 0; i < count; ++i)
        write(i);
    return {in.layout.bytes(), placed};
  }

  piece_shape shape() const noexcept override {
    return {static_cast<std::uint64_t>(operation::similarity), dim_, count_, queries_, 0};
  }

  cudaError_t enqueue(const lane_memory& memory, cudaStream_t stream) const noexcept override {
    const inputs in(count_, queries_, stride());
    return cuda::similarity(
        at<float>(memory.device_in, in.queries), at<float>(memory.device_in, in.inverse_norms),
        dim_, at<float>(memory.device_in, in.targets),
        at<std::uint32_t>(memory.device_in, in.query_of), count_, at<float>(memory.out, 0), stream);
  }

protected:
  std::size_t input_bytes(std::size_t count, std::size_t queries) const noexcept override {
    return inputs(count, queries, stride()).layout.bytes();
  }

private:
  struct inputs {
    lane_layout layout;
    std::size_t targets, queries, inverse_norms, query_of;
    inputs(std::size_t count, std::size_t query_count, std::size_t stride)
        : targets(layout.take<float>(count * stride)),
          queries(layout.take<float>(query_count * stride)),
          inverse_norms(layout.take<float>(query_count)),
          query_of(layout.take<std::uint32_t>(count)) {}
  };

  const pinned_regions& pinned_;
};

} // namespace

std::unique_ptr<cuda_work> make_cuda_score(const work_batch& batch, resident_ptr resident) {
  return std::make_unique<score_work>(batch, std::move(resident));
}

std::unique_ptr<cuda_work> make_cuda_similarity(const work_batch& batch,
                                                const pinned_regions& pinned) {
  return std::make_unique<similarity_work>(batch, pinned);
}

} // namespace engram
