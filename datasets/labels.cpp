#include "engram/datasets/labels.hpp"

#include "engram/datasets/input_file.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

bool lists(std::string_view label, std::string_view words) noexcept {
  for (;;) {
    const std::size_t comma = std::min(label.find(','), label.size());
    const std::string_view entry = trimmed(label.substr(0, comma));
    if (std::equal(entry.begin(), entry.end(), words.begin(), words.end(),
                   [](char a, char b) { return lower(a) == lower(b); }))
      return true;
    if (comma == label.size()) return false;
    label.remove_prefix(comma + 1);
  }
}

} // namespace

std::vector<row_id> find_label(std::span<const std::string> labels, std::string_view words) {
  words = trimmed(words);
  std::vector<row_id> found;
  if (words.empty()) return found;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (lists(labels[i], words)) found.push_back(static_cast<row_id>(i));
  return found;
}

result<std::vector<std::string>> read_labels(const std::filesystem::path& path) {
  auto file = input_file::open(path);
  if (!file) return std::move(file).error();
  std::vector<std::string> labels;
  line_reader reader(*file);
  for (;;) {
    auto more = reader.next();
    if (!more) return std::move(more).error();
    if (!*more) return labels;
    labels.emplace_back(reader.line());
  }
}

} // namespace engram
