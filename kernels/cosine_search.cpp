#include "engram/kernels/cosine_search.hpp"

#include <algorithm>
#include <array>
#include <vector>

// Few queries: one pass over the rows that computes canonical scores; memory limits it.
//
// Many queries: FILTER, THEN REFINE. A register-tiled pass in float32, which adds in whatever order
// is fastest, gives every pair a fast score. A pair whose fast score shows that it cannot enter its
// query's top-k is dropped in registers; the few others are scored again canonically and offered.
// The answer is therefore that of the canonical scores alone: it depends neither on the tiling nor
// on the company that a query has.
//
// How far a fast score can be from the canonical one. Let u = 2^-24, dim = n, c the true cosine of
// the pair (with the true norms), and gamma(m) = m u / (1 - m u). A float32 sum of n fused
// products, in any order, differs from the exact dot by at most gamma(n) |q||t|, because no product
// passes through more than n roundings (Higham, Accuracy and Stability of Numerical Algorithms,
// section 3.1; sum |q_i t_i| <= |q||t|). The canonical order has at most n/32 + 1 + 5 roundings on
// any path. An inverse norm is within a relative u (and a float64's rounding) of 1/|q|, and the two
// multiplications add u each: four u in all. So, with |c| <= 1,
//
//     |fast - c|      <= (1 + gamma(n))      (1 + 4.1 u) - 1
//     |canonical - c| <= (1 + gamma(n/32+6)) (1 + 4.1 u) - 1,
//
// the clamp of the canonical score being harmless as c is within [-1, 1] itself. The sum of both is
// below 1.01 (n + n/32 + 15) u for n <= 2^17. Underflow adds at most 2n 2^-150 to a dot, and at
// least 2^-80 <= |q||t| divides it: less than u/1000 in all. Five more u cover the roundings of
// `score - bound` and the like below.
namespace engram {
namespace {

// Above this many queries the register-tiled filter beats the streaming pass.
constexpr std::size_t max_streamed_queries = 8;
// Rows whose dots are computed before their scores are offered.
constexpr std::size_t streamed_rows = 64;
// Rows of one filter call: a multiple of every tile height (6, 12, 24).
constexpr std::size_t filter_rows = 48;
// Rows are re-scored this many at a time.
constexpr std::size_t refined_rows = 16;
// Bytes of rows that pass all panels before the next rows are read: with the panel in use they
// should fit the second-level cache or, failing that, the third.
constexpr std::size_t resident_bytes = 1 << 20;

float filter_error_bound(std::size_t dim) noexcept {
  const double n = static_cast<double>(dim);
  return static_cast<float>(1.01 * (n + n / 32 + 20) * 0x1p-24);
}

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
  std::vector<float> panels;         // all panels one after another, each [dim, lanes]
  std::vector<float> query_scales;   // [padded queries]
  std::vector<float> cuts;           // [padded queries]
  std::vector<contender_list> lists; // [queries]
  std::vector<float> widened;        // rows of a filter call as float32
  std::vector<filter_candidate> candidates;
  std::vector<const float*> query_pointers;
  std::vector<float> dots;
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
      : variant_(variant), block_(block), rows_(rows), best_(best), scratch_(scratch),
        error_(filter_error_bound(rows.dim)),
        panel_lanes_(variant.lanes_per_vector * variant.vectors_per_panel) {
    pack_queries();
    open_lists();
  }

  void run(std::size_t first, std::size_t last) {
    const std::size_t resident_rows = std::max(
        filter_rows, resident_bytes / (rows_.dim * sizeof(float)) / filter_rows * filter_rows);
    for (std::size_t r = first; r < last; r += resident_rows)
      run_resident(r, std::min(resident_rows, last - r));
    for (std::size_t q = 0; q < best_.size(); ++q)
      refine(q);
    offer_zero_queries(first, last);
  }

private:
  // Lanes of the panel that starts at query `first`: the last one may be narrower.
  std::size_t lanes_of_panel(std::size_t first) const {
    const std::size_t left = block_.queries.rows() - first;
    const std::size_t step = variant_.lanes_per_vector;
    return std::min(panel_lanes_, (left + step - 1) / step * step);
  }

  std::size_t padded_queries() const {
    const std::size_t step = variant_.lanes_per_vector;
    return (block_.queries.rows() + step - 1) / step * step;
  }

  void pack_queries() {
    scratch_.panels.assign(padded_queries() * rows_.dim, 0.0f);
    for (std::size_t first = 0; first < block_.queries.rows(); first += panel_lanes_)
      pack_panel(first, lanes_of_panel(first));
  }

  void pack_panel(std::size_t first, std::size_t lanes) {
    constexpr std::size_t line = 16; // elements read from a query before going to the next
    float* panel = scratch_.panels.data() + first * rows_.dim;
    const std::size_t count = std::min(lanes, block_.queries.rows() - first);
    for (std::size_t begin = 0; begin < rows_.dim; begin += line) {
      const std::size_t end = std::min(begin + line, rows_.dim);
      for (std::size_t lane = 0; lane < count; ++lane) {
        const float* query = block_.queries.row(first + lane).data();
        for (std::size_t d = begin; d < end; ++d)
          panel[d * lanes + lane] = query[d];
      }
    }
  }

