#include "engram/kernels/cosine_filter.hpp"

#include <algorithm>

namespace engram {
namespace {

constexpr double u = 0x1p-24;
// Covers the rounding of residuals computed in float32; see the header.
constexpr float residual_margin = 1.01f;
// Rows in hand, with a panel, should fit the second-level cache or, failing that, the third.
constexpr std::size_t bytes_in_hand = 1 << 20;
constexpr std::size_t most_rows_in_hand = 4096;
// A multiple of every tile height (6, 12, 24).
constexpr std::size_t row_step = 48;

std::size_t rows_that_fit(std::size_t bytes_per_row) {
  return std::clamp(bytes_in_hand / bytes_per_row / row_step * row_step, row_step,
                    most_rows_in_hand);
}

panel_layout layout_of(const cosine_variant& variant, const query_block& block) {
  return {block.queries.rows(), variant.lanes_per_vector, variant.vectors_per_panel};
}

// Lays `from` [queries, stride], of which `words` count, out as panels [words, lanes].
template <class Word>
void pack(const Word* from, std::size_t stride, std::size_t words, const panel_layout& layout,
          std::vector<Word>& to) {
  constexpr std::size_t line = 16; // words read from a query before going to the next
  to.assign(layout.padded() * words, Word{0});
  for (std::size_t first = 0; first < layout.queries; first += layout.lanes_per_panel()) {
    const std::size_t lanes = layout.vectors_of(first) * layout.lanes_per_vector;
    const std::size_t count = std::min(lanes, layout.queries - first);
    Word* panel = to.data() + first * words;
    for (std::size_t begin = 0; begin < words; begin += line) {
      const std::size_t end = std::min(begin + line, words);
      for (std::size_t lane = 0; lane < count; ++lane) {
        const Word* query = from + (first + lane) * stride;
        for (std::size_t w = begin; w < end; ++w)
          panel[w * lanes + lane] = query[w];
      }
    }
  }
}

// The byte product takes unsigned by signed bytes. Rows stay code + 128; a query's become plain
// codes here. Returns the bias that takes 128 * (sum of the query's codes) off again.
std::int32_t make_signed(std::span<std::uint32_t> words) {
  std::int32_t sum = 0;
  for (std::uint32_t& word : words) {
    word ^= 0x8080'8080;
    for (int shift = 0; shift < 32; shift += 8)
      sum += static_cast<std::int8_t>(word >> shift);
  }
  return -128 * sum;
}

void widen_rows(const cosine_variant& variant, const row_view& rows, std::size_t first,
                std::size_t count, std::vector<float>& out) {
  if (out.size() < count * rows.dim) out.resize(count * rows.dim);
  variant.widen(rows.type, rows.row(first), out.data(), count * rows.dim);
}

} // namespace

// -- float pass --

float_pass::float_pass(const cosine_variant& variant, const query_block& block,
                       const row_view& rows, filter_memory& memory)
    : variant_(variant), rows_(rows), memory_(memory), layout_(layout_of(variant, block)) {
  const double n = static_cast<double>(rows.dim);
  error_ = static_cast<float>(1.01 * (n + n / 32 + 16 + 5) * u);
  pack(block.queries.data(), rows.dim, rows.dim, layout_, memory.float_panels);
  memory.query_scales.assign(layout_.padded(), 0.0f);
  std::copy(block.inverse_norms.begin(), block.inverse_norms.end(), memory.query_scales.begin());
}

std::size_t float_pass::rows_in_hand() const {
  return rows_that_fit(rows_.dim * sizeof(float));
}

void float_pass::take(std::size_t first, std::size_t count) {
  first_ = first;
  if (rows_.type == element_type::f32) {
    in_hand_ = reinterpret_cast<const float*>(rows_.row(first));
    return;
  }
  widen_rows(variant_, rows_, first, count, memory_.widened);
  in_hand_ = memory_.widened.data();
}

std::size_t float_pass::filter(std::size_t at, std::size_t count, std::size_t first_query,
                               const float* cuts, filter_candidate* out) const {
  const filter_block block{in_hand_ + at * rows_.dim,
                           rows_.inverse_norms + first_ + at,
                           count,
                           rows_.dim,
                           memory_.float_panels.data() + first_query * rows_.dim,
                           memory_.query_scales.data() + first_query,
                           cuts + first_query};
  return variant_.filter(block, layout_.vectors_of(first_query), out);
}

// -- byte pass --

byte_pass::byte_pass(const cosine_variant& variant, const byte_filter& filter,
                     const query_block& block, const row_view& rows, filter_memory& memory)
    : variant_(variant), filter_(filter), rows_(rows), memory_(memory),
      layout_(layout_of(variant, block)), stride_((rows.dim + 63) / 64 * 16) {
  const double n = static_cast<double>(rows.dim);
  error_ = static_cast<float>(1.01 * (n / 32 + 11 + 15 + 5) * u);
  encode_queries(block);
}

void byte_pass::encode_queries(const query_block& block) {
  const std::size_t queries = layout_.queries;
  memory_.query_words.resize(queries * stride_);
  for (auto* v : {&memory_.query_scales, &memory_.query_residuals, &memory_.slopes})
    v->assign(layout_.padded(), 0.0f);
  memory_.biases.assign(layout_.padded(), 0);
  filter_.encode(block.queries.data(), queries, rows_.dim, memory_.query_words.data(), stride_,
                 memory_.query_scales.data(), memory_.query_residuals.data());
  for (std::size_t q = 0; q < queries; ++q) {
    const float inverse_norm = block.inverse_norms[q];
    memory_.query_scales[q] *= inverse_norm;
    memory_.query_residuals[q] *= inverse_norm * residual_margin;
    memory_.slopes[q] = 1.0f + memory_.query_residuals[q];
    memory_.biases[q] = make_signed({memory_.query_words.data() + q * stride_, stride_});
  }
  pack(memory_.query_words.data(), stride_, (rows_.dim + 3) / 4, layout_, memory_.byte_panels);
}

std::size_t byte_pass::rows_in_hand() const {
  return rows_that_fit(stride_ * sizeof(std::uint32_t) * 2);
}

void byte_pass::take(std::size_t first, std::size_t count) {
  memory_.row_codes.resize(rows_in_hand() * stride_);
  memory_.row_scales.resize(rows_in_hand());
  memory_.row_residuals.resize(rows_in_hand());
  for (std::size_t at = 0; at < count; at += row_step) {
    const std::size_t some = std::min(row_step, count - at);
    const float* rows = nullptr;
    if (rows_.type == element_type::f32) {
      rows = reinterpret_cast<const float*>(rows_.row(first + at));
    } else {
      widen_rows(variant_, rows_, first + at, some, memory_.widened);
      rows = memory_.widened.data();
    }
    filter_.encode(rows, some, rows_.dim, memory_.row_codes.data() + at * stride_, stride_,
                   memory_.row_scales.data() + at, memory_.row_residuals.data() + at);
  }
  for (std::size_t at = 0; at < count; ++at) {
    const float inverse_norm = rows_.inverse_norms[first + at];
    memory_.row_scales[at] *= inverse_norm;
    memory_.row_residuals[at] *= inverse_norm * residual_margin;
  }
}

std::size_t byte_pass::filter(std::size_t at, std::size_t count, std::size_t first_query,
                              const float* cuts, filter_candidate* out) const {
  const std::size_t words = (rows_.dim + 3) / 4;
  const byte_block block{memory_.row_codes.data() + at * stride_,
                         stride_,
                         memory_.row_scales.data() + at,
                         memory_.row_residuals.data() + at,
                         count,
                         words,
                         memory_.byte_panels.data() + first_query * words,
                         memory_.biases.data() + first_query,
                         memory_.query_scales.data() + first_query,
                         cuts + first_query,
                         memory_.slopes.data() + first_query};
  return filter_.filter(block, layout_.vectors_of(first_query), out);
}

} // namespace engram
