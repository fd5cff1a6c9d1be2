#include "engram/service/oip/tensor_parameters.hpp"

#include "engram/service/error_words.hpp"

#include <string>
#include <variant>

namespace engram {

result<std::optional<std::uint64_t>> bytes_parameter(const infer_parameters& from,
                                                     std::string_view name) {
  const auto at = from.find(name);
  if (at == from.end()) return std::optional<std::uint64_t>{};
  if (const auto* number = std::get_if<std::int64_t>(&at->second); number && *number >= 0)
    return std::optional{static_cast<std::uint64_t>(*number)};
  if (const auto* number = std::get_if<std::uint64_t>(&at->second)) return std::optional{*number};
  return invalid("parameter " + in_quotes(name) + " must be a whole number of bytes, 0 or more");
}

result<std::optional<bool>> truth_parameter(const infer_parameters& from, std::string_view name) {
  const auto at = from.find(name);
  if (at == from.end()) return std::optional<bool>{};
  if (const auto* truth = std::get_if<bool>(&at->second)) return std::optional{*truth};
  return invalid("parameter " + in_quotes(name) + " must be true or false");
}

result<std::optional<region_slice>> region_of(const infer_parameters& from) {
  const auto at = from.find("shared_memory_region");
  if (at == from.end()) return std::optional<region_slice>{};
  const auto* name = std::get_if<std::string>(&at->second);
  if (!name) return invalid("parameter 'shared_memory_region' must be a string");
  const auto offset = bytes_parameter(from, "shared_memory_offset");
  if (!offset) return offset.error();
  const auto size = bytes_parameter(from, "shared_memory_byte_size");
  if (!size) return size.error();
  return std::optional{region_slice{*name, offset->value_or(0), size->value_or(0)}};
}

} // namespace engram
