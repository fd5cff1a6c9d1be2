#include "engram/datasets/checksum.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace engram {

static_assert(std::endian::native == std::endian::little, "the stored format is little-endian");

namespace {

/// Odd, so that multiplying loses no bit.
constexpr std::uint64_t multiplier = 0x9fb21c651e98df25;

/// One to one in `word`, so that a change of a single word always changes the sum.
constexpr std::uint64_t mixed(std::uint64_t sum, std::uint64_t word) noexcept {
  return std::rotl((sum ^ word) * multiplier, 29);
}

} // namespace

void checksum::add_block(const std::byte* block) noexcept {
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    std::uint64_t word;
    std::memcpy(&word, block + lane * sizeof word, sizeof word);
    sums_[lane] = mixed(sums_[lane], word);
  }
}

void checksum::add(std::span<const std::byte> bytes) noexcept {
  total_ += bytes.size();
  if (pending_size_ != 0) {
    const std::size_t taken = std::min(block_size - pending_size_, bytes.size());
    std::memcpy(pending_.data() + pending_size_, bytes.data(), taken);
    pending_size_ += taken;
    bytes = bytes.subspan(taken);
    if (pending_size_ < block_size) return;
    add_block(pending_.data());
    pending_size_ = 0;
  }
  for (; bytes.size() >= block_size; bytes = bytes.subspan(block_size))
    add_block(bytes.data());
  std::copy(bytes.begin(), bytes.end(), pending_.begin());
  pending_size_ = bytes.size();
}

std::uint64_t checksum::value() const noexcept {
  checksum last = *this;
  std::fill(last.pending_.begin() + static_cast<std::ptrdiff_t>(pending_size_), last.pending_.end(),
            std::byte{0});
  last.add_block(last.pending_.data());
  std::uint64_t sum = total_;
  for (const std::uint64_t lane : last.sums_)
    sum = mixed(sum, lane ^ (lane >> 32));
  return sum ^ (sum >> 32);
}

} // namespace engram
