#pragma once

#include "engram/base/error.hpp"
#include "engram/service/oip/tensor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Gathers the "data" of a tensor while its JSON is read: elements in row-major order, flat or in
/// arrays nested as the shape says. The datatype and the shape may come after the data, so numbers
/// are kept in the forms that they may turn out to be wanted in.
class json_elements {
public:
  /// Keeps only what this datatype wants; before it comes, everything is kept.
  void expect(std::string_view datatype);

  /// An array begins or ends. Returns false for arrays that cannot be those of a tensor: nested too
  /// deep, or of different lengths.
  bool begin_array();
  bool end_array();
  bool is_open() const noexcept { return depth_ > 0; }

  /// Add an element. False where an array was expected.
  bool add_whole(std::uint64_t value);
  /// A number that is negative or has a fraction.
  bool add_real(float value);
  bool add_text(std::string_view value);
  /// Returns the number of elements so far.
  std::size_t size() const noexcept { return size_; }

  /// Returns the elements as a tensor, without bytes for a datatype that none of our models has.
  /// `invalid_argument` names the first element that is not of the datatype, or says that the
  /// arrays are not nested as the shape says.
  result<tensor> take(std::string name, std::string datatype, std::vector<std::int64_t> shape) &&;

private:
  static constexpr std::size_t max_depth = 4; ///< no model's tensor has more dimensions
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  bool wants(std::string_view datatype) const { return datatype_.empty() || datatype_ == datatype; }
  bool add_element();
  void add_number(float real, std::optional<std::uint32_t> whole);
  bool is_nested_as(const std::vector<std::int64_t>& shape) const;

  std::string datatype_; ///< empty: not known yet
  std::vector<float> reals_;
  std::vector<std::uint32_t> wholes_;
  std::string texts_; ///< as a BYTES tensor has them

  std::size_t size_ = 0;
  // The first element that is a number, a string, no uint32, no float32.
  std::size_t first_number_ = none, first_text_ = none, first_other_ = none, first_infinite_ = none;

  std::size_t depth_ = 0;      ///< of arrays that are open
  std::size_t leaf_depth_ = 0; ///< of the arrays that hold the elements; 0: none yet
  std::size_t deepest_ = 0;
  std::array<std::size_t, max_depth> counts_{};                        ///< of the open arrays
  std::array<std::size_t, max_depth> lengths_{none, none, none, none}; ///< of those that have ended
};

} // namespace engram
