#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace engram {

/// What a GPU can be made to do wrong on purpose; see cuda::misbehave.
enum class misbehaviour : std::uint8_t {
  illegal_address, ///< a kernel writes where nothing is mapped
  trap,            ///< a kernel executes a trap instruction
  assertion,       ///< an assertion in a kernel fails
  hang,            ///< a kernel never ends
  oom,             ///< the driver refuses a request for memory
  last_ = oom
};

/// Their names, in the order of the enum.
inline constexpr std::array<std::string_view, static_cast<std::size_t>(misbehaviour::last_) + 1>
    misbehaviour_names{"illegal_address", "trap", "assert", "hang", "oom"};

constexpr std::string_view to_string(misbehaviour what) noexcept {
  return misbehaviour_names[static_cast<std::size_t>(what)];
}

constexpr std::optional<misbehaviour> parse_misbehaviour(std::string_view name) noexcept {
  for (std::size_t i = 0; i < misbehaviour_names.size(); ++i)
    if (misbehaviour_names[i] == name) return static_cast<misbehaviour>(i);
  return std::nullopt;
}

} // namespace engram
