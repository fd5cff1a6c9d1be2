// Both streams of the gRPC door: how much they hold, and how they end.

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <inference.grpc.pb.h>

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grpc_fixture.hpp"

namespace engram::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// Bytes of the targets of a request that is large, or not.
constexpr std::size_t large = std::size_t{4} << 20, small = 4;

/// Engram's own stream.
struct engram_protocol {
  using stub_type = v1::Engram::Stub;
  using request = v1::StreamRequest;
  using response = v1::StreamResponse;

  static auto connect(const std::shared_ptr<grpc::Channel>& to) { return v1::Engram::NewStub(to); }
  static auto open(stub_type& stub, grpc::ClientContext& context) { return stub.Stream(&context); }
  static request similarity(std::size_t bytes) {
    request out;
    auto& what = *out.add_requests()->mutable_similarity();
    what.mutable_query()->add_values(1);
    what.mutable_targets()->set_raw(std::string(bytes, '\0'));
    return out;
  }
  static request damaged() {
    request out;
    out.add_requests()->mutable_search()->set_text("\xff");
    return out;
  }
  static int answers(const response& in) { return in.responses_size(); }
};

/// The Open Inference Protocol's.
struct open_inference_protocol {
  using stub_type = inference::GRPCInferenceService::Stub;
  using request = inference::ModelInferRequest;
  using response = inference::ModelStreamInferResponse;

  static auto connect(const std::shared_ptr<grpc::Channel>& to) {
    return inference::GRPCInferenceService::NewStub(to);
  }
  static auto open(stub_type& stub, grpc::ClientContext& context) {
    return stub.ModelStreamInfer(&context);
  }
  static request similarity(std::size_t bytes) {
    request out;
    out.set_model_name("similarity");
    const auto add = [&](const char* name, std::initializer_list<std::int64_t> shape,
                         std::string content) {
      auto& input = *out.add_inputs();
      input.set_name(name);
      input.set_datatype("FP32");
      input.mutable_shape()->Add(shape.begin(), shape.end());
      out.add_raw_input_contents(std::move(content));
    };
    add("query", {1, 1}, std::string(4, '\0'));
    add("targets", {1, static_cast<std::int64_t>(bytes / 4), 1}, std::string(bytes, '\0'));
    return out;
  }
  static request damaged() {
    request out;
    out.set_model_name("\xff");
    return out;
  }
  static int answers(const response&) { return 1; }
};

template <class Protocol>
class grpc_streams : public grpc_fixture {
protected:
  grpc_streams() { door.max_body_bytes = 2 * large; }
  void SetUp() override {
    grpc_fixture::SetUp();
    stub = Protocol::connect(channel);
  }
  auto open() { return Protocol::open(*stub, context); }

  /// Returns how many answers come before the stream ends.
  template <class Stream>
  static int read_all(Stream& stream) {
    int count = 0;
    for (typename Protocol::response in; stream.Read(&in);)
      count += Protocol::answers(in);
    return count;
  }

  std::unique_ptr<typename Protocol::stub_type> stub;
  grpc::ClientContext context;
};

using protocols = ::testing::Types<engram_protocol, open_inference_protocol>;
TYPED_TEST_SUITE(grpc_streams, protocols);

TYPED_TEST(grpc_streams, read_no_further_while_they_hold_64_mib) {
  ASSERT_TRUE(this->pipe->arm_fault("actor.ingest=1*delay(8000)"));
  const auto stream = this->open();
  const auto message = TypeParam::similarity(large);
  std::jthread writer{[&] {
    for (int i = 0; i < 100 && stream->Write(message); ++i) {
    }
  }};
  const auto accepted = [this] { return this->pipe->counts().accepted; };
  for (int i = 0; i < 2000 && accepted() < 8; ++i)
    std::this_thread::sleep_for(10ms);
  std::uint64_t at_rest = 0;
  for (int still = 0; still < 20; ++still) {
    std::this_thread::sleep_for(20ms);
    if (std::exchange(at_rest, accepted()) != accepted()) still = 0;
  }
  EXPECT_GE(at_rest, 8u);
  EXPECT_LE(at_rest, 17u);
  this->context.TryCancel();
  writer.join();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TYPED_TEST(grpc_streams, end_with_ok_once_all_is_answered) {
  const auto stream = this->open();
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(stream->Write(TypeParam::similarity(small)));
  stream->WritesDone();
  EXPECT_EQ(this->read_all(*stream), 100);
  EXPECT_TRUE(stream->Finish().ok());
}

TYPED_TEST(grpc_streams, answer_what_came_before_a_message_that_cannot_be_read) {
  const auto stream = this->open();
  ASSERT_TRUE(stream->Write(TypeParam::similarity(small)));
  stream->Write(TypeParam::damaged());
  EXPECT_EQ(this->read_all(*stream), 1);
  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("cannot be read"));
}

TYPED_TEST(grpc_streams, are_answered_before_the_door_closes) {
  ASSERT_TRUE(this->pipe->arm_fault("cpu.launch=1*delay(200)"));
  const auto stream = this->open();
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(stream->Write(TypeParam::similarity(small)));
  while (this->pipe->counts().accepted < 10)
    std::this_thread::sleep_for(1ms);
  std::jthread closing{[this] { EXPECT_TRUE(this->grpc_door->stop(10s)); }};
  EXPECT_EQ(this->read_all(*stream), 10);
  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("all that it took is answered"));
}

TYPED_TEST(grpc_streams, that_are_opened_and_closed_while_the_door_closes_all_end) {
  std::vector<std::jthread> clients;
  std::atomic<int> endless{0};
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&] {
      for (bool is_open = true; is_open;) {
        grpc::ClientContext mine;
        mine.set_deadline(std::chrono::system_clock::now() + 20s);
        const auto stream = TypeParam::open(*this->stub, mine);
        is_open = stream->Write(TypeParam::similarity(small)) && stream->WritesDone();
        this->read_all(*stream);
        const auto status = stream->Finish();
        if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) ++endless;
        is_open = status.ok() && is_open;
      }
    });
  std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(this->grpc_door->stop(10s));
  clients.clear();
  EXPECT_EQ(endless, 0);
}

} // namespace
} // namespace engram::test
