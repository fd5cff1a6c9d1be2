#include "engram/datasets/formats.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace engram {

namespace {

constexpr std::uint64_t most_nodes = std::numeric_limits<node_id>::max();

/// Reads one end of an edge; `limit` is the number of nodes.
result<node_id> parse_node(std::string_view role, std::string_view field, std::uint64_t limit) {
  const auto number = parse_index(field);
  const std::string quoted = std::string(role) + " '" + std::string(field.substr(0, 40)) + "'";
  if (!number) return error{ec::invalid_argument, quoted + " is not a node number (0, 1, 2, ...)"};
  if (*number >= limit)
    return error{ec::invalid_argument,
                 quoted + " is not below " + std::to_string(limit) + ", the " +
                     (limit == most_nodes ? "largest" : "graph's") + " number of nodes"};
  return static_cast<node_id>(*number);
}

/// What a line says.
struct line_edge {
  node_id source = 0, target = 0;
  std::optional<float> weight;
};

/// Reads `source target [weight]`. `first` is the first field, `rest` what follows it.
result<line_edge> parse_edge(std::string_view first, std::string_view rest, std::uint64_t limit) {
  const auto second = take_field(rest);
  const auto third = take_field(rest);
  const auto fourth = take_field(rest);
  if (second.empty())
    return error{ec::invalid_argument, "there is only '" + std::string(first.substr(0, 40)) +
                                           "'; a line is: source target [weight]"};
  if (!fourth.empty())
    return error{ec::invalid_argument, "'" + std::string(fourth.substr(0, 40)) +
                                           "' is too much; a line is: source target [weight]"};
  const auto source = parse_node("source", first, limit);
  if (!source) return source.error();
  const auto target = parse_node("target", second, limit);
  if (!target) return target.error();
  if (third.empty()) return line_edge{*source, *target, {}};
  const auto weight = parse_weight(third);
  if (!weight) return weight.error();
  return line_edge{*source, *target, *weight};
}

/// Says that a line has no weight though the first edge's has one, or the other way round.
std::string mixed_weights(bool first_has_one, std::uint64_t first_line) {
  return std::string(first_has_one ? "there is no weight, but line "
                                   : "there is a weight, but line ") +
         std::to_string(first_line) + (first_has_one ? " has one" : " has none") +
         "; give every line a weight or none";
}

} // namespace

result<edge_lines> read_edge_list(const input_file& file, std::optional<std::size_t> nodes) {
  edge_lines out;
  std::uint64_t largest = 0;
  bool weighted = false; // what the first edge is, all are
  line_reader reader(file);
  for (;;) {
    const auto more = reader.next();
    if (!more) return more.error();
    if (!*more) break;
    std::string_view text = reader.line();
    text = text.substr(0, text.find('#'));
    const auto first = take_field(text);
    if (first.empty()) continue;
    const auto parsed = parse_edge(first, text, nodes.value_or(most_nodes));
    if (!parsed) return file.problem_in_line(reader.number(), parsed.error().message);
    if (out.edges.empty()) weighted = parsed->weight.has_value();
    if (parsed->weight.has_value() != weighted)
      return file.problem_in_line(reader.number(), mixed_weights(weighted, out.lines.front()));
    largest = std::max<std::uint64_t>({largest, parsed->source, parsed->target});
    out.edges.push_back({parsed->source, parsed->target, parsed->weight.value_or(1.0f)});
    out.lines.push_back(reader.number());
  }
  if (out.edges.empty()) return file.problem("has no edge; a line is: source target [weight]");
  if (!nodes)
    if (auto dense = check_node_count(file, largest + 1, out.edges.size()); !dense)
      return std::move(dense).error();
  out.nodes = nodes.value_or(largest + 1);
  return out;
}

} // namespace engram
