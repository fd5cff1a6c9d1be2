#pragma once

#include "engram/base/error.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace engram {

/// Instruction sets that a variant exists for, in ascending order of preference.
/// `avx512vnni` is avx512 with a first pass over int8 codes where many queries are searched.
enum class isa : std::uint8_t { scalar, avx2, avx512, avx512vnni, last_ = avx512vnni };

std::string_view to_string(isa level) noexcept;

/// Returns true if this processor (and the operating system) can run `level`.
bool is_supported(isa level) noexcept;

/// Returns every level that this processor can run, ascending; always has `scalar`.
std::vector<isa> supported_isas();

/// Returns the level this process uses: the best supported one, or what ENGRAM_ISA names. Chosen
/// at the first call. An ENGRAM_ISA that is unknown or unsupported here is `invalid_argument`; the
/// program is expected to print it and end.
result<isa> chosen_isa();

} // namespace engram
