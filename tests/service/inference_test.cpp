// The Open Inference Protocol over gRPC: what clients ask first, inferences, streams, shared
// memory.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <inference.grpc.pb.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "grpc_fixture.hpp"

namespace engram::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
std::string raw(std::initializer_list<T> numbers) {
  return {reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(T)};
}

template <class T>
std::vector<T> numbers_of(const std::string& bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::string element(std::string_view text) {
  std::string out;
  append_bytes_element(out, text);
  return out;
}

class inference_test : public grpc_fixture {
protected:
  inference_test() {
    protocol.shared_memory = true;
    protocol.shared_memory_prefix = "/engram-test-" + std::to_string(::getpid());
  }
  void SetUp() override {
    grpc_fixture::SetUp();
    stub = inference::GRPCInferenceService::NewStub(channel);
  }

  static void add_input(inference::ModelInferRequest& to, const char* name, const char* datatype,
                        std::initializer_list<std::int64_t> shape, std::string bytes) {
    auto& input = *to.add_inputs();
    input.set_name(name);
    input.set_datatype(datatype);
    for (const auto dim : shape)
      input.add_shape(dim);
    to.add_raw_input_contents(std::move(bytes));
  }
  static inference::ModelInferRequest search_animals() {
    inference::ModelInferRequest out;
    out.set_model_name("search.animals");
    out.set_id("seven");
    add_input(out, "query", "FP32", {1, 3}, raw({1.0f, 0.0f, 0.0f}));
    (*out.mutable_parameters())["k"].set_int64_param(2);
    return out;
  }
  static inference::ModelInferRequest two_similarities() {
    inference::ModelInferRequest out;
    out.set_model_name("similarity");
    add_input(out, "query", "FP32", {2, 2}, raw({1.0f, 0.0f, 0.0f, 1.0f}));
    add_input(out, "targets", "FP32", {2, 1, 2}, raw({1.0f, 0.0f, 1.0f, 0.0f}));
    return out;
  }

  inference::ModelInferResponse infer(const inference::ModelInferRequest& in) {
    inference::ModelInferResponse out;
    grpc::ClientContext context;
    const auto status = stub->ModelInfer(&context, in, &out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }
  grpc::Status failure(const inference::ModelInferRequest& in) {
    inference::ModelInferResponse out;
    grpc::ClientContext context;
    return stub->ModelInfer(&context, in, &out);
  }
  inference::ModelStatistics statistics(const char* model) {
    inference::ModelStatisticsRequest in;
    in.set_name(model);
    inference::ModelStatisticsResponse out;
    grpc::ClientContext context;
    EXPECT_TRUE(stub->ModelStatistics(&context, in, &out).ok());
    return out.model_stats_size() == 1 ? out.model_stats(0) : inference::ModelStatistics{};
  }

  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
};

// -- what clients ask first --

TEST_F(inference_test, server_and_models_are_ready_until_readiness_is_held) {
  const auto ready = [&](const char* model) {
    grpc::ClientContext a, b;
    inference::ServerReadyResponse whole;
    EXPECT_TRUE(stub->ServerReady(&a, {}, &whole).ok());
    inference::ModelReadyRequest in;
    in.set_name(model);
    inference::ModelReadyResponse out;
    EXPECT_TRUE(stub->ModelReady(&b, in, &out).ok());
    return std::pair{whole.ready(), out.ready()};
  };
  EXPECT_EQ(ready("search.animals"), std::pair(true, true));
  EXPECT_EQ(ready("search.nothing"), std::pair(true, false));
  grpc_door->hold_readiness(true);
  EXPECT_EQ(ready("search.animals"), std::pair(false, false));
  grpc::ClientContext context;
  inference::ServerLiveResponse live;
  ASSERT_TRUE(stub->ServerLive(&context, {}, &live).ok());
  EXPECT_TRUE(live.live());
}

TEST_F(inference_test, metadata_and_config_describe_the_same_tensors) {
  grpc::ClientContext a, b;
  inference::ModelMetadataRequest in;
  in.set_name("search.stories");
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(stub->ModelMetadata(&a, in, &metadata).ok());
  EXPECT_THAT(metadata.versions(), ElementsAre("1"));
  inference::ModelConfigRequest config_in;
  config_in.set_name("search.stories");
  inference::ModelConfigResponse config;
  ASSERT_TRUE(stub->ModelConfig(&b, config_in, &config).ok());
  EXPECT_GT(config.config().max_batch_size(), 0);
  EXPECT_FALSE(config.config().model_transaction_policy().decoupled());

  ASSERT_EQ(metadata.inputs_size(), 2);
  EXPECT_EQ(metadata.inputs(0).name(), "query");
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, 16));
  EXPECT_EQ(metadata.inputs(1).datatype(), "BYTES");
  ASSERT_EQ(config.config().input_size(), metadata.inputs_size());
  ASSERT_EQ(config.config().output_size(), metadata.outputs_size());
  EXPECT_EQ(config.config().input(0).data_type(), inference::TYPE_FP32);
  EXPECT_THAT(config.config().input(0).dims(), ElementsAre(16)); // without the batch
  EXPECT_EQ(config.config().input(1).data_type(), inference::TYPE_STRING);
  EXPECT_TRUE(config.config().input(1).optional());
}

