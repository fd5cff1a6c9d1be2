// The JSON body that arms fault points.

#include "engram/service/http/fault_body.hpp"

#include <sstream>

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream body{std::string{reinterpret_cast<const char*>(data), size}};
  engram::fuzz::expect_sentence(engram::read_fault_settings(body));
  return 0;
}
