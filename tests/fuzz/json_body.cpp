// The JSON bodies of the four operations; the first byte says which.

#include "engram/service/request_body.hpp"

#include <array>
#include <sstream>

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using engram::operation;
  if (size == 0) return 0;
  constexpr std::array operations{operation::search, operation::similarity, operation::score,
                                  operation::spread};
  std::istringstream body{std::string{reinterpret_cast<const char*>(data) + 1, size - 1}};
  const auto read = engram::read_request_body(operations[data[0] % operations.size()], body);
  engram::fuzz::expect_sentence(read);
  if (!read) return 0;
  for (const auto* rows : {&read->query, &read->queries, &read->targets})
    if (*rows && (*rows)->values.size() != (*rows)->rows * (*rows)->dim) std::abort();
  return 0;
}
