// NumPy's array files, and .fvecs beside them.

#include "engram/datasets/formats.hpp"

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const engram::fuzz::bytes_file bytes{data, size};
  engram::fuzz::expect_sentence(engram::read_npy(bytes.open(), engram::element_type::f32));
  engram::fuzz::expect_sentence(engram::read_fvecs(bytes.open(), engram::element_type::f32));
  return 0;
}
