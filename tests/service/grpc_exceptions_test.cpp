// Exceptions at the gRPC door: none leaves it, and each call gets a status. Here memory ends where
// a test says.

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <inference.grpc.pb.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "grpc_fixture.hpp"
#include "scarce_memory.hpp"

namespace engram::test {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t numbers = 5003;
constexpr std::size_t their_bytes = numbers * sizeof(float);

/// A copy of the numbers is what a request needs that names as many rows.
scarce_memory for_a_request() {
  return {their_bytes, their_bytes + 1};
}
/// The numbers and what an arena adds are what an answer needs on its way out; the client, which
/// shares this memory, needs 8 bytes more than the numbers.
scarce_memory for_an_answer() {
  return {their_bytes + 9, their_bytes + 200};
}

/// The numbers as the bytes of a tensor, with the zero that a string ends with.
scarce_memory for_a_tensor() {
  return {their_bytes + 1, their_bytes + 2};
}

v1::ScoreRequest many_rows() {
  v1::ScoreRequest out;
  out.set_collection("animals");
  for (const float x : {1.0f, 0.0f, 0.0f})
    out.mutable_query()->add_values(x);
  for (std::size_t i = 0; i < numbers; ++i)
    out.add_ids(0);
  return out;
}

class grpc_exceptions : public grpc_fixture {
protected:
  void SetUp() override {
    grpc_fixture::SetUp();
    stub = v1::Engram::NewStub(channel);
  }

  static auto patience() { return std::chrono::system_clock::now() + std::chrono::seconds{20}; }
  grpc::Status score() {
    v1::ScoreResponse out;
    grpc::ClientContext context;
    context.set_deadline(patience());
    return stub->Score(&context, many_rows(), &out);
  }

  std::unique_ptr<v1::Engram::Stub> stub;
};

TEST_F(grpc_exceptions, a_request_that_memory_does_not_suffice_for_is_told_so) {
  {
    const auto missing = for_a_request();
    const auto status = score();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), HasSubstr("no memory for this request"));
  }
  EXPECT_TRUE(score().ok());
}

TEST_F(grpc_exceptions, an_answer_that_memory_does_not_suffice_for_is_an_error) {
  {
    const auto missing = for_an_answer();
    EXPECT_EQ(score().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  EXPECT_TRUE(score().ok());
}

TEST_F(grpc_exceptions, a_stream_outlives_them) {
  grpc::ClientContext context;
  context.set_deadline(patience());
  const auto stream = stub->Stream(&context);
  v1::StreamRequest all;
  for (const std::uint64_t id : {1u, 2u}) {
    auto& each = *all.add_requests();
    each.set_id(id);
    *each.mutable_score() = many_rows();
  }
  all.mutable_requests(1)->mutable_score()->mutable_ids()->Truncate(1); // has enough
  const auto ask = [&] {
    EXPECT_TRUE(stream->Write(all));
    std::map<std::uint64_t, v1::Response> out;
    for (v1::StreamResponse in; out.size() < 2 && stream->Read(&in);)
      for (const auto& each : in.responses())
        out[each.id()] = each;
    return out;
  };
  const auto expect_one_failure = [&] {
    auto answers = ask();
    EXPECT_EQ(answers[1].error().status(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(answers[1].error().message(), HasSubstr("no memory for this request"));
    EXPECT_EQ(answers[2].score().scores_size(), 1);
  };
  {
    const auto missing = for_a_request();
    expect_one_failure();
  }
  {
    const auto missing = for_an_answer();
    expect_one_failure();
  }
  EXPECT_EQ(ask()[1].score().scores_size(), static_cast<int>(numbers));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(grpc_exceptions, an_inference_whose_tensors_find_no_memory_is_answered) {
  inference::ModelInferRequest in;
  in.set_model_name("similarity");
  const auto add = [&](const char* name, std::vector<std::int64_t> shape, std::size_t bytes) {
    auto& input = *in.add_inputs();
    input.set_name(name);
    input.set_datatype("FP32");
    input.mutable_shape()->Assign(shape.begin(), shape.end());
    *in.add_raw_input_contents() = std::string(bytes, '\0');
  };
  add("query", {1, 2}, 2 * sizeof(float));
  add("targets", {1, numbers, 2}, 2 * their_bytes);
  const auto caller = inference::GRPCInferenceService::NewStub(channel);
  const auto infer = [&] {
    grpc::ClientContext context;
    context.set_deadline(patience());
    inference::ModelInferResponse out;
    return caller->ModelInfer(&context, in, &out);
  };
  {
    const auto missing = for_a_tensor();
    EXPECT_EQ(infer().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  EXPECT_TRUE(infer().ok());
}

} // namespace
} // namespace engram::test
