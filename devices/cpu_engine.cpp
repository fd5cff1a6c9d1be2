#include "engram/devices/cpu_device.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/kernels/spread.hpp"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace engram {

namespace {

// Multiply-adds that one core with AVX-512 does in about 30 us, which is what waking another one
// costs.
constexpr double inline_work = 500'000;
// Multiply-adds of one piece of a similarity or score item: long enough to hide taking the next
// piece.
constexpr std::size_t piece_work = 1 << 17;
// Rows of one piece of a search, at least and at most. Many queries are packed anew for each piece,
// so theirs are longer.
constexpr std::size_t min_piece_rows = 256;
constexpr std::size_t max_piece_rows(std::size_t queries) noexcept {
  return queries <= 8 ? 2048 : 8192;
}
// Pieces that each lane should find, so that the last to finish is not far behind.
constexpr std::size_t pieces_per_lane = 4;
// Hits that are worth merging and sorting on several cores.
constexpr std::size_t parallel_merge_hits = 50'000;
// Callers that can work inside the arena beside its own threads: the CPU worker and some simulated
// GPUs. Any more wait for one of these to leave.
constexpr unsigned caller_slots = 4;

/// Memory that one lane reuses from batch to batch.
struct lane_scratch {
  search_scratch search;
  spread_scratch spread;
  std::vector<top_k> best;              ///< one for each query
  std::vector<std::vector<hit>> sorted; ///< one for each query
  std::vector<float> queries;           ///< [q, dim], the queries of all items
  std::vector<float> inverse_norms;     ///< [q]
};

/// Lends scratch memory. A lane holds its own by lease and not by thread, because a thread that
/// waits for its lanes may run those of another batch meanwhile.
class scratch_pool {
public:
  class lease {
  public:
    explicit lease(scratch_pool& pool) : pool_(&pool), held_(pool.take()) {}
    ~lease() {
      if (held_) pool_->give_back(std::move(held_));
    }
    lease(lease&&) noexcept = default;
    lease& operator=(lease&&) = delete;

    lane_scratch& operator*() const noexcept { return *held_; }
    lane_scratch* operator->() const noexcept { return held_.get(); }

  private:
    scratch_pool* pool_;
    std::unique_ptr<lane_scratch> held_;
  };

private:
  std::unique_ptr<lane_scratch> take() {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto scratch = std::move(free_.back());
        free_.pop_back();
        return scratch;
      }
    }
    return std::make_unique<lane_scratch>();
  }

  void give_back(std::unique_ptr<lane_scratch> scratch) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<lane_scratch>> free_;
};

/// Hands out the numbers 0 .. pieces - 1 to whoever asks next.
class piece_counter {
public:
  explicit piece_counter(std::size_t pieces) noexcept : pieces_(pieces) {}

  /// Calls `body(piece)` for piece after piece until all have been handed out.
  template <class Body>
  void drain(Body&& body) {
    for (std::size_t piece; (piece = next_.fetch_add(1, std::memory_order_relaxed)) < pieces_;)
      body(piece);
  }

private:
  std::atomic<std::size_t> next_{0};
  std::size_t pieces_;
};

/// Calls `f(item, output)` for each item with its output.
template <class F>
void for_each_item(const work_batch& batch, std::vector<item_output>& outputs, F&& f) {
  for (std::size_t i = 0; i < batch.items.size(); ++i)
    f(batch.items[i], outputs[i]);
}

void append_hits(item_output& output, std::vector<hit>&& hits, std::size_t rows) {
  output.counts.push_back(static_cast<std::uint32_t>(hits.size()));
  if (rows == 1)
    output.hits = std::move(hits);
  else
    output.hits.insert(output.hits.end(), hits.begin(), hits.end());
}

std::uint32_t thread_count(std::uint32_t wanted) noexcept {
  return wanted ? wanted : std::max(1U, std::thread::hardware_concurrency());
}

} // namespace

struct cpu_engine::impl {
  impl(isa level, std::uint32_t wanted)
      : kernels(cosine_kernels_for(level)), threads(thread_count(wanted)),
        arena(static_cast<int>(threads - 1 + caller_slots), caller_slots) {
    // oneTBB starts no more threads than there are cores unless it is told to.
    if (static_cast<int>(threads) > tbb::info::default_concurrency())
      more_threads.emplace(tbb::global_control::max_allowed_parallelism, threads);
  }

