#pragma once

#include "engram/base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace engram {

/// Returns the words of `text` in order: the longest runs of ASCII letters, digits and bytes above
/// 127, with ASCII letters in lower case. So a UTF-8 word stays in one piece and is compared byte
/// by byte (no case folding or normalisation outside ASCII), and everything else separates words.
std::vector<std::string> words_of(std::string_view text);

/// Turns words into vectors by hashed TF-IDF with a sign hash, L2-normalised, with the document
/// frequencies of the collection it belongs to. Immutable once built, therefore thread-safe.
///
/// A word that occurs c times in the text and in f of n documents weighs (1 + ln c) * ln(1 + n /
/// f); one that occurs in no document counts for nothing. Hashes of the word pick eight columns,
/// and for each whether the weight is added to it or subtracted.
class text_embedder {
public:
  /// Counts the document frequencies of `documents`. dim 1..8192.
  static text_embedder fit(std::size_t dim, const std::vector<std::string>& documents);
  /// Restores an embedder from what `dim`, `documents` and `frequencies` returned.
  text_embedder(std::size_t dim, std::uint64_t documents,
                std::unordered_map<std::string, std::uint32_t> frequencies);

  std::size_t dim() const noexcept { return dim_; }
  std::uint64_t documents() const noexcept { return documents_; }
  const std::unordered_map<std::string, std::uint32_t>& frequencies() const noexcept {
    return frequencies_;
  }

  /// Returns the vector [dim] of `text`, unit-norm. `invalid_argument` when no word of it occurs in
  /// the collection (names the words).
  result<std::vector<float>> embed(std::string_view text) const;

private:
  error unknown_words(std::string_view text, std::span<const std::string> words) const;

  std::size_t dim_;
  std::uint64_t documents_;
  std::unordered_map<std::string, std::uint32_t> frequencies_;
};

} // namespace engram