TEST_F(inference_test, the_index_lists_every_model_and_the_server_its_extensions) {
  grpc::ClientContext a, b;
  inference::RepositoryIndexResponse index;
  ASSERT_TRUE(stub->RepositoryIndex(&a, {}, &index).ok());
  std::vector<std::string> names;
  for (const auto& each : index.models())
    names.push_back(each.name());
  EXPECT_THAT(
      names, ElementsAre("search.animals", "spread.animals-graph", "search.stories", "similarity"));
  inference::ServerMetadataResponse about;
  ASSERT_TRUE(stub->ServerMetadata(&b, {}, &about).ok());
  EXPECT_EQ(about.name(), "engram");
  EXPECT_THAT(about.extensions(), ::testing::IsSupersetOf({"statistics", "system_shared_memory"}));
}

// -- inferences --

TEST_F(inference_test, a_search_gives_what_the_library_gives) {
  const auto out = infer(search_animals());
  const auto direct = pipe->submit(search_request{"animals", {1, 0, 0}, 2, {}}).get();
  EXPECT_EQ(out.id(), "seven");
  EXPECT_EQ(out.model_version(), "1");
  ASSERT_EQ(out.outputs_size(), 2);
  EXPECT_EQ(out.outputs(0).name(), "ids");
  EXPECT_THAT(out.outputs(0).shape(), ElementsAre(1, 2));
  const auto ids = numbers_of<std::uint32_t>(out.raw_output_contents(0));
  const auto scores = numbers_of<float>(out.raw_output_contents(1));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(ids[i], direct.output.hits[i].id);
    EXPECT_EQ(scores[i], direct.output.hits[i].score);
  }
}

TEST_F(inference_test, typed_contents_give_what_raw_ones_give) {
  auto typed = search_animals();
  typed.clear_raw_input_contents();
  for (const float x : {1.0f, 0.0f, 0.0f})
    typed.mutable_inputs(0)->mutable_contents()->add_fp32_contents(x);
  EXPECT_EQ(infer(typed).raw_output_contents(1), infer(search_animals()).raw_output_contents(1));
}

TEST_F(inference_test, labels_come_when_asked_for_in_the_order_asked) {
  auto in = search_animals();
  in.add_outputs()->set_name("labels");
  in.add_outputs()->set_name("ids");
  const auto out = infer(in);
  ASSERT_EQ(out.outputs_size(), 2);
  EXPECT_EQ(out.outputs(0).name(), "labels");
  EXPECT_EQ(out.raw_output_contents(0), element("dog") + element("\"puppy\"\n"));
  EXPECT_THAT(numbers_of<std::uint32_t>(out.raw_output_contents(1)), ElementsAre(0, 3));
}

TEST_F(inference_test, text_is_embedded) {
  inference::ModelInferRequest in;
  in.set_model_name("search.stories");
  add_input(in, "text", "BYTES", {2, 1}, element("a cat") + element("the moon"));
  (*in.mutable_parameters())["k"].set_int64_param(1);
  EXPECT_THAT(numbers_of<std::uint32_t>(infer(in).raw_output_contents(0)), ElementsAre(1, 2));
}

TEST_F(inference_test, similarities_of_a_batch_come_row_by_row) {
  const auto out = infer(two_similarities());
  EXPECT_THAT(out.outputs(0).shape(), ElementsAre(2, 1));
  EXPECT_THAT(numbers_of<float>(out.raw_output_contents(0)), ElementsAre(1.0f, 0.0f));
}