  const cosine_kernels& kernels;
  std::size_t threads;
  std::optional<tbb::global_control> more_threads;
  tbb::task_arena arena; // its own threads - 1, and each caller in a slot of its own
  scratch_pool pool;

  /// Returns how many lanes `pieces` pieces of work are done in.
  std::size_t lanes_for(double work, std::size_t pieces) const noexcept {
    return work < inline_work ? 1 : std::clamp<std::size_t>(pieces, 1, threads);
  }

  /// Calls `body(lane)` for each lane, on this thread if there is one only.
  template <class Body>
  void in_lanes(std::size_t lanes, const Body& body) {
    if (lanes == 1) return body(std::size_t{0});
    arena.execute([&] {
      // Isolated, because while this thread waits for its last lane it must not take up a lane of
      // another batch, which may be much longer.
      tbb::this_task_arena::isolate(
          [&] { tbb::parallel_for(std::size_t{0}, lanes, body, tbb::simple_partitioner{}); });
    });
  }

  std::vector<scratch_pool::lease> lease(std::size_t lanes) {
    std::vector<scratch_pool::lease> leases;
    leases.reserve(lanes);
    for (std::size_t l = 0; l < lanes; ++l)
      leases.emplace_back(pool);
    return leases;
  }

  void search(const work_batch& batch, std::vector<item_output>& outputs);
  void find_best(const work_batch& batch, const query_block& block, const row_view& rows,
                 std::span<const scratch_pool::lease> leases);
  void merge_and_sort(std::span<const scratch_pool::lease> leases);
  void score(const work_batch& batch, std::vector<item_output>& outputs);
  void score_piece(const work_item& item, std::size_t first, std::size_t last,
                   item_output& output) const;
  void spread(const work_batch& batch, std::vector<item_output>& outputs);
};

// -- search --

namespace {

/// Returns the queries of all items as one block: the payload's own memory for one item, else a
/// copy in `scratch`.
query_block gather(const work_batch& batch, lane_scratch& scratch) {
  if (batch.items.size() == 1) {
    const auto& [payload, first, count] = batch.items.front();
    return {payload->query_rows().rows(first, count),
            std::span(payload->inverse_norms).subspan(first, count)};
  }
  scratch.queries.clear();
  scratch.inverse_norms.clear();
  for (const auto& [payload, first, count] : batch.items) {
    const auto rows = payload->query_rows().rows(first, count);
    scratch.queries.insert(scratch.queries.end(), rows.data(), rows.data() + rows.size());
    const auto norms = std::span(payload->inverse_norms).subspan(first, count);
    scratch.inverse_norms.insert(scratch.inverse_norms.end(), norms.begin(), norms.end());
  }
  return {{scratch.queries.data(), scratch.inverse_norms.size(), batch.dim}, scratch.inverse_norms};
}

void open_selections(const work_batch& batch, std::vector<top_k>& best) {
  best.clear();
  for (const auto& item : batch.items)
    best.insert(best.end(), item.count, top_k(item.payload->k));
}

} // namespace

void cpu_engine::impl::search(const work_batch& batch, std::vector<item_output>& outputs) {
  const auto rows = batch.data->collection()->rows();
  const auto most_lanes = (rows.rows + min_piece_rows - 1) / min_piece_rows;
  const auto leases = lease(lanes_for(batch.work(), most_lanes));
  find_best(batch, gather(batch, *leases.front()), rows, leases);
  merge_and_sort(leases);
  auto next = leases.front()->sorted.begin();
  for_each_item(batch, outputs, [&](const work_item& item, item_output& output) {
    output.counts.reserve(item.count);
    for (std::size_t i = 0; i < item.count; ++i)
      append_hits(output, std::move(*next++), item.count);
  });
}

// Each lane keeps selections of its own over whatever pieces it gets; what they hold together does
// not depend on who got which.
void cpu_engine::impl::find_best(const work_batch& batch, const query_block& block,
                                 const row_view& rows,
                                 std::span<const scratch_pool::lease> leases) {
  const auto lanes = leases.size();
  const auto piece_rows = lanes == 1
                              ? rows.rows
                              : std::clamp(rows.rows / (lanes * pieces_per_lane), min_piece_rows,
                                           max_piece_rows(block.queries.rows()));
  piece_counter pieces((rows.rows + piece_rows - 1) / piece_rows);
  in_lanes(lanes, [&](std::size_t lane) {
    auto& scratch = *leases[lane];
    open_selections(batch, scratch.best);
    pieces.drain([&](std::size_t piece) {
      const auto first = piece * piece_rows;
      kernels.search_rows(block, rows, first, std::min(first + piece_rows, rows.rows), scratch.best,
                          scratch.search);
    });
  });
}

