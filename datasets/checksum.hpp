#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace engram {

/// A 64-bit checksum of bytes that come in pieces; the same whatever the pieces. Finds accidents
/// (bit flips, lost or swapped blocks), not malice. Runs at the speed of memory: four chains of one
/// multiplication for every eight bytes.
class checksum {
public:
  void add(std::span<const std::byte> bytes) noexcept;
  /// Returns the checksum of all bytes added so far.
  std::uint64_t value() const noexcept;

private:
  static constexpr std::size_t lanes = 4;
  static constexpr std::size_t block_size = lanes * sizeof(std::uint64_t);

  void add_block(const std::byte* block) noexcept;

  std::array<std::uint64_t, lanes> sums_{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
                                         0xd6e8feb86659fd93};
  std::array<std::byte, block_size> pending_{}; ///< bytes short of a block
  std::size_t pending_size_ = 0;
  std::uint64_t total_ = 0;
};

} // namespace engram
