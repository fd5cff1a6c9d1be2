#include "engram/service/grpc/library_log.hpp"

#include "engram/service/grpc/line_budget.hpp"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <string>
#include <string_view>

namespace engram {

namespace {

/// One line for what a client caused; a flood of them tells no more than a few do.
void log_complaint(std::string_view library, std::string_view text) {
  static std::mutex mutex;
  static line_budget budget{10};
  if (!spdlog::should_log(spdlog::level::debug)) return;
  std::uint64_t left_out = 0;
  {
    const std::lock_guard lock{mutex};
    const auto taken = budget.take(clock_type::now());
    if (!taken) return;
    left_out = *taken;
  }
  if (left_out > 0)
    spdlog::debug("{}: {} ({} lines before this one were left out)", library, text, left_out);
  else
    spdlog::debug("{}: {}", library, text);
}

void log_grpc(gpr_log_func_args* what) {
  const std::string_view text{what->message};
  if (text.starts_with("assertion failed")) // aborts next
    spdlog::critical("gRPC: {} ({}:{})", text, what->file, what->line);
  else
    log_complaint("gRPC", text);
}

void log_protobuf(google::protobuf::LogLevel level, const char* file, int line,
                  const std::string& text) {
  if (level == google::protobuf::LOGLEVEL_FATAL) // is thrown next
    spdlog::critical("protobuf: {} ({}:{})", text, file, line);
  else
    log_complaint("protobuf", text);
}

} // namespace

void log_libraries() {
  gpr_set_log_function(&log_grpc);
  google::protobuf::SetLogHandler(&log_protobuf);
}

} // namespace engram
