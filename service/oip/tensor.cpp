#include "engram/service/oip/tensor.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace engram {

static_assert(std::endian::native == std::endian::little, "tensors are taken as they come");

result<std::size_t> element_size(std::string_view datatype) {
  if (datatype == oip_fp32 || datatype == oip_uint32) return std::size_t{4};
  if (datatype == oip_bytes) return std::size_t{0};
  return error{ec::invalid_argument, "datatype '" + std::string{datatype.substr(0, 32)} +
                                         "' is none of FP32, UINT32 and BYTES"};
}

result<std::size_t> element_count(std::span<const std::int64_t> shape) {
  std::size_t count = 1;
  for (const auto dim : shape) {
    if (dim < 0)
      return error{ec::invalid_argument,
                   "shape " + shape_text(shape) + " has a negative dimension"};
    const auto size = static_cast<std::size_t>(dim);
    if (size > 0 && count > std::numeric_limits<std::size_t>::max() / 8 / size)
      return error{ec::invalid_argument, "shape " + shape_text(shape) + " has too many elements"};
    count *= size;
  }
  return count;
}

result<std::optional<std::size_t>> byte_count(std::string_view datatype,
                                              std::span<const std::int64_t> shape) {
  const auto size = element_size(datatype);
  if (!size) return size.error();
  const auto count = element_count(shape); // so few that the product has room
  if (!count) return count.error();
  if (datatype == oip_bytes) return std::optional<std::size_t>{};
  return std::optional{*size * *count};
}

std::string shape_text(std::span<const std::int64_t> shape) {
  constexpr std::size_t longest = 8;
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size() && i < longest; ++i)
    out += (i ? "," : "") + std::to_string(shape[i]);
  return out + (shape.size() > longest ? ",...]" : "]");
}

void append_bytes_element(std::string& out, std::string_view element) {
  const auto size = static_cast<std::uint32_t>(element.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(element);
}

result<std::vector<std::string_view>> bytes_elements(std::string_view bytes) {
  std::vector<std::string_view> out;
  while (!bytes.empty()) {
    std::uint32_t size = 0;
    if (bytes.size() < sizeof size)
      return error{ec::invalid_argument,
                   "BYTES element " + std::to_string(out.size()) + " ends within its length"};
    std::memcpy(&size, bytes.data(), sizeof size);
    bytes.remove_prefix(sizeof size);
    if (bytes.size() < size)
      return error{ec::invalid_argument, "BYTES element " + std::to_string(out.size()) + " says " +
                                             std::to_string(size) + " bytes and has " +
                                             std::to_string(bytes.size())};
    out.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return out;
}

tensor owned_tensor(std::string name, std::string_view datatype, std::vector<std::int64_t> shape,
                    std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return {std::move(name), std::string{datatype}, std::move(shape), view, std::move(owner)};
}

} // namespace engram
