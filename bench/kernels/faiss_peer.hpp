#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

/// FAISS's exact inner-product index over unit-norm rows, as the peer of `bench_search`.
class faiss_peer {
public:
  /// Copies `rows` [n, dim].
  faiss_peer(const float* rows, std::size_t n, std::size_t dim, int threads);
  ~faiss_peer();

  /// Returns the ids [q, k] of the best rows for `queries` [q, dim], best first.
  std::vector<std::int64_t> search(const float* queries, std::size_t q, std::size_t k);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};
