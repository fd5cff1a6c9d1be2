#pragma once

#include <cstddef>

namespace engram::test {

/// While it lives, operator new has no memory for sizes from `low` and below `high`, on any thread.
class scarce_memory {
public:
  scarce_memory(std::size_t low, std::size_t high);
  ~scarce_memory();
  scarce_memory(const scarce_memory&) = delete;
  scarce_memory& operator=(const scarce_memory&) = delete;
};

} // namespace engram::test
