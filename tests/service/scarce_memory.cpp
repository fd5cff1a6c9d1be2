#include "scarce_memory.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> scarce_from{0}, scarce_below{0};

} // namespace

// A file of their own: where the compiler sees them beside a new expression it thinks them a
// mismatch.
void* operator new(std::size_t size) {
  const bool is_scarce = size >= scarce_from.load(std::memory_order_relaxed) &&
                         size < scarce_below.load(std::memory_order_relaxed);
  void* const found = is_scarce ? nullptr : std::malloc(size);
  if (!found) throw std::bad_alloc{};
  return found;
}
void operator delete(void* what) noexcept {
  std::free(what);
}
void operator delete(void* what, std::size_t) noexcept {
  std::free(what);
}

namespace engram::test {

scarce_memory::scarce_memory(std::size_t low, std::size_t high) {
  scarce_from = low;
  scarce_below = high;
}

scarce_memory::~scarce_memory() {
  scarce_below = 0;
}

} // namespace engram::test
