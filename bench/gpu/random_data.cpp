#include "engram/bench/gpu/random_data.hpp"

#include "engram/datasets/collection_builder.hpp"
#include "engram/kernels/float16.hpp"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <string>

namespace engram::bench {

namespace {

constexpr std::size_t edges_per_node = 16;
// Numbers that one task makes from a seed of its own, so that the cut does not depend on the cores.
constexpr std::size_t block = 1 << 16;

/// splitmix64: one multiplication chain a number, and any seed will do.
class fast_random {
public:
  explicit fast_random(std::uint64_t seed, std::uint64_t stream)
      : state_(seed * 0x9e3779b97f4a7c15u + stream * 0xd1342543de82ef95u) {
    next();
  }
  std::uint64_t next() noexcept {
    auto z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::size_t bound) noexcept {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }
  float unit() noexcept { return static_cast<float>((next() >> 40) + 1) * 0x1p-24f; } // (0, 1]

private:
  std::uint64_t state_;
};

/// Returns the standard normal quantile of (i + 1/2) / 65536 for each i, by bisection of erfc.
std::vector<float> make_quantiles() {
  std::vector<float> table(65'536);
  tbb::parallel_for(std::size_t{0}, table.size(), [&](std::size_t i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(table.size());
    double low = -6, high = 6;
    for (int step = 0; step < 40; ++step) {
      const double middle = (low + high) / 2;
      (std::erfc(-middle * 0.7071067811865476) / 2 < share ? low : high) = middle;
    }
    table[i] = static_cast<float>((low + high) / 2);
  });
  return table;
}

/// A draw is one look-up by 16 random bits, which is faster than any formula.
const std::vector<float>& quantiles() {
  static const auto table = make_quantiles();
  return table;
}

template <class Number>
std::vector<Number> narrowed(element_type type) {
  std::vector<Number> table(quantiles().size());
  narrow(type, quantiles(), table.data());
  return table;
}

template <class Number>
void fill_from(const std::vector<Number>& table, std::span<Number> out, std::uint64_t seed) {
  tbb::parallel_for(std::size_t{0}, (out.size() + block - 1) / block, [&](std::size_t b) {
    fast_random random{seed, b};
    const auto mine = out.subspan(b * block, std::min(block, out.size() - b * block));
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < mine.size(); ++i, bits >>= 16) {
      if (i % 4 == 0) bits = random.next();
      mine[i] = table[bits & 0xffff];
    }
  });
}

template <class Number>
std::span<Number> numbers_in(std::span<std::byte> storage) {
  return {reinterpret_cast<Number*>(storage.data()), storage.size() / sizeof(Number)};
}

void fill_storage(std::span<std::byte> storage, element_type type, std::uint64_t seed) {
  if (type == element_type::f32) return fill_normal(numbers_in<float>(storage), seed);
  fill_from(narrowed<std::uint16_t>(type), numbers_in<std::uint16_t>(storage), seed);
}

/// Writes the edges of one source: different targets, in the order drawn.
void draw_edges(std::span<edge> out, node_id source, std::size_t nodes, fast_random& random) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto is_taken = [&](node_id target) {
      return std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(i),
                         [&](const edge& e) { return e.target == target; });
    };
    node_id target = random.below(nodes);
    while (is_taken(target))
      target = random.below(nodes);
    out[i] = {source, target, random.unit()};
  }
}

} // namespace

void fill_normal(std::span<float> out, std::uint64_t seed) {
  fill_from(quantiles(), out, seed);
}

std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  std::vector<float> numbers(count);
  fill_normal(numbers, seed);
  return numbers;
}

result<collection_ptr> random_collection(std::size_t rows, std::size_t dim, element_type type,
                                         std::uint64_t seed) {
  auto builder = collection_builder::create(rows, dim, type);
  if (!builder) return builder.error();
  fill_storage(builder->storage(), type, seed);
  if (auto accepted = builder->accept_storage(); !accepted) return accepted.error();
  return std::move(*builder).finish({}, nullptr);
}

result<graph_ptr> random_graph(std::size_t nodes, std::uint64_t seed) {
  const auto each = std::min(edges_per_node, nodes);
  std::vector<edge> edges(nodes * each);
  constexpr std::size_t sources = 4096;
  tbb::parallel_for(std::size_t{0}, (nodes + sources - 1) / sources, [&](std::size_t b) {
    fast_random random{seed, b};
    for (std::size_t s = b * sources; s < std::min(nodes, (b + 1) * sources); ++s)
      draw_edges(std::span{edges}.subspan(s * each, each), static_cast<node_id>(s), nodes, random);
  });
  return activation_graph::make(nodes, std::move(edges));
}

std::vector<std::uint32_t> spread_out(std::size_t count, std::size_t bound, std::uint64_t seed) {
  fast_random random{seed, 0};
  const auto first = random.below(bound);
  std::vector<std::uint32_t> chosen(count);
  for (std::size_t i = 0; i < count; ++i)
    chosen[i] = static_cast<std::uint32_t>((first + i * bound / count) % bound);
  return chosen;
}

} // namespace engram::bench
