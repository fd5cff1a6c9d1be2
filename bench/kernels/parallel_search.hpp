#pragma once

/// Searches with several threads as devices/ does: rows cut into blocks, one running top-k a query
/// and thread, merged at the end.

#include "engram/kernels/cosine.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <vector>

namespace engram::bench {

class parallel_search {
public:
  parallel_search(isa level, int threads, std::size_t rows_per_block)
      : kernels_(cosine_kernels_for(level)), arena_(threads), rows_per_block_(rows_per_block) {}

  /// Returns the best `k` rows of each query, best first.
  std::vector<std::vector<hit>> run(const query_block& block, const row_view& rows, std::size_t k) {
    for (worker& w : workers_)
      w.best.clear();
    arena_.execute([&] {
      oneapi::tbb::parallel_for(
          oneapi::tbb::blocked_range<std::size_t>(0, rows.rows, rows_per_block_),
          [&](const auto& range) {
            worker& mine = workers_.local();
            if (mine.best.empty()) mine.best.assign(block.queries.rows(), top_k(k));
            kernels_.search_rows(block, rows, range.begin(), range.end(), mine.best, mine.scratch);
          },
          oneapi::tbb::simple_partitioner());
    });
    return merged(block.queries.rows(), k);
  }

private:
  struct worker {
    std::vector<top_k> best; // empty until the thread takes its first block of a search
    search_scratch scratch;
  };

  std::vector<std::vector<hit>> merged(std::size_t queries, std::size_t k) {
    std::vector<std::vector<hit>> answers;
    for (std::size_t q = 0; q < queries; ++q) {
      top_k best(k);
      for (const worker& w : workers_)
        if (!w.best.empty()) best.merge(w.best[q]);
      answers.push_back(best.take_sorted());
    }
    return answers;
  }

  const cosine_kernels& kernels_;
  oneapi::tbb::task_arena arena_;
  std::size_t rows_per_block_;
  oneapi::tbb::enumerable_thread_specific<worker> workers_;
};

} // namespace engram::bench
