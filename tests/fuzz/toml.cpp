// Configuration files. Where the distribution's TOML library stops a text, ours has to say so.

#include "engram/config/load.hpp"

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  engram::fuzz::expect_sentence(engram::parse_configuration(text, "fuzz.toml"));
  return 0;
}