TEST_F(inference_test, seed_sets_of_different_sizes_are_padded) {
  inference::ModelInferRequest in;
  in.set_model_name("spread.animals-graph");
  add_input(in, "nodes", "UINT32", {2, 2}, raw<std::uint32_t>({2, 0, 0, 2}));
  add_input(in, "amounts", "FP32", {2, 2}, raw({1.0f, 0.0f, 1.0f, 1.0f}));
  const auto out = infer(in);
  ASSERT_EQ(out.outputs(0).name(), "nodes");
  const auto rows =
      pipe->submit(spread_request{"animals-graph", {{{2, 1}}, {{0, 1}, {2, 1}}}, {}, {}})
          .get()
          .output;
  const auto counts = numbers_of<std::uint32_t>(out.raw_output_contents(2));
  EXPECT_EQ(counts, rows.counts);
  const auto nodes = numbers_of<std::uint32_t>(out.raw_output_contents(0));
  const auto width = static_cast<std::size_t>(out.outputs(0).shape(1));
  EXPECT_EQ(nodes[0], 2u);
  EXPECT_EQ(nodes[counts[0]], 4294967295u) << "the padding of the shorter row";
  EXPECT_EQ(nodes[width], rows.hits[counts[0]].id);
}

TEST_F(inference_test, statistics_count_queries_and_failures) {
  infer(search_animals());
  infer(search_animals());
  auto bad = search_animals();
  (*bad.mutable_parameters())["k"].set_int64_param(0);
  EXPECT_FALSE(failure(bad).ok());
  const auto out = statistics("search.animals");
  EXPECT_EQ(out.version(), "1");
  EXPECT_EQ(out.inference_count(), 2u);
  EXPECT_GE(out.execution_count(), 1u);
  const auto& parts = out.inference_stats();
  EXPECT_EQ(parts.success().count(), 2u);
  EXPECT_EQ(parts.fail().count(), 1u);
  EXPECT_EQ(parts.compute_input().count(), parts.compute_infer().count());
  EXPECT_EQ(parts.compute_output().count(), parts.compute_infer().count());
  EXPECT_GT(parts.success().ns(), 0u);
  EXPECT_EQ(statistics("similarity").inference_count(), 0u);
}

// -- streams --

TEST_F(inference_test, a_stream_answers_in_order_and_outlives_an_error) {
  grpc::ClientContext context;
  const auto stream = stub->ModelStreamInfer(&context);
  constexpr int requests = 200;
  for (int i = 0; i < requests; ++i) {
    auto in = i % 3 == 0 ? two_similarities() : search_animals();
    in.set_id(std::to_string(i));
    if (i == 100) in.set_model_name("search.nothing");
    ASSERT_TRUE(stream->Write(in));
  }
  stream->WritesDone();
  inference::ModelStreamInferResponse out;
  for (int i = 0; i < requests; ++i) {
    ASSERT_TRUE(stream->Read(&out));
    EXPECT_EQ(out.infer_response().id(), std::to_string(i));
    EXPECT_TRUE(out.infer_response().parameters().at("triton_final_response").bool_param());
    EXPECT_EQ(out.error_message().empty(), i != 100) << out.error_message();
  }
  EXPECT_FALSE(stream->Read(&out));
  EXPECT_TRUE(stream->Finish().ok());
}

// -- shared memory --

class shared_object {
public:
  shared_object(std::string key, std::size_t size) : key_(std::move(key)), size_(size) {
    const int descriptor = ::shm_open(key_.c_str(), O_CREAT | O_RDWR, 0600);
    EXPECT_GE(descriptor, 0);
    EXPECT_EQ(::ftruncate(descriptor, static_cast<off_t>(size)), 0);
    memory_ = static_cast<char*>(
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0));
    ::close(descriptor);
  }
  ~shared_object() {
    ::munmap(memory_, size_);
    ::shm_unlink(key_.c_str());
  }
  shared_object(const shared_object&) = delete;
  shared_object& operator=(const shared_object&) = delete;
  char* data() const { return memory_; }

private:
  std::string key_;
  std::size_t size_;
  char* memory_ = nullptr;
};

