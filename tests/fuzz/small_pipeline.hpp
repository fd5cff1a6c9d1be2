#pragma once

#include "engram/pipeline/pipeline.hpp"

#include <array>
#include <cstdlib>
#include <utility>

namespace engram::fuzz {

/// Returns a pipeline with a collection "c" (3 numbers a row) and a graph "g".
inline pipeline& small_pipeline() {
  static const auto started = [] {
    pipeline_options options;
    options.gpu.enabled = false;
    options.cpu.threads = 1;
    auto out = pipeline::start(options);
    if (!out) std::abort();
    const std::array<float, 6> rows{1, 0, 0, 0, 1, 0};
    auto collection = vector_collection::make(matrix_view<const float>{rows.data(), 2, 3},
                                              element_type::f32, {"a", "b"});
    auto graph = activation_graph::make(2, {{0, 1, 0.5f}}, {"a", "b"});
    if (!(*out)->publish("c", *collection) || !(*out)->publish("g", *graph)) std::abort();
    return std::move(*out);
  }();
  return *started;
}

} // namespace engram::fuzz
