#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace engram::test {

/// Returns the numbers as a binary tensor has them, in this machine's byte order.
template <class T>
std::string raw(std::initializer_list<T> numbers) {
  return {reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(T)};
}

/// Returns the numbers of a binary tensor.
template <class T>
std::vector<T> numbers_of(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

} // namespace engram::test