TEST_F(inference_test, tensors_can_lie_in_shared_memory) {
  const std::string key = protocol.shared_memory_prefix + "-a";
  const shared_object memory{key, 256};
  std::memcpy(memory.data() + 16, raw({1.0f, 0.0f, 0.0f}).data(), 12);
  inference::SystemSharedMemoryRegisterRequest region;
  region.set_name("mine");
  region.set_key(key);
  region.set_byte_size(256);
  {
    grpc::ClientContext context;
    inference::SystemSharedMemoryRegisterResponse out;
    const auto status = stub->SystemSharedMemoryRegister(&context, region, &out);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  auto in = search_animals();
  in.clear_raw_input_contents();
  const auto place = [](auto& tensor, int offset, int size) {
    auto& to = *tensor.mutable_parameters();
    to["shared_memory_region"].set_string_param("mine");
    to["shared_memory_offset"].set_int64_param(offset);
    to["shared_memory_byte_size"].set_int64_param(size);
  };
  place(*in.mutable_inputs(0), 16, 12);
  auto& ids = *in.add_outputs();
  ids.set_name("ids");
  place(ids, 64, 64);
  const auto out = infer(in);
  EXPECT_EQ(out.raw_output_contents(0), "");
  EXPECT_EQ(out.outputs(0).parameters().at("shared_memory_byte_size").uint64_param(), 8u);
  EXPECT_THAT(numbers_of<std::uint32_t>({memory.data() + 64, 8}), ElementsAre(0, 3));

  place(*in.mutable_inputs(0), 250, 12);
  const auto outside = failure(in);
  EXPECT_EQ(outside.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(outside.error_message(), HasSubstr("mine"));
  place(*in.mutable_inputs(0), 16, 12);
  place(*in.mutable_outputs(0), 64, 4);
  EXPECT_EQ(failure(in).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "no room for 8 bytes";
}

TEST_F(inference_test, shared_memory_is_confined_to_its_prefix) {
  for (const std::string& key : {std::string{"/other"}, protocol.shared_memory_prefix + "/../x",
                                 std::string{"../../etc/passwd"}, std::string{}}) {
    inference::SystemSharedMemoryRegisterRequest in;
    in.set_name("r");
    in.set_key(key);
    in.set_byte_size(1);
    grpc::ClientContext context;
    inference::SystemSharedMemoryRegisterResponse out;
    EXPECT_EQ(stub->SystemSharedMemoryRegister(&context, in, &out).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << key;
  }
}

TEST_F(inference_test, taking_all_regions_back_succeeds_for_both_kinds) {
  grpc::ClientContext a, b, c;
  inference::SystemSharedMemoryUnregisterResponse system;
  EXPECT_TRUE(stub->SystemSharedMemoryUnregister(&a, {}, &system).ok());
  inference::CudaSharedMemoryUnregisterResponse cuda;
  EXPECT_TRUE(stub->CudaSharedMemoryUnregister(&b, {}, &cuda).ok());
  inference::CudaSharedMemoryRegisterResponse registered;
  EXPECT_EQ(stub->CudaSharedMemoryRegister(&c, {}, &registered).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

// -- bad input --

struct bad_inference {
  const char* name;
  std::function<void(inference::ModelInferRequest&)> spoil;
  grpc::StatusCode code;
  const char* says;
};

void PrintTo(const bad_inference& what, std::ostream* out) {
  *out << what.name;
}

class bad_inference_test : public inference_test,
                           public ::testing::WithParamInterface<bad_inference> {};

TEST_P(bad_inference_test, has_a_status_and_a_sentence_and_the_next_one_is_served) {
  auto in = search_animals();
  GetParam().spoil(in);
  const auto status = failure(in);
  EXPECT_EQ(status.error_code(), GetParam().code);
  EXPECT_THAT(status.error_message(), HasSubstr(GetParam().says));
  EXPECT_EQ(infer(search_animals()).outputs_size(), 2);
}

using request = inference::ModelInferRequest;
constexpr auto invalid = grpc::StatusCode::INVALID_ARGUMENT;
const std::array bad_inferences{
    bad_inference{"unknown_model", [](request& r) { r.set_model_name("animals"); },
                  grpc::StatusCode::NOT_FOUND, "search.NAME"},
    bad_inference{"unknown_version", [](request& r) { r.set_model_version("9"); },
                  grpc::StatusCode::NOT_FOUND, "its version is 1"},
    bad_inference{"no_input",
                  [](request& r) {
                    r.clear_inputs();
                    r.clear_raw_input_contents();
                  },
                  invalid, "needs the input 'query'"},
    bad_inference{"unknown_input", [](request& r) { r.mutable_inputs(0)->set_name("q"); }, invalid,
                  "no input 'q'"},
    bad_inference{"wrong_datatype", [](request& r) { r.mutable_inputs(0)->set_datatype("FP64"); },
                  invalid, "must be FP32"},
    bad_inference{"wrong_dim", [](request& r) { r.mutable_inputs(0)->set_shape(1, 4); }, invalid,
                  "[-1,3]"},
    bad_inference{"negative_dim", [](request& r) { r.mutable_inputs(0)->set_shape(0, -5); },
                  invalid, "negative"},
    bad_inference{"empty_batch",
                  [](request& r) {
                    r.mutable_inputs(0)->set_shape(0, 0);
                    r.set_raw_input_contents(0, "");
                  },
                  invalid, "batch of 0"},
    bad_inference{"huge_batch",
                  [](request& r) { r.mutable_inputs(0)->set_shape(0, std::int64_t{1} << 62); },
                  invalid, "query"},
    bad_inference{"short_raw", [](request& r) { r.set_raw_input_contents(0, "123"); }, invalid,
                  "takes 12"},
    bad_inference{"too_many_raw", [](request& r) { r.add_raw_input_contents("x"); }, invalid,
                  "2 entries for 1"},
    bad_inference{"both_forms",
                  [](request& r) { r.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1); },
                  invalid, "beside raw_input_contents"},
    bad_inference{"nan",
                  [](request& r) {
                    r.set_raw_input_contents(0, raw({std::nanf(""), 0.0f, 0.0f}));
                  },
                  invalid, ""},
    bad_inference{"unknown_output", [](request& r) { r.add_outputs()->set_name("x"); }, invalid,
                  "no output 'x'"},
    bad_inference{"classification",
                  [](request& r) {
                    auto& out = *r.add_outputs();
                    out.set_name("ids");
                    (*out.mutable_parameters())["classification"].set_int64_param(1);
                  },
                  invalid, "classification"},
    bad_inference{"unknown_parameter",
                  [](request& r) { (*r.mutable_parameters())["topk"].set_int64_param(1); }, invalid,
                  "search takes k"},
    bad_inference{"parameter_without_value",
                  [](request& r) { (*r.mutable_parameters())["k"].clear_parameter_choice(); },
                  invalid, ""},
    bad_inference{"k_as_text",
                  [](request& r) { (*r.mutable_parameters())["k"].set_string_param("3"); }, invalid,
                  "must be a number"},
    bad_inference{"priority_18",
                  [](request& r) { (*r.mutable_parameters())["priority"].set_uint64_param(18); },
                  invalid, "1 to 17"},
    bad_inference{"many_inputs",
                  [](request& r) {
                    while (r.inputs_size() < 17)
                      *r.add_inputs() = r.inputs(0);
                  },
                  invalid, "inputs has more than 16"},
    bad_inference{"many_outputs",
                  [](request& r) {
                    while (r.outputs_size() < 17)
                      r.add_outputs()->set_name("ids");
                  },
                  invalid, "outputs has more than 16"},
    bad_inference{"region_by_number",
                  [](request& r) {
                    r.clear_raw_input_contents();
                    auto& to = *r.mutable_inputs(0)->mutable_parameters();
                    to["shared_memory_region"].set_int64_param(1);
                  },
                  invalid, "'shared_memory_region' must be a string"},
    bad_inference{"unregistered_region",
                  [](request& r) {
                    r.clear_raw_input_contents();
                    auto& to = *r.mutable_inputs(0)->mutable_parameters();
                    to["shared_memory_region"].set_string_param("nowhere");
                    to["shared_memory_byte_size"].set_int64_param(12);
                  },
                  grpc::StatusCode::NOT_FOUND, "nowhere"},
};

INSTANTIATE_TEST_SUITE_P(each, bad_inference_test, ::testing::ValuesIn(bad_inferences),
                         [](const auto& each) { return std::string{each.param.name}; });

// -- off --

class shared_memory_off : public inference_test {
protected:
  shared_memory_off() { protocol.shared_memory = false; }
};

TEST_F(shared_memory_off, registering_says_which_key_allows_it) {
  inference::SystemSharedMemoryRegisterRequest in;
  in.set_name("r");
  in.set_key(protocol.shared_memory_prefix);
  in.set_byte_size(1);
  grpc::ClientContext a, b;
  inference::SystemSharedMemoryRegisterResponse out;
  const auto status = stub->SystemSharedMemoryRegister(&a, in, &out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("oip.shared_memory"));
  inference::SystemSharedMemoryUnregisterResponse all;
  EXPECT_TRUE(stub->SystemSharedMemoryUnregister(&b, {}, &all).ok());
}

} // namespace engram::testing
