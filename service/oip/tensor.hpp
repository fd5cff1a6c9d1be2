#pragma once

#include "engram/base/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// The datatypes of the Open Inference Protocol that Engram's models have.
inline constexpr std::string_view oip_fp32 = "FP32";
inline constexpr std::string_view oip_uint32 = "UINT32";
inline constexpr std::string_view oip_bytes = "BYTES";

/// Numbers as the protocol's binary form has them: little-endian, row-major, without padding; each
/// element of a BYTES tensor has its length as a uint32 before it.
struct tensor {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  std::string_view bytes;
  std::shared_ptr<const void> owner; ///< keeps `bytes` where they are
};

/// A part of a registered shared memory region.
struct region_slice {
  std::string region;
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

/// Returns the bytes of one element, 0 for BYTES; `invalid_argument` for a datatype that none of
/// our models has.
result<std::size_t> element_size(std::string_view datatype);
/// Returns the number of elements; `invalid_argument` for a negative dimension or more elements
/// than a size can count.
result<std::size_t> element_count(std::span<const std::int64_t> shape);
/// Returns the bytes of a tensor; nothing for BYTES, whose elements have lengths of their own.
/// Errors as above.
result<std::optional<std::size_t>> byte_count(std::string_view datatype,
                                              std::span<const std::int64_t> shape);
/// Returns "[2,3]".
std::string shape_text(std::span<const std::int64_t> shape);

/// Appends one element of a BYTES tensor.
void append_bytes_element(std::string& out, std::string_view element);
/// Returns the elements of a BYTES tensor; `invalid_argument` unless they fill `bytes` exactly.
result<std::vector<std::string_view>> bytes_elements(std::string_view bytes);

/// Returns `text` as a tensor's bytes, which lie where numbers of any kind may.
tensor owned_tensor(std::string name, std::string_view datatype, std::vector<std::int64_t> shape,
                    std::string bytes);

} // namespace engram