// Leaves the hits of query q, best first, in the first lane's sorted[q].
void cpu_engine::impl::merge_and_sort(std::span<const scratch_pool::lease> leases) {
  auto& best = leases.front()->best;
  auto& sorted = leases.front()->sorted;
  sorted.resize(best.size());
  std::size_t hits = 0;
  for (const auto& selection : best)
    hits += selection.k() * leases.size();
  piece_counter queries(best.size());
  in_lanes(hits < parallel_merge_hits ? 1 : std::min(leases.size(), best.size()), [&](std::size_t) {
    queries.drain([&](std::size_t q) {
      for (const auto& other : leases.subspan(1))
        best[q].merge(other->best[q]);
      sorted[q] = best[q].take_sorted();
    });
  });
}

// -- similarity and score --

void cpu_engine::impl::score_piece(const work_item& item, std::size_t first, std::size_t last,
                                   item_output& output) const {
  const auto& payload = *item.payload;
  const auto query = payload.query_rows().row(0);
  const auto out = std::span(output.scores).subspan(first, last - first);
  if (payload.op == operation::similarity)
    kernels.similarity(query, payload.inverse_norms[0],
                       payload.target_rows().rows(item.first + first, last - first), out);
  else
    kernels.score(query, payload.inverse_norms[0], payload.data->collection()->rows(),
                  std::span(payload.ids).subspan(item.first + first, last - first), out);
}

void cpu_engine::impl::score(const work_batch& batch, std::vector<item_output>& outputs) {
  for_each_item(batch, outputs, [](const work_item& item, item_output& output) {
    output.scores.resize(item.count);
  });
  const double work = batch.work();
  if (work < inline_work || threads == 1)
    return for_each_item(batch, outputs, [&](const work_item& item, item_output& output) {
      score_piece(item, 0, item.count, output);
    });

  struct piece {
    std::size_t item, first, last;
  };
  const auto step = std::max<std::size_t>(1, piece_work / batch.dim);
  std::vector<piece> all;
  for (std::size_t i = 0; i < batch.items.size(); ++i)
    for (std::size_t first = 0; first < batch.items[i].count; first += step)
      all.push_back({i, first, std::min(first + step, batch.items[i].count)});
  piece_counter pieces(all.size());
  in_lanes(lanes_for(work, all.size()), [&](std::size_t) {
    pieces.drain([&](std::size_t p) {
      score_piece(batch.items[all[p].item], all[p].first, all[p].last, outputs[all[p].item]);
    });
  });
}

// -- spread --

void cpu_engine::impl::spread(const work_batch& batch, std::vector<item_output>& outputs) {
  struct walk {
    const work_payload* payload;
    std::size_t set;
    spread_result result;
  };
  std::vector<walk> walks;
  walks.reserve(batch.item_count());
  for (const auto& [payload, first, count] : batch.items)
    for (std::size_t set = first; set < first + count; ++set)
      walks.push_back({payload.get(), set, {}});

  const auto graph = batch.data->graph()->view();
  piece_counter pieces(walks.size());
  in_lanes(lanes_for(batch.work(), walks.size()), [&](std::size_t) {
    const scratch_pool::lease scratch(pool);
    pieces.drain([&](std::size_t w) {
      auto& [payload, set, result] = walks[w];
      result = engram::spread(graph, payload->seed_sets[set], payload->spread, scratch->spread);
    });
  });

  auto next = walks.begin();
  for_each_item(batch, outputs, [&](const work_item& item, item_output& output) {
    for (std::size_t i = 0; i < item.count; ++i, ++next) {
      output.hops.push_back(next->result.hops);
      append_hits(output, std::move(next->result.hits), item.count);
    }
  });
}

cpu_engine::cpu_engine(isa level, std::uint32_t threads)
    : impl_(std::make_unique<impl>(level, threads)) {}
cpu_engine::~cpu_engine() = default;

std::vector<item_output> cpu_engine::compute(const work_batch& batch) const {
  std::vector<item_output> outputs(batch.items.size());
  if (batch.items.empty()) return outputs;
  switch (batch.op) {
  case operation::search:
    impl_->search(batch, outputs);
    break;
  case operation::similarity:
  case operation::score:
    impl_->score(batch, outputs);
    break;
  case operation::spread:
    impl_->spread(batch, outputs);
    break;
  }
  return outputs;
}

} // namespace engram
