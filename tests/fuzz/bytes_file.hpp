#pragma once

#include "engram/datasets/input_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace engram::fuzz {

/// A file in memory with the fuzzer's bytes, for the readers of datasets.
class bytes_file {
public:
  bytes_file(const std::uint8_t* data, std::size_t size)
      : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    // Without a file there is nothing to test.
    if (::write(descriptor_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~bytes_file() { ::close(descriptor_); }
  bytes_file(const bytes_file&) = delete;
  bytes_file& operator=(const bytes_file&) = delete;

  input_file open() const {
    auto opened = input_file::open("/proc/self/fd/" + std::to_string(descriptor_));
    if (!opened) std::abort();
    return std::move(*opened);
  }

private:
  int descriptor_;
};

/// An error has a sentence, or it tells nobody anything.
template <class Result>
void expect_sentence(const Result& outcome) {
  if (!outcome && outcome.error().message.empty()) std::abort();
}

} // namespace engram::fuzz
