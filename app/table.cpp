#include "engram/app/table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace engram {

namespace {

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

/// Returns the first `count` characters of `text`, the last one replaced by an ellipsis if some are
/// cut off.
std::string cut(const std::string& text, std::size_t count) {
  if (characters(text) <= count || count == 0) return text;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end)
    if (starts_character(text[end]) && seen++ == count - 1) break;
  return text.substr(0, end) + "\u2026";
}

} // namespace

void text_table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string text_table::to_string(std::size_t width) const {
  std::vector<std::vector<std::string>> lines;
  if (std::any_of(columns_.begin(), columns_.end(),
                  [](const auto& c) { return !c.title.empty(); })) {
    auto& titles = lines.emplace_back();
    for (const auto& c : columns_)
      titles.push_back(c.title);
  }
  lines.insert(lines.end(), rows_.begin(), rows_.end());

  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c)
      widths[c] = std::max(widths[c], characters(line[c]));

  std::string out;
  for (const auto& line : lines) {
    std::string text;
    std::size_t used = 0;
    for (std::size_t c = 0; c < line.size(); ++c) {
      const bool is_last = c + 1 == line.size();
      const std::string padding(widths[c] - characters(line[c]), ' ');
      if (columns_[c].side == align::right) text += padding;
      text += is_last && width > used + 8 ? cut(line[c], width - used) : line[c];
      if (columns_[c].side == align::left && !is_last) text += padding;
      if (!is_last) text += "  ";
      used += widths[c] + 2;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
  return out;
}

std::size_t terminal_width() {
  winsize size{};
  if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string human_bytes(double bytes) {
  constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit)
    bytes /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes,
                units[unit]);
  return text.data();
}

std::string human_count(unsigned long long count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

} // namespace engram
