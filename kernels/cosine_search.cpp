#include "engram/kernels/cosine_search.hpp"

#include "engram/kernels/cosine_filter.hpp"

#include <algorithm>
#include <array>

// Few queries: one pass over the rows that computes canonical scores; memory limits it.
//
// Many queries: FILTER, THEN REFINE. A register-tiled pass (cosine_filter.hpp) gives every pair a
// fast score with a proven bound on its error. A pair that this shows unable to enter its query's
// top-k is dropped in registers, so no score matrix is ever written; the few others are scored
// again canonically and offered. The answer is that of the canonical scores alone: it depends
// neither on the pass, nor on the tiling, nor on the company that a query has.
namespace engram {
namespace {

// Up to this many queries the streaming pass beats the filter.
constexpr std::size_t max_streamed_queries = 4;
// Rows whose dots are computed before their scores are offered.
constexpr std::size_t streamed_rows = 64;
// Rows of one filter call: a multiple of every tile height (6, 12, 24).
constexpr std::size_t filtered_rows = 48;
// Rows are scored canonically this many at a time.
constexpr std::size_t refined_rows = 16;

// A row that may belong to a query's top-k; its canonical score is within [lower, upper].
struct contender {
  row_id row;
  float lower;
  float upper;
};

// The rows of one query that passed the filter and were not scored yet. Waiting pays: later rows
// raise the threshold, and most contenders are dropped without a canonical score.
struct contender_list {
  std::vector<contender> waiting;
  float threshold = 0; // at least k rows score this much, so less cannot enter
};

} // namespace

struct search_scratch::impl {
  std::vector<const float*> query_pointers;
  std::vector<float> dots;
  filter_memory filter;
  std::vector<float> errors;         // [queries] base error of the pass in use
  std::vector<float> cuts;           // [padded queries]
  std::vector<contender_list> lists; // [queries]
  std::vector<filter_candidate> candidates;
};

search_scratch::search_scratch() : impl_(std::make_unique<impl>()) {}
search_scratch::~search_scratch() = default;
search_scratch::search_scratch(search_scratch&&) noexcept = default;
search_scratch& search_scratch::operator=(search_scratch&&) noexcept = default;

namespace {

// -- few queries --

void stream(const cosine_variant& variant, const query_block& block, const row_view& rows,
            std::size_t first, std::size_t last, std::span<top_k> best,
            search_scratch::impl& scratch) {
  const std::size_t queries = block.queries.rows();
  scratch.query_pointers.resize(queries);
  for (std::size_t q = 0; q < queries; ++q)
    scratch.query_pointers[q] = block.queries.row(q).data();
  scratch.dots.resize(queries * streamed_rows);

  std::array<const void*, streamed_rows> row_pointers;
  for (std::size_t r = first; r < last; r += streamed_rows) {
    const std::size_t count = std::min(streamed_rows, last - r);
    for (std::size_t i = 0; i < count; ++i)
      row_pointers[i] = rows.row(r + i);
    variant.dots(scratch.query_pointers.data(), queries, row_pointers.data(), count, rows.type,
                 rows.dim, scratch.dots.data());
    for (std::size_t q = 0; q < queries; ++q)
      for (std::size_t i = 0; i < count; ++i)
        best[q].offer({static_cast<row_id>(r + i),
                       score_of(scratch.dots[i * queries + q], block.inverse_norms[q],
                                rows.inverse_norms[r + i])});
  }
}

// -- many queries --

class filtered_search {
public:
  filtered_search(const cosine_variant& variant, const query_block& block, const row_view& rows,
                  std::span<top_k> best, search_scratch::impl& scratch)
      : variant_(variant), block_(block), rows_(rows), best_(best),
        scratch_(scratch), layout_{block.queries.rows(), variant.lanes_per_vector,
                                   variant.vectors_per_panel} {
    open_lists();
  }

  void run(const byte_filter* bytes, std::size_t first, std::size_t last) {
    offer_zero_queries(first, last);
    if (bytes != nullptr) {
      byte_pass pass(variant_, *bytes, block_, rows_, scratch_.filter);
      first = scan(pass, first, last, [this] { return bytes_do_not_pay(); });
    }
    if (first < last) {
      float_pass pass(variant_, block_, rows_, scratch_.filter);
      scan(pass, first, last, [] { return false; });
    }
    for (std::size_t q = 0; q < layout_.queries; ++q)
      refine(q);
  }

private:
  void open_lists() {
    // Lanes that hold no query, or one whose scores are all zero, let nothing pass.
    scratch_.cuts.assign(layout_.padded(), std::numeric_limits<float>::infinity());
    scratch_.errors.resize(layout_.queries);
    scratch_.candidates.resize(filtered_rows * layout_.lanes_per_panel());
    if (scratch_.lists.size() < layout_.queries) scratch_.lists.resize(layout_.queries);
    for (std::size_t q = 0; q < layout_.queries; ++q) {
      scratch_.lists[q].waiting.clear();
      scratch_.lists[q].threshold = best_[q].threshold();
      wanted_ += best_[q].k();
    }
  }

  void raise_threshold(std::size_t q, float threshold) {
    scratch_.lists[q].threshold = std::max(threshold, scratch_.lists[q].threshold);
    if (block_.inverse_norms[q] != 0.0f)
      scratch_.cuts[q] = scratch_.lists[q].threshold - scratch_.errors[q];
  }

  // All scores of a zero query are 0: it needs no pass.
  void offer_zero_queries(std::size_t first, std::size_t last) {
    for (std::size_t q = 0; q < layout_.queries; ++q)
      if (block_.inverse_norms[q] == 0.0f)
        for (std::size_t r = first; r < last; ++r)
          best_[q].offer({static_cast<row_id>(r), 0.0f});
  }

