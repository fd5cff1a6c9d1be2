// Compressed messages at the gRPC door: refused before they become what they say.

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <fstream>
#include <future>
#include <ostream>
#include <string>
#include <vector>

#include "grpc_fixture.hpp"

namespace engram::test {
namespace {

using ::testing::HasSubstr;

/// What gRPC calls each of them.
struct coding {
  grpc_compression_algorithm what;
  const char* name;
};

void PrintTo(const coding& each, std::ostream* out) {
  *out << each.name;
}

/// Returns the most memory that this process has had since the last `forget_peak`.
std::size_t peak_bytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::size_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes << 10;
    }
  return 0;
}
void forget_peak() {
  std::ofstream{"/proc/self/clear_refs"} << 5;
}

class compressed : public grpc_fixture, public ::testing::WithParamInterface<coding> {
protected:
  compressed() { door.max_body_bytes = std::size_t{4} << 20; }

  grpc::Status send(const grpc::ByteBuffer& message, grpc_compression_algorithm how) {
    grpc::GenericStub stub{channel};
    grpc::ClientContext context;
    context.set_compression_algorithm(how);
    grpc::ByteBuffer out;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, "/engram.v1.Engram/ListDatasets", {}, &message, &out,
                   [&](const grpc::Status& status) { ended.set_value(status); });
    return ended.get_future().get();
  }
};

TEST_P(compressed, calls_are_told_that_they_may_not_be) {
  const grpc::Slice bytes{std::string(1000, '\0')};
  const auto status = send({&bytes, 1}, GetParam().what);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr(GetParam().name));
  const grpc::Slice nothing;
  EXPECT_TRUE(send({&nothing, 1}, GRPC_COMPRESS_NONE).ok());
}

TEST_P(compressed, streams_are_told_too) {
  const auto stub = v1::Engram::NewStub(channel);
  grpc::ClientContext context;
  context.set_compression_algorithm(GetParam().what);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  const auto stream = stub->Stream(&context);
  v1::StreamRequest in;
  in.add_requests()->mutable_search()->set_text(std::string(1000, 'x'));
  stream->Write(in);
  v1::StreamResponse out;
  EXPECT_FALSE(stream->Read(&out));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_P(compressed, messages_do_not_become_what_they_say) {
  // This side has one part of it, and sends a thousandth.
  constexpr std::size_t part = std::size_t{1} << 20, parts = 128;
  const std::string zeros(part, '\0');
  const std::vector<grpc::Slice> all(
      parts, grpc::Slice{zeros.data(), zeros.size(), grpc::Slice::STATIC_SLICE});
  forget_peak();
  const auto before = peak_bytes();
  const auto status = send({all.data(), all.size()}, GetParam().what);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  EXPECT_GT(before, 0u);
  EXPECT_LT(peak_bytes(), before + parts * part / 4);
}

INSTANTIATE_TEST_SUITE_P(each, compressed,
                         ::testing::Values(coding{GRPC_COMPRESS_GZIP, "gzip"},
                                           coding{GRPC_COMPRESS_DEFLATE, "deflate"}),
                         [](const auto& each) { return std::string{each.param.name}; });

} // namespace
} // namespace engram::test
