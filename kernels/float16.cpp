#include "engram/kernels/float16.hpp"

#include <bit>
#include <cstring>

namespace engram {
namespace {

constexpr std::uint32_t f32_quiet_bit = 0x0040'0000;
constexpr std::uint32_t f32_infinity = 0x7f80'0000;

// Adds what rounds `bits` to nearest, ties to even, once its low `dropped` bits are cut off.
constexpr std::uint32_t round_to_even(std::uint32_t bits, int dropped) noexcept {
  const std::uint32_t half_less_one = (std::uint32_t{1} << (dropped - 1)) - 1;
  return bits + half_less_one + ((bits >> dropped) & 1);
}

template <class Convert>
void widen_each(const void* in, std::span<float> out, Convert convert) noexcept {
  const auto* bytes = static_cast<const std::byte*>(in);
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
    out[i] = convert(bits);
  }
}

template <class Convert>
void narrow_each(std::span<const float> in, void* out, Convert convert) noexcept {
  auto* bytes = static_cast<std::byte*>(out);
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::uint16_t bits = convert(in[i]);
    std::memcpy(bytes + i * sizeof bits, &bits, sizeof bits);
  }
}

} // namespace

float f16_to_f32(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0x1f) {
    const std::uint32_t quiet = fraction ? f32_quiet_bit : 0;
    return std::bit_cast<float>(sign | f32_infinity | quiet | fraction << 13);
  }
  if (exponent == 0) {
    // Denormal: fraction * 2^-24, which float32 represents exactly as a normal number.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

float bf16_to_f32(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f32_to_f16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fff'ffffu;
  if (magnitude > f32_infinity)
    return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude < 0x3880'0000u) { // below 2^-14: a float16 denormal or zero
    // Adding 0.5 lines the number up so that one unit of float32's last place is 2^-24; the
    // addition itself rounds to nearest even.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign |
                                      (std::bit_cast<std::uint32_t>(aligned) - 0x3f00'0000u));
  }
  // Rounding may carry into the exponent, which is right, also from the largest number to infinity.
  const std::uint32_t rounded = round_to_even(magnitude, 13) >> 13;
  const std::uint32_t rebased = rounded - (112u << 10);
  return static_cast<std::uint16_t>(sign | (rebased > 0x7c00u ? 0x7c00u : rebased));
}

std::uint16_t f32_to_bf16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fff'ffffu) > f32_infinity) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>(round_to_even(bits, 16) >> 16);
}

void widen(element_type type, const void* in, std::span<float> out) noexcept {
  switch (type) {
  case element_type::f32:
    if (!out.empty()) std::memcpy(out.data(), in, out.size_bytes());
    return;
  case element_type::f16:
    return widen_each(in, out, f16_to_f32);
  case element_type::bf16:
    return widen_each(in, out, bf16_to_f32);
  }
}

void narrow(element_type type, std::span<const float> in, void* out) noexcept {
  switch (type) {
  case element_type::f32:
    if (!in.empty()) std::memcpy(out, in.data(), in.size_bytes());
    return;
  case element_type::f16:
    return narrow_each(in, out, f32_to_f16);
  case element_type::bf16:
    return narrow_each(in, out, f32_to_bf16);
  }
}

} // namespace engram
