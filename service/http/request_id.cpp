#include "engram/service/http/request_id.hpp"

#include <algorithm>
#include <random>

namespace engram {

namespace {

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view{"-_.:/+=@"}.find(c) != std::string_view::npos;
}

std::string random_hex() {
  std::random_device source;
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += "0123456789abcdef"[source() % 16];
  return out;
}

} // namespace

request_ids::request_ids() : prefix_(random_hex()) {}

std::string request_ids::accept(std::string_view wish) {
  if (!wish.empty() && wish.size() <= max_length && std::ranges::all_of(wish, is_plain))
    return std::string{wish};
  return prefix_ + '-' + std::to_string(++count_);
}

} // namespace engram
