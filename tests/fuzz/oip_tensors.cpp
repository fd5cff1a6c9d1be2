// Inferences of the Open Inference Protocol as gRPC brings them, up to the pipeline's requests.

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/grpc/inference_messages.hpp"

#include <array>

#include "bytes_file.hpp"

namespace {

using namespace engram;

/// A pipeline with a collection "c" (3 numbers a row) and a graph "g".
pipeline& pipe() {
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

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shared_memory_regions regions{oip_options{}};
  const auto message = std::make_shared<inference::ModelInferRequest>();
  if (!message->ParseFromArray(data, static_cast<int>(size))) return 0;
  auto decoded = decode_inference(*message, message, regions);
  fuzz::expect_sentence(decoded);
  if (!decoded) return 0;
  const auto plan = plan_inference(std::move(*decoded), pipe());
  fuzz::expect_sentence(plan);
  if (plan && plan->requests.empty()) std::abort();
  return 0;
}
