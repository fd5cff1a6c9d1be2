// What gRPC and protobuf complain about: in this process' log, and not too much of it.

#include "engram/service/grpc/line_budget.hpp"

#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <grpcpp/client_context.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "grpc_fixture.hpp"

namespace engram::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(line_budget, lets_so_many_lines_a_second_through_and_counts_the_others) {
  const time_point begin{1h};
  line_budget budget{2};
  EXPECT_EQ(budget.take(begin), 0u);
  EXPECT_EQ(budget.take(begin + 1ms), 0u);
  EXPECT_EQ(budget.take(begin + 2ms), std::nullopt);
  EXPECT_EQ(budget.take(begin + 999ms), std::nullopt);
  EXPECT_EQ(budget.take(begin + 1s), 2u);
  EXPECT_EQ(budget.take(begin + 1s), 0u);
  EXPECT_EQ(budget.take(begin + 1s), std::nullopt);
}

/// The log of this process while it lives.
class captured_log {
public:
  explicit captured_log(spdlog::level::level_enum level) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_));
    logger->set_pattern("%l %v");
    logger->set_level(level);
    spdlog::set_default_logger(std::move(logger));
  }
  ~captured_log() { spdlog::set_default_logger(before_); }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  std::string text() const { return lines_.str(); }

private:
  std::ostringstream lines_;
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

/// Returns how many lines there are and how many they say were left out.
int lines_and_lines_left_out(const std::string& text) {
  int out = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  for (auto at = text.find(" ("); at != std::string::npos; at = text.find(" (", at + 1))
    out += std::atoi(text.c_str() + at + 2);
  return out;
}

class grpc_log : public grpc_fixture {
protected:
  /// Makes protobuf complain.
  void send_text_that_is_none() {
    v1::SearchRequest in;
    in.set_collection("\xff\xfe");
    v1::SearchResponse out;
    grpc::ClientContext context;
    EXPECT_FALSE(v1::Engram::NewStub(channel)->Search(&context, in, &out).ok());
  }
};

TEST_F(grpc_log, complaints_about_clients_are_for_those_who_debug) {
  const captured_log log{spdlog::level::debug};
  ::testing::internal::CaptureStderr();
  send_text_that_is_none();
  gpr_log(GPR_ERROR, "a handshake failed");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(log.text(), HasSubstr("debug protobuf: String field "));
  EXPECT_THAT(log.text(), HasSubstr("debug gRPC: a handshake failed\n"));
}

TEST_F(grpc_log, nobody_else_reads_them) {
  const captured_log log{spdlog::level::info};
  send_text_that_is_none();
  gpr_log(GPR_ERROR, "a handshake failed");
  EXPECT_EQ(log.text(), "");
}

TEST_F(grpc_log, a_flood_of_them_is_a_few_lines) {
  const captured_log log{spdlog::level::debug};
  std::this_thread::sleep_for(1s); // what was logged before counts no more
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i)
    gpr_log(GPR_ERROR, "a handshake failed");
  const auto seconds =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  const auto text = log.text();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 10 * (seconds.count() + 1));
  std::this_thread::sleep_for(1s);
  gpr_log(GPR_ERROR, "another handshake failed");
  EXPECT_THAT(log.text(), HasSubstr("another handshake failed"));
  EXPECT_EQ(lines_and_lines_left_out(log.text()), 10'001);
}

TEST_F(grpc_log, what_ends_the_process_is_said_whatever_the_level) {
  const captured_log log{spdlog::level::err};
  gpr_log(GPR_ERROR, "assertion failed: %s", "x > 0");
  EXPECT_THAT(log.text(), HasSubstr("critical gRPC: assertion failed: x > 0"));
}

} // namespace
} // namespace engram::test
