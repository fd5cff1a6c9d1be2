// SITE=TASK, alone and in lists.

#include "engram/devices/fault_grammar.hpp"

#include "engram/devices/fault_points.hpp"

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  engram::fuzz::expect_sentence(engram::parse_fault_setting(text));
  const auto parts = engram::split_fault_settings(text);
  engram::fuzz::expect_sentence(engram::parse_fault_settings(parts));
  for (const auto& each : parts)
    engram::fuzz::expect_sentence(engram::check_fault_setting(each));
  return 0;
}
