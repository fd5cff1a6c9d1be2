// Graphs as text: edge_list files, with and without a known number of nodes.

#include "engram/datasets/formats.hpp"

#include "bytes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const engram::fuzz::bytes_file bytes{data, size};
  engram::fuzz::expect_sentence(engram::read_edge_list(bytes.open(), std::nullopt));
  const auto read = engram::read_edge_list(bytes.open(), 100);
  engram::fuzz::expect_sentence(read);
  if (!read) return 0;
  for (const auto& each : read->edges)
    if (each.source >= read->nodes || each.target >= read->nodes) std::abort();
  return 0;
}
