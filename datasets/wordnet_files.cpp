#include "engram/datasets/wordnet_files.hpp"

#include "engram/datasets/input_file.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

namespace engram {

namespace {

/// What the four files call a synset: part of speech and byte offset.
using synset_name = std::uint64_t;

constexpr std::string_view parts_of_speech[] = {"noun", "verb", "adj", "adv"};

synset_name name_of(std::size_t part, std::uint32_t offset) noexcept {
  return std::uint64_t{part} << 32 | offset;
}

/// Returns the place in `parts_of_speech`; a satellite ('s') lives among the adjectives.
std::optional<std::size_t> part_of(std::string_view letter) noexcept {
  if (letter == "n") return 0;
  if (letter == "v") return 1;
  if (letter == "a" || letter == "s") return 2;
  if (letter == "r") return 3;
  return std::nullopt;
}

std::optional<std::uint32_t> parse_number(std::string_view field, int base) noexcept {
  std::uint32_t value = 0;
  const char* end = field.data() + field.size();
  const auto [rest, status] = std::from_chars(field.data(), end, value, base);
  if (status != std::errc{} || rest != end) return std::nullopt;
  return value;
}

/// Returns "domestic dog" for "domestic_dog", and "galore" for "galore(ip)": the marker says where
/// an adjective may stand.
std::string word_text(std::string_view field) {
  if (field.ends_with(')')) field = field.substr(0, field.rfind('('));
  std::string word(field);
  std::replace(word.begin(), word.end(), '_', ' ');
  return word;
}

/// A pointer whose target may be in a file that is not read yet.
struct open_pointer {
  wordnet_pointer pointer;
  synset_name target = 0;
  std::size_t part = 0; ///< the file, with `line`, that has the pointer
  std::uint64_t line = 0;
};

class files_reader {
public:
  explicit files_reader(const std::filesystem::path& directory) : directory_(directory) {}

  result<wordnet_files> read() {
    for (std::size_t part = 0; part < std::size(parts_of_speech); ++part)
      if (auto done = read_part(part); !done) return std::move(done).error();
    for (open_pointer& open : pointers_) {
      const auto found = numbers_.find(open.target);
      if (found == numbers_.end())
        return problem(open.part, open.line, "a pointer leads to a synset that is not there");
      open.pointer.target = found->second;
      files_.pointers.push_back(open.pointer);
    }
    return std::move(files_);
  }

private:
  std::filesystem::path path_of(std::size_t part) const {
    return directory_ / ("data." + std::string(parts_of_speech[part]));
  }

  error problem(std::size_t part, std::uint64_t line, std::string_view what) const {
    return {ec::invalid_argument,
            path_of(part).string() + ":" + std::to_string(line) + ": " + std::string(what)};
  }

  result<void> read_part(std::size_t part) {
    const auto file = input_file::open(path_of(part));
    if (!file && file.error().code == ec::not_found)
      return error{ec::not_found, path_of(part).string() +
                                      ": there is no such file; install WordNet's database "
                                      "(Debian: apt-get install wordnet-base) or name its folder"};
    if (!file) return file.error();
    line_reader reader(*file);
    for (;;) {
      const auto more = reader.next();
      if (!more) return more.error();
      if (!*more) return {};
      // The licence comes first, in lines that begin with a blank.
      if (reader.line().empty() || reader.line().front() == ' ') continue;
      if (const auto bad = read_synset(part, reader.number(), reader.line()))
        return problem(part, reader.number(), *bad);
    }
  }

  /// Reads `offset file type count (word id)... count (pointer)... [frames] | gloss`.
  std::optional<std::string> read_synset(std::size_t part, std::uint64_t line,
                                         std::string_view text) {
    const std::size_t bar = text.find(" | ");
    if (bar == std::string_view::npos) return "the synset has no gloss behind ' | '";
    std::string_view gloss = text.substr(bar + 3);
    gloss = gloss.substr(0, gloss.find_last_not_of(' ') + 1);
    std::string_view rest = text.substr(0, bar);

    const auto offset = parse_number(take_field(rest), 10);
    take_field(rest); // the lexicographer's file
    if (!offset || part_of(take_field(rest)) != part)
      return "the line does not start like a synset of this file";
    const auto number = static_cast<row_id>(files_.synsets.size());
    if (!numbers_.emplace(name_of(part, *offset), number).second)
      return "the synset's offset " + std::to_string(*offset) + " occurs twice";

    wordnet_synset synset;
    const auto words = parse_number(take_field(rest), 16);
    if (!words || *words == 0) return "the number of words is not one from 01 to ff";
    for (std::uint32_t i = 0; i < *words; ++i) {
      const auto word = take_field(rest);
      if (take_field(rest).empty()) return "the line ends among the words";
      if (i != 0) synset.label += ", ";
      synset.label += word_text(word);
    }
    synset.gloss = gloss;
    files_.synsets.push_back(std::move(synset));
    return read_pointers(part, line, number, rest);
  }

  std::optional<std::string> read_pointers(std::size_t part, std::uint64_t line, row_id source,
                                           std::string_view rest) {
    const auto count = parse_number(take_field(rest), 10);
    if (!count) return "the number of pointers is not a number";
    for (std::uint32_t i = 0; i < *count; ++i) {
      const auto symbol = take_field(rest);
      const auto offset = parse_number(take_field(rest), 10);
      const auto target_part = part_of(take_field(rest));
      const auto ends = take_field(rest); // which words of the two synsets; ours are whole synsets
      if (symbol.empty() || symbol.size() > 2 || !offset || !target_part || ends.size() != 4)
        return "pointer " + std::to_string(i + 1) + " of " + std::to_string(*count) +
               " is not: symbol offset part-of-speech source/target";
      open_pointer open{{}, name_of(*target_part, *offset), part, line};
      open.pointer.source = source;
      std::copy(symbol.begin(), symbol.end(), open.pointer.symbol.begin());
      pointers_.push_back(open);
    }
    return std::nullopt;
  }

  const std::filesystem::path& directory_;
  wordnet_files files_;
  std::unordered_map<synset_name, row_id> numbers_;
  std::vector<open_pointer> pointers_;
};

} // namespace

result<wordnet_files> read_wordnet_files(const std::filesystem::path& directory) {
  return files_reader(directory).read();
}

} // namespace engram
