#include "echo_service.hpp"

#include <mutex>

namespace engram::bench {

namespace {

/// Writes an answer to each message; reads the next one meanwhile.
class echo_stream final : public grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse> {
public:
  explicit echo_stream(const v1::SimilarityResponse& answer) : answer_(answer) { StartRead(&in_); }

  void OnReadDone(bool ok) override {
    {
      const std::lock_guard lock{mutex_};
      is_reading_ = false;
      if (ok)
        for (const auto& each : in_.requests()) {
          auto& to = *filling_.add_responses();
          to.set_id(each.id());
          *to.mutable_similarity() = answer_;
        }
      else
        is_over_ = true;
    }
    go_on();
  }
  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock{mutex_};
      is_writing_ = false;
      writing_.Clear();
      is_over_ = is_over_ || !ok;
    }
    go_on();
  }
  void OnDone() override { delete this; }

private:
  void go_on() {
    bool write = false, read = false, finish = false;
    {
      const std::lock_guard lock{mutex_};
      if (!is_writing_ && filling_.responses_size() > 0) {
        write = is_writing_ = true;
        writing_.Swap(&filling_);
      }
      if (!is_reading_ && !is_over_) read = is_reading_ = true;
      if (is_over_ && !is_writing_ && !is_reading_ && !is_finished_) finish = is_finished_ = true;
    }
    if (write) StartWrite(&writing_);
    if (read) StartRead(&in_);
    if (finish) Finish(grpc::Status::OK);
  }

  const v1::SimilarityResponse& answer_;
  v1::StreamRequest in_;
  std::mutex mutex_;
  v1::StreamResponse filling_, writing_;
  bool is_reading_ = true, is_writing_ = false, is_over_ = false, is_finished_ = false;
};

} // namespace

grpc::ServerUnaryReactor* echo_service::Similarity(grpc::CallbackServerContext* context,
                                                   const v1::SimilarityRequest*,
                                                   v1::SimilarityResponse* out) {
  *out = answer_;
  auto* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
echo_service::Stream(grpc::CallbackServerContext*) {
  return new echo_stream{answer_};
}

} // namespace engram::bench
