#include "engram/kernels/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace engram {
namespace {

constexpr isa all_levels[] = {isa::scalar, isa::avx2, isa::avx512, isa::avx512vnni};
static_assert(std::size(all_levels) == static_cast<std::size_t>(isa::last_) + 1);

std::string names_of(const std::vector<isa>& levels) {
  std::string names;
  for (isa level : levels) {
    if (!names.empty()) names += ", ";
    names += to_string(level);
  }
  return names;
}

result<isa> choose() {
  const auto supported = supported_isas();
  const char* wanted = std::getenv("ENGRAM_ISA");
  if (wanted == nullptr || *wanted == '\0') return supported.back();

  const auto named =
      std::find_if(std::begin(all_levels), std::end(all_levels),
                   [wanted](isa level) { return to_string(level) == std::string_view(wanted); });
  if (named == std::end(all_levels))
    return error{ec::invalid_argument,
                 "ENGRAM_ISA=" + std::string(wanted) +
                     " names no instruction set; use one of: " + names_of(supported) + "."};
  if (!is_supported(*named))
    return error{ec::invalid_argument, "ENGRAM_ISA=" + std::string(wanted) +
                                           " is not supported by this processor; use one of: " +
                                           names_of(supported) + "."};
  return *named;
}

#if defined(__x86_64__)
// clang 14's builtin does not know the name.
bool has_f16c() noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

} // namespace

std::string_view to_string(isa level) noexcept {
  switch (level) {
  case isa::scalar:
    return "scalar";
  case isa::avx2:
    return "avx2";
  case isa::avx512:
    return "avx512";
  case isa::avx512vnni:
    return "avx512vnni";
  }
  return "scalar";
}

bool is_supported(isa level) noexcept {
#if defined(__x86_64__)
  // The builtin also asks the operating system (XGETBV) whether it saves the wide registers.
  switch (level) {
  case isa::scalar:
    return true;
  case isa::avx2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  case isa::avx512:
    return is_supported(isa::avx2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
  case isa::avx512vnni:
    return is_supported(isa::avx512) && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return level == isa::scalar;
#endif
}

std::vector<isa> supported_isas() {
  std::vector<isa> levels;
  std::copy_if(std::begin(all_levels), std::end(all_levels), std::back_inserter(levels),
               is_supported);
  return levels;
}

result<isa> chosen_isa() {
  static const result<isa> chosen = choose();
  return chosen;
}

} // namespace engram