  // Filters the rows [first, last) by `pass`. Returns the row before which `gave_up` said so, or
  // last.
  template <class Pass, class GaveUp>
  std::size_t scan(Pass& pass, std::size_t first, std::size_t last, GaveUp gave_up) {
    for (std::size_t q = 0; q < layout_.queries; ++q) {
      scratch_.errors[q] = pass.base_error(q);
      raise_threshold(q, scratch_.lists[q].threshold);
    }
    const std::size_t step = pass.rows_in_hand();
    for (; first < last && !gave_up(); first += std::min(step, last - first)) {
      const std::size_t count = std::min(step, last - first);
      pass.take(first, count);
      for (std::size_t query = 0; query < layout_.queries; query += layout_.lanes_per_panel())
        for (std::size_t at = 0; at < count; at += filtered_rows)
          filter(pass, first, at, std::min(filtered_rows, count - at), query);
      scanned_ += count;
    }
    return first;
  }

  // Rows [at, at + count) in hand, which begin at row `first`, meet the panel of `first_query`.
  template <class Pass>
  void filter(const Pass& pass, std::size_t first, std::size_t at, std::size_t count,
              std::size_t first_query) {
    const std::size_t found =
        pass.filter(at, count, first_query, scratch_.cuts.data(), scratch_.candidates.data());
    for (std::size_t i = 0; i < found; ++i) {
      const filter_candidate& c = scratch_.candidates[i];
      const std::size_t q = first_query + c.lane;
      const float error = scratch_.errors[q] + pass.row_error(q, at + c.row);
      admit(q, {static_cast<row_id>(first + at + c.row), c.score - error, c.score + error});
    }
  }

  void admit(std::size_t q, const contender& row) {
    contender_list& list = scratch_.lists[q];
    // The cut was fixed before this filter call; the threshold may have risen since.
    if (row.upper < list.threshold) return;
    list.waiting.push_back(row);
    if (list.waiting.size() >= waiting_limit(q)) thin_out(q);
  }

  std::size_t waiting_limit(std::size_t q) const { return 2 * best_[q].k() + 64; }

  // Drops the contenders that k others are sure to beat.
  void thin_out(std::size_t q) {
    drop_beaten(q);
    // Ties and near-ties cannot be told apart by the fast score.
    if (scratch_.lists[q].waiting.size() > waiting_limit(q) * 3 / 4) refine(q);
  }

  void drop_beaten(std::size_t q) {
    auto& waiting = scratch_.lists[q].waiting;
    const std::size_t k = best_[q].k();
    if (waiting.size() > k) {
      const auto kth = waiting.begin() + static_cast<std::ptrdiff_t>(k) - 1;
      std::nth_element(waiting.begin(), kth, waiting.end(),
                       [](const contender& a, const contender& b) { return a.lower > b.lower; });
      raise_threshold(q, kth->lower);
    }
    std::erase_if(waiting,
                  [t = scratch_.lists[q].threshold](const contender& c) { return c.upper < t; });
  }

  // Scores waiting contenders canonically, the most promising first, until the rest cannot enter.
  void refine(std::size_t q) {
    auto& waiting = scratch_.lists[q].waiting;
    std::make_heap(waiting.begin(), waiting.end(), promises_less);
    while (!waiting.empty() && waiting.front().upper >= scratch_.lists[q].threshold) {
      const std::size_t count = std::min(refined_rows, waiting.size());
      for (std::size_t i = 0; i < count; ++i)
        std::pop_heap(waiting.begin(), waiting.end() - static_cast<std::ptrdiff_t>(i),
                      promises_less);
      offer_canonical(q, std::span(waiting).last(count));
      waiting.resize(waiting.size() - count);
      raise_threshold(q, best_[q].threshold());
    }
    waiting.clear();
  }

  static bool promises_less(const contender& a, const contender& b) { return a.upper < b.upper; }

  void offer_canonical(std::size_t q, std::span<const contender> contenders) {
    const float* query = block_.queries.row(q).data();
    std::array<const void*, refined_rows> row_pointers;
    std::array<float, refined_rows> dots;
    for (std::size_t i = 0; i < contenders.size(); ++i)
      row_pointers[i] = rows_.row(contenders[i].row);
    variant_.dots(&query, 1, row_pointers.data(), contenders.size(), rows_.type, rows_.dim,
                  dots.data());
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const row_id row = contenders[i].row;
      best_[q].offer({row, score_of(dots[i], block_.inverse_norms[q], rows_.inverse_norms[row])});
    }
    refined_ += contenders.size();
  }

  // A canonical score costs as much as the byte pass saves on about a dozen pairs; what the k ask
  // for is scored in any case.
  bool bytes_do_not_pay() const { return refined_ > scanned_ * layout_.queries / 12 + 4 * wanted_; }

  const cosine_variant& variant_;
  const query_block& block_;
  const row_view& rows_;
  std::span<top_k> best_;
  search_scratch::impl& scratch_;
  panel_layout layout_;
  std::size_t wanted_ = 0;  // the sum of all k
  std::size_t scanned_ = 0; // rows that met all queries
  std::size_t refined_ = 0; // canonical scores computed
};

} // namespace

void search_rows_with(const cosine_variant& variant, const byte_filter* bytes,
                      const query_block& block, const row_view& rows, std::size_t first,
                      std::size_t last, std::span<top_k> best, search_scratch& scratch) {
  if (first >= last || best.empty()) return;
  if (best.size() <= max_streamed_queries)
    stream(variant, block, rows, first, last, best, scratch.get());
  else
    filtered_search(variant, block, rows, best, scratch.get()).run(bytes, first, last);
}

} // namespace engram