  void open_lists() {
    const std::size_t queries = block_.queries.rows();
    scratch_.query_scales.assign(padded_queries(), 0.0f);
    std::copy(block_.inverse_norms.begin(), block_.inverse_norms.end(),
              scratch_.query_scales.begin());
    // Lanes that hold no query, or one whose scores are all zero, let nothing pass.
    scratch_.cuts.assign(padded_queries(), std::numeric_limits<float>::infinity());
    if (scratch_.lists.size() < queries) scratch_.lists.resize(queries);
    for (std::size_t q = 0; q < queries; ++q) {
      scratch_.lists[q].waiting.clear();
      if (block_.inverse_norms[q] != 0.0f) raise_threshold(q, best_[q].threshold());
    }
  }

  void raise_threshold(std::size_t q, float threshold) {
    scratch_.lists[q].threshold = threshold;
    scratch_.cuts[q] = threshold - error_;
  }

  // The rows [first, first + count) meet all panels.
  void run_resident(std::size_t first, std::size_t count) {
    for (std::size_t query = 0; query < block_.queries.rows(); query += panel_lanes_)
      for (std::size_t r = 0; r < count; r += filter_rows)
        filter(first + r, std::min(filter_rows, count - r), query);
  }

  void filter(std::size_t first, std::size_t count, std::size_t first_query) {
    const std::size_t lanes = lanes_of_panel(first_query);
    scratch_.candidates.resize(filter_rows * panel_lanes_);
    const filter_block block{as_float32(first, count),
                             rows_.inverse_norms + first,
                             count,
                             rows_.dim,
                             scratch_.panels.data() + first_query * rows_.dim,
                             scratch_.query_scales.data() + first_query,
                             scratch_.cuts.data() + first_query};
    const std::size_t found =
        variant_.filter(block, lanes / variant_.lanes_per_vector, scratch_.candidates.data());
    for (std::size_t i = 0; i < found; ++i) {
      const filter_candidate& c = scratch_.candidates[i];
      admit(first_query + c.lane,
            {static_cast<row_id>(first + c.row), c.score - error_, c.score + error_});
    }
  }

  const float* as_float32(std::size_t first, std::size_t count) {
    if (rows_.type == element_type::f32) return reinterpret_cast<const float*>(rows_.row(first));
    scratch_.widened.resize(filter_rows * rows_.dim);
    variant_.widen(rows_.type, rows_.row(first), scratch_.widened.data(), count * rows_.dim);
    return scratch_.widened.data();
  }

  void admit(std::size_t q, const contender& row) {
    contender_list& list = scratch_.lists[q];
    // The cut was fixed before this filter call; the threshold may have risen since.
    if (row.upper < list.threshold) return;
    list.waiting.push_back(row);
    if (list.waiting.size() >= waiting_limit(q)) thin_out(q);
  }

  std::size_t waiting_limit(std::size_t q) const { return 2 * best_[q].k() + 32; }

  // Drops the contenders that k others are sure to beat.
  void thin_out(std::size_t q) {
    drop_beaten(q);
    // Ties and near-ties cannot be told apart by the fast score.
    if (scratch_.lists[q].waiting.size() > waiting_limit(q) * 3 / 4) refine(q);
  }

  void drop_beaten(std::size_t q) {
    auto& [waiting, threshold] = scratch_.lists[q];
    const std::size_t k = best_[q].k();
    if (waiting.size() <= k) return;
    const auto kth = waiting.begin() + static_cast<std::ptrdiff_t>(k) - 1;
    std::nth_element(waiting.begin(), kth, waiting.end(),
                     [](const contender& a, const contender& b) { return a.lower > b.lower; });
    if (kth->lower > threshold) raise_threshold(q, kth->lower);
    std::erase_if(waiting, [t = threshold](const contender& c) { return c.upper < t; });
  }

  // Gives the waiting contenders their canonical scores and offers them.
  void refine(std::size_t q) {
    drop_beaten(q);
    auto& waiting = scratch_.lists[q].waiting;
    const float* query = block_.queries.row(q).data();
    std::array<const void*, refined_rows> row_pointers;
    std::array<float, refined_rows> dots;
    for (std::size_t i = 0; i < waiting.size(); i += refined_rows) {
      const std::size_t count = std::min(refined_rows, waiting.size() - i);
      for (std::size_t j = 0; j < count; ++j)
        row_pointers[j] = rows_.row(waiting[i + j].row);
      variant_.dots(&query, 1, row_pointers.data(), count, rows_.type, rows_.dim, dots.data());
      for (std::size_t j = 0; j < count; ++j) {
        const row_id row = waiting[i + j].row;
        best_[q].offer({row, score_of(dots[j], block_.inverse_norms[q], rows_.inverse_norms[row])});
      }
    }
    waiting.clear();
    if (block_.inverse_norms[q] != 0.0f)
      raise_threshold(q, std::max(scratch_.lists[q].threshold, best_[q].threshold()));
  }

  void offer_zero_queries(std::size_t first, std::size_t last) {
    for (std::size_t q = 0; q < best_.size(); ++q)
      if (block_.inverse_norms[q] == 0.0f)
        for (std::size_t r = first; r < last; ++r)
          best_[q].offer({static_cast<row_id>(r), 0.0f});
  }

  const cosine_variant& variant_;
  const query_block& block_;
  const row_view& rows_;
  std::span<top_k> best_;
  search_scratch::impl& scratch_;
  float error_;
  std::size_t panel_lanes_;
};

} // namespace

void search_rows_with(const cosine_variant& variant, const query_block& block, const row_view& rows,
                      std::size_t first, std::size_t last, std::span<top_k> best,
                      search_scratch& scratch) {
  if (first >= last || best.empty()) return;
  if (best.size() <= max_streamed_queries)
    stream(variant, block, rows, first, last, best, scratch.get());
  else
    filtered_search(variant, block, rows, best, scratch.get()).run(first, last);
}

} // namespace engram
