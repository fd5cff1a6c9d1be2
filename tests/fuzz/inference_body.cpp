// Inferences of the Open Inference Protocol as HTTP brings them, up to the pipeline's requests. The
// first line says what is not in the body: the model, and the length of the JSON if data follows.

#include "engram/service/oip/inference_body.hpp"

#include <sstream>

#include "bytes_file.hpp"
#include "small_pipeline.hpp"

using namespace engram;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shared_memory_regions regions{oip_options{}, 1024};
  std::istringstream body{std::string{reinterpret_cast<const char*>(data), size}};
  std::string first_line, model;
  std::getline(body, first_line);
  std::istringstream said{first_line};
  said >> model;
  std::optional<std::uint64_t> json_bytes;
  if (std::uint64_t length = 0; said >> length) json_bytes = length;
  body.clear();

  auto read = read_inference(body, json_bytes, size, regions);
  fuzz::expect_sentence(read);
  if (!read) return 0;
  read->model = model;
  const auto plan = plan_inference(std::move(*read), fuzz::small_pipeline());
  fuzz::expect_sentence(plan);
  if (plan && plan->requests.empty()) std::abort();
  return 0;
}
