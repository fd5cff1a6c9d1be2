#include "engram/datasets/formats.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace engram {

std::optional<std::uint64_t> parse_index(std::string_view field) noexcept {
  std::uint64_t value = 0;
  const char* end = field.data() + field.size();
  const auto [rest, status] = std::from_chars(field.data(), end, value);
  if (status != std::errc{} || rest != end) return std::nullopt;
  return value;
}

result<float> parse_weight(std::string_view field) {
  const auto digits = field.starts_with('+') ? field.substr(1) : field;
  double value = 0.0;
  const char* end = digits.data() + digits.size();
  const auto [rest, status] = std::from_chars(digits.data(), end, value);
  const std::string quoted = "weight '" + std::string(field.substr(0, 40)) + "'";
  if (status == std::errc::invalid_argument || rest != end)
    return error{ec::invalid_argument, quoted + " is not a number"};
  if (status == std::errc::result_out_of_range || !(value >= -1.0 && value <= 1.0))
    return error{ec::invalid_argument, quoted + " is not within [-1, 1]"};
  return static_cast<float>(value);
}

result<void> check_node_count(const input_file& file, std::uint64_t nodes, std::uint64_t edges) {
  constexpr std::uint64_t always_allowed = std::uint64_t{1} << 20;
  constexpr std::uint64_t nodes_an_edge = 64;
  if (nodes <= always_allowed || nodes / nodes_an_edge <= edges) return {};
  return file.problem("would make a graph of " + std::to_string(nodes) + " nodes from " +
                      std::to_string(edges) +
                      " edges; number the nodes densely, or give a labels file if it is meant");
}

} // namespace engram
