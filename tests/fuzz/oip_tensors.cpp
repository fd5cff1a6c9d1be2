// Inferences of the Open Inference Protocol as gRPC brings them, up to the pipeline's requests.

#include "engram/service/grpc/inference_messages.hpp"

#include "bytes_file.hpp"
#include "small_pipeline.hpp"

using namespace engram;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shared_memory_regions regions{oip_options{}, 1024};
  const auto message = std::make_shared<inference::ModelInferRequest>();
  if (!message->ParseFromArray(data, static_cast<int>(size))) return 0;
  auto decoded = decode_inference(*message, message, regions);
  fuzz::expect_sentence(decoded);
  if (!decoded) return 0;
  const auto plan = plan_inference(std::move(*decoded), fuzz::small_pipeline());
  fuzz::expect_sentence(plan);
  if (plan && plan->requests.empty()) std::abort();
  return 0;
}
