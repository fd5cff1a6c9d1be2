#include "engram/service/oip/json_elements.hpp"

#include "engram/service/error_words.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace engram {

namespace {

/// Returns numbers as a tensor that owns them where they are.
template <class T>
tensor numbers_as_tensor(std::vector<T> numbers, tensor out) {
  const auto owner = std::make_shared<const std::vector<T>>(std::move(numbers));
  out.bytes = {reinterpret_cast<const char*>(owner->data()), owner->size() * sizeof(T)};
  out.owner = owner;
  return out;
}

} // namespace

void json_elements::expect(std::string_view datatype) {
  datatype_ = datatype;
  if (!wants(oip_fp32)) reals_ = {};
  if (!wants(oip_uint32)) wholes_ = {};
  if (!wants(oip_bytes)) texts_ = {};
}

bool json_elements::begin_array() {
  if (depth_ == max_depth || (leaf_depth_ > 0 && depth_ >= leaf_depth_)) return false;
  if (depth_ > 0) ++counts_[depth_ - 1];
  counts_[depth_++] = 0;
  deepest_ = std::max(deepest_, depth_);
  return true;
}

bool json_elements::end_array() {
  auto& length = lengths_[--depth_];
  if (length == none) length = counts_[depth_];
  return length == counts_[depth_];
}

bool json_elements::add_element() {
  if (leaf_depth_ == 0) leaf_depth_ = depth_;
  if (depth_ != leaf_depth_) return false;
  ++counts_[depth_ - 1];
  ++size_;
  return true;
}

void json_elements::add_number(float real, std::optional<std::uint32_t> whole) {
  const std::size_t at = size_ - 1;
  first_number_ = std::min(first_number_, at);
  if (!whole) first_other_ = std::min(first_other_, at);
  if (!std::isfinite(real)) first_infinite_ = std::min(first_infinite_, at);
  if (wants(oip_fp32)) reals_.push_back(real);
  if (wants(oip_uint32)) wholes_.push_back(whole.value_or(0));
}

bool json_elements::add_whole(std::uint64_t value) {
  if (!add_element()) return false;
  const bool fits = value <= std::numeric_limits<std::uint32_t>::max();
  add_number(static_cast<float>(value),
             fits ? std::optional{static_cast<std::uint32_t>(value)} : std::nullopt);
  return true;
}

bool json_elements::add_real(float value) {
  if (!add_element()) return false;
  add_number(value, std::nullopt);
  return true;
}

bool json_elements::add_text(std::string_view value) {
  if (!add_element()) return false;
  first_text_ = std::min(first_text_, size_ - 1);
  if (wants(oip_bytes)) append_bytes_element(texts_, value);
  return true;
}

bool json_elements::is_nested_as(const std::vector<std::int64_t>& shape) const {
  if (deepest_ <= 1) return true; // flat, which any shape may be
  if (shape.size() != deepest_) return false;
  for (std::size_t d = 0; d < deepest_; ++d)
    if (shape[d] < 0 || lengths_[d] != static_cast<std::size_t>(shape[d])) return false;
  return true;
}

result<tensor> json_elements::take(std::string name, std::string datatype,
                                   std::vector<std::int64_t> shape) && {
  const auto place = [](std::size_t at) { return "data element " + std::to_string(at); };
  if (!is_nested_as(shape))
    return invalid("data is not nested as shape " + shape_text(shape) + " says");
  tensor out{std::move(name), std::move(datatype), std::move(shape), {}, {}};
  if (out.datatype == oip_bytes) {
    if (first_number_ != none)
      return invalid(place(first_number_) + " is a number: BYTES takes strings");
    return owned_tensor(std::move(out.name), oip_bytes, std::move(out.shape), std::move(texts_));
  }
  const bool is_real = out.datatype == oip_fp32;
  if (!is_real && out.datatype != oip_uint32) return out;
  if (first_text_ != none)
    return invalid(place(first_text_) + " is a string: " + out.datatype + " takes numbers");
  if (is_real && first_infinite_ != none)
    return invalid(place(first_infinite_) + " is outside the range of float32");
  if (!is_real && first_other_ != none)
    return invalid(place(first_other_) + " is not a whole number from 0 to 4294967295");
  return is_real ? numbers_as_tensor(std::move(reals_), std::move(out))
                 : numbers_as_tensor(std::move(wholes_), std::move(out));
}

} // namespace engram
