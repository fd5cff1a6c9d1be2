#pragma once

#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A set of words with one meaning.
struct wordnet_synset {
  std::string label; ///< its words, "dog, domestic dog, Canis familiaris"
  std::string gloss; ///< what they mean, and examples
};

/// One pointer from a synset, or from a word in it, to another.
struct wordnet_pointer {
  row_id source = 0;
  row_id target = 0;
  std::array<char, 2> symbol{}; ///< "@" or "~i", padded with '\0'

  std::string_view symbol_text() const noexcept {
    return {symbol.data(), symbol[1] == '\0' ? std::size_t{1} : std::size_t{2}};
  }
};

struct wordnet_files {
  std::vector<wordnet_synset> synsets; ///< nouns, verbs, adjectives, adverbs, each as in its file
  std::vector<wordnet_pointer> pointers;
};

/// Reads data.noun, data.verb, data.adj and data.adv of `directory`, in WordNet's database format.
/// `not_found` names the missing file and the package that has it; `invalid_argument` names file
/// and line.
result<wordnet_files> read_wordnet_files(const std::filesystem::path& directory);

} // namespace engram
