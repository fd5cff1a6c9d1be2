#include "engram/datasets/formats.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace engram {

namespace {

struct banner {
  bool pattern = false;   ///< entries have no value
  bool symmetric = false; ///< an entry off the diagonal stands for two
};

struct size_line {
  std::uint64_t nodes = 0;
  std::uint64_t entries = 0;
};

/// Returns the first field of `text` in lower case.
std::string take_lower(std::string_view& text) {
  std::string field(take_field(text));
  std::transform(field.begin(), field.end(), field.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return field;
}

result<banner> parse_banner(std::string_view text) {
  const std::string mark = take_lower(text), object = take_lower(text), format = take_lower(text),
                    field = take_lower(text), symmetry = take_lower(text);
  if (mark != "%%matrixmarket" || object != "matrix" || format != "coordinate")
    return error{ec::invalid_argument,
                 "the file does not start with '%%MatrixMarket matrix coordinate'"};
  if (field != "real" && field != "integer" && field != "pattern")
    return error{ec::invalid_argument, "entries of type '" + field.substr(0, 40) +
                                           "' are not read; real, integer and pattern are"};
  if (symmetry != "general" && symmetry != "symmetric")
    return error{ec::invalid_argument, "symmetry '" + symmetry.substr(0, 40) +
                                           "' is not read; general and symmetric are"};
  return banner{field == "pattern", symmetry == "symmetric"};
}

result<size_line> parse_sizes(std::string_view text) {
  const auto rows = parse_index(take_field(text));
  const auto columns = parse_index(take_field(text));
  const auto entries = parse_index(take_field(text));
  if (!rows || !columns || !entries || !take_field(text).empty())
    return error{ec::invalid_argument, "this line must be: rows columns entries"};
  if (*rows != *columns)
    return error{ec::invalid_argument, "a graph needs a square matrix, not " +
                                           std::to_string(*rows) + " x " +
                                           std::to_string(*columns)};
  if (*rows == 0 || *rows > std::numeric_limits<node_id>::max())
    return error{ec::invalid_argument,
                 "a graph has 1 to 4294967295 nodes, not " + std::to_string(*rows)};
  return size_line{*rows, *entries};
}

result<edge> parse_entry(std::string_view text, const banner& kind, std::uint64_t nodes) {
  const std::string_view fields[] = {take_field(text), take_field(text)};
  node_id ends[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto number = parse_index(fields[i]);
    if (!number || *number < 1 || *number > nodes)
      return error{ec::invalid_argument, std::string(i == 0 ? "row '" : "column '") +
                                             std::string(fields[i].substr(0, 40)) +
                                             "' is not a number from 1 to " +
                                             std::to_string(nodes)};
    ends[i] = static_cast<node_id>(*number - 1);
  }
  edge out{ends[0], ends[1], 1.0f};
  if (!kind.pattern) {
    const auto value = take_field(text);
    if (value.empty())
      return error{ec::invalid_argument, "there is no value; an entry is: row column value"};
    const auto weight = parse_weight(value);
    if (!weight) return weight.error();
    out.weight = *weight;
  }
  if (const auto extra = take_field(text); !extra.empty())
    return error{ec::invalid_argument, "'" + std::string(extra.substr(0, 40)) +
                                           "' is too much; an entry is: row column" +
                                           (kind.pattern ? "" : " value")};
  return out;
}

/// Moves to the next line that is neither blank nor a comment; false at the end.
result<bool> next_content(line_reader& reader) {
  for (;;) {
    auto more = reader.next();
    if (!more || !*more) return more;
    std::string_view text = reader.line();
    if (!text.starts_with('%') && !take_field(text).empty()) return true;
  }
}

/// Reads banner and sizes and compares the sizes with what the file can hold.
result<std::pair<banner, size_line>> read_head(const input_file& file, line_reader& reader,
                                               std::optional<std::size_t> nodes) {
  auto more = reader.next();
  if (!more) return std::move(more).error();
  const auto kind = parse_banner(*more ? reader.line() : std::string_view{});
  if (!kind) return file.problem_in_line(1, kind.error().message);
  more = next_content(reader);
  if (!more) return std::move(more).error();
  if (!*more) return file.problem("ends before the line: rows columns entries");
  const auto sizes = parse_sizes(reader.line());
  if (!sizes) return file.problem_in_line(reader.number(), sizes.error().message);
  // The shortest entry is "1 1" and a line end, which the last one may lack.
  if (sizes->entries > (file.size() + 1) / 4)
    return file.problem_in_line(reader.number(),
                                std::to_string(sizes->entries) + " entries do not fit into the " +
                                    std::to_string(file.size()) + " bytes of the file");
  if (nodes && *nodes != sizes->nodes)
    return file.problem_in_line(reader.number(), "there are " + std::to_string(*nodes) +
                                                     " labels for " + std::to_string(sizes->nodes) +
                                                     " nodes; give one label a node");
  if (!nodes)
    if (auto dense = check_node_count(file, sizes->nodes, sizes->entries); !dense)
      return std::move(dense).error();
  return std::pair(*kind, *sizes);
}

} // namespace

result<edge_lines> read_matrix_market(const input_file& file, std::optional<std::size_t> nodes) {
  line_reader reader(file);
  const auto head = read_head(file, reader, nodes);
  if (!head) return head.error();
  const auto& [kind, sizes] = *head;
  edge_lines out;
  out.nodes = sizes.nodes;
  for (std::uint64_t entries = 0;; ++entries) {
    const auto more = next_content(reader);
    if (!more) return more.error();
    if (!*more && entries < sizes.entries)
      return file.problem("ends after " + std::to_string(entries) + " of " +
                          std::to_string(sizes.entries) + " entries; it is truncated");
    if (!*more) return out;
    if (entries == sizes.entries)
      return file.problem_in_line(reader.number(), "there are more than the " +
                                                       std::to_string(sizes.entries) +
                                                       " entries that the file announces");
    const auto entry = parse_entry(reader.line(), kind, sizes.nodes);
    if (!entry) return file.problem_in_line(reader.number(), entry.error().message);
    out.edges.push_back(*entry);
    out.lines.push_back(reader.number());
    if (!kind.symmetric || entry->source == entry->target) continue;
    out.edges.push_back({entry->target, entry->source, entry->weight});
    out.lines.push_back(reader.number());
  }
}

} // namespace engram
