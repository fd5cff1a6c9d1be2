#pragma once

#include <string>
#include <vector>

namespace engram {

/// Lines up cells in columns for a person to read. Widths count characters, not bytes.
class text_table {
public:
  enum class align { left, right };
  struct column {
    std::string title;
    align side = align::left;
  };

  explicit text_table(std::vector<column> columns) : columns_(std::move(columns)) {}

  /// Adds a row; cells beyond the columns are dropped, missing ones are empty.
  void add(std::vector<std::string> cells);
  /// Returns the table, one line a row, two blanks between columns, titles first unless all are
  /// empty. The last column is cut to end at `width`, if that is not 0.
  std::string to_string(std::size_t width = 0) const;

private:
  std::vector<column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Returns the width of the terminal on standard output, 0 if it is none.
std::size_t terminal_width();

/// Returns 1536 as "1.5 KiB", and so on up to TiB.
std::string human_bytes(double bytes);
/// Returns 117659 as "117,659".
std::string human_count(unsigned long long count);

} // namespace engram
