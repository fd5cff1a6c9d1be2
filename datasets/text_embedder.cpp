#include "engram/datasets/text_embedder.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace engram {

namespace {

constexpr bool is_upper(char c) noexcept {
  return c >= 'A' && c <= 'Z';
}

constexpr bool is_word_byte(char c) noexcept {
  return (c >= 'a' && c <= 'z') || is_upper(c) || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) > 127;
}

/// FNV-1a. Part of the stored format, like `scrambled` and `columns_a_word`: an embedder that was
/// read from disk must hash as the one that was written.
std::uint64_t hash_of(std::string_view word) noexcept {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : word) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001b3;
  }
  return h;
}

/// Spreads the bits of `h` over all of it; the ends of FNV alone are weak for short words.
constexpr std::uint64_t scrambled(std::uint64_t h) noexcept {
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93;
  h ^= h >> 32;
  return h;
}

/// With one column a word, a rare word that meets another in its column makes short texts about
/// different things look alike; with eight, two words share one or two of them at worst.
constexpr std::size_t columns_a_word = 8;

/// Adds `weight` to the columns of `word`, or takes it away, as the bits of its hashes say.
void add_word(std::string_view word, double weight, std::span<double> sums) noexcept {
  std::uint64_t h = hash_of(word);
  for (std::size_t i = 0; i < columns_a_word; ++i) {
    h = scrambled(h + i + 1);
    const auto column = static_cast<std::size_t>(((h >> 32) * sums.size()) >> 32);
    sums[column] += (h & 1) != 0 ? -weight : weight;
  }
}

} // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && !is_word_byte(text[i]))
      ++i;
    const std::size_t first = i;
    while (i < text.size() && is_word_byte(text[i]))
      ++i;
    if (i == first) break;
    std::string word(text.substr(first, i - first));
    for (char& c : word)
      if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
    words.push_back(std::move(word));
  }
  return words;
}

text_embedder text_embedder::fit(std::size_t dim, const std::vector<std::string>& documents) {
  std::unordered_map<std::string, std::uint32_t> frequencies;
  for (const std::string& document : documents) {
    auto words = words_of(document);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    for (std::string& word : words)
      ++frequencies[std::move(word)];
  }
  return {dim, documents.size(), std::move(frequencies)};
}

text_embedder::text_embedder(std::size_t dim, std::uint64_t documents,
                             std::unordered_map<std::string, std::uint32_t> frequencies)
    : dim_(dim), documents_(documents), frequencies_(std::move(frequencies)) {
  assert(dim >= 1 && dim <= 8192);
}

error text_embedder::unknown_words(std::string_view text,
                                   std::span<const std::string> words) const {
  constexpr std::size_t most = 8;
  if (words.empty())
    return {ec::invalid_argument,
            "'" + std::string(text.substr(0, 80)) + "' has no words; use letters or digits"};
  std::string listed;
  for (std::size_t i = 0; i < std::min(words.size(), most); ++i)
    listed += (i == 0 ? "'" : ", '") + words[i].substr(0, 80) + "'";
  if (words.size() > most) listed += ", ...";
  return {ec::invalid_argument,
          "none of the words " + listed + " occurs in this collection; try other words"};
}

result<std::vector<float>> text_embedder::embed(std::string_view text) const {
  const auto words = words_of(text);
  auto sorted = words;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> sums(dim_);
  // Words in sorted order, so that the sums are the same bits whatever the order of the text.
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto last = std::upper_bound(first, sorted.end(), *first);
    if (const auto known = frequencies_.find(*first); known != frequencies_.end()) {
      const double often = 1.0 + std::log(static_cast<double>(last - first));
      const double rare = std::log1p(static_cast<double>(documents_) / known->second);
      add_word(*first, often * rare, sums);
    }
    first = last;
  }
  double square = 0.0;
  for (const double x : sums)
    square += x * x;
  // Also zero when words of equal weight meet in all their columns with opposite signs (a
  // collection of very few columns); then, too, the words say nothing about it.
  if (square == 0.0) return unknown_words(text, words);
  std::vector<float> out(dim_);
  const double scale = 1.0 / std::sqrt(square);
  std::transform(sums.begin(), sums.end(), out.begin(),
                 [&](double x) { return static_cast<float>(x * scale); });
  return out;
}

} // namespace engram
