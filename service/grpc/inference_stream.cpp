#include "engram/service/grpc/inference_stream.hpp"

#include "engram/service/grpc/inference_messages.hpp"

#include <google/protobuf/arena.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace engram {

namespace {

using google::protobuf::Arena;

/// One inference of the stream, in the order of arrival until its answer is written.
struct pending_inference {
  std::shared_ptr<Arena> arena = std::make_shared<Arena>(); ///< of both messages
  inference::ModelInferRequest* in =
      Arena::CreateMessage<inference::ModelInferRequest>(arena.get());
  inference::ModelStreamInferResponse* out =
      Arena::CreateMessage<inference::ModelStreamInferResponse>(arena.get());
  inference_server::ticket taken;
  bool is_answered = false;
};

class inference_stream final : public grpc::ServerBidiReactor<inference::ModelInferRequest,
                                                              inference::ModelStreamInferResponse>,
                               public open_stream_call {
public:
  inference_stream(grpc_door& door, inference_server& server, std::string client)
      : door_(door), server_(server), client_(std::move(client)) {
    StartRead(reading_->in);
  }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override {
    door_.calls().remove(*this);
    delete this;
  }
  void end() override;

private:
  /// Inferences in flight at which reading pauses: the transport then slows the client down.
  static constexpr std::size_t most_in_flight = 1024;
  using pending_ptr = std::shared_ptr<pending_inference>;

  /// What is to be done once the mutex is free: a call that is finished may be gone at once.
  struct steps {
    const inference::ModelStreamInferResponse* write = nullptr;
    inference::ModelInferRequest* read = nullptr;
    std::optional<grpc::Status> finish;
  };
  void perform(const steps& due);
  void submit(const pending_ptr& mine);
  void answered(const pending_ptr& mine, const result<infer_response>& given);
  /// With the mutex held: says what is due now.
  steps go_on();

  grpc_door& door_;
  inference_server& server_;
  const std::string client_;
  pending_ptr reading_ = std::make_shared<pending_inference>();

  std::mutex mutex_;
  std::deque<pending_ptr> pending_; ///< the first one's answer goes out next
  std::size_t unanswered_ = 0;
  bool is_reading_ = true;
  bool is_submitting_ = false;
  bool is_writing_ = false;
  bool is_read_out_ = false; ///< the client has half-closed
  bool is_cancelled_ = false;
  bool is_ending_ = false; ///< the door closes
  bool is_finished_ = false;
};

void inference_stream::perform(const steps& due) {
  // The read first: until the write is done nobody finishes the call.
  if (due.read) StartRead(due.read);
  if (due.write) StartWrite(due.write);
  if (due.finish) Finish(*due.finish);
}

void inference_stream::OnReadDone(bool ok) {
  if (ok) {
    const auto mine = std::exchange(reading_, std::make_shared<pending_inference>());
    {
      const std::lock_guard lock{mutex_};
      if (is_finished_) return; // the door closed while it was on its way
      is_submitting_ = true;
      ++unanswered_;
      pending_.push_back(mine);
    }
    submit(mine);
  }
  steps due;
  {
    const std::lock_guard lock{mutex_};
    is_submitting_ = false;
    is_reading_ = false;
    is_read_out_ = !ok;
    due = go_on();
  }
  perform(due);
}

void inference_stream::submit(const pending_ptr& mine) {
  if (door_.access().charge(client_)) {
    answered(mine, error{ec::overloaded, std::string{too_many_requests}});
    return;
  }
  auto decoded = decode_inference(*mine->in, mine->arena, server_.regions());
  if (!decoded) {
    answered(mine, decoded.error());
    return;
  }
  auto taken =
      server_.infer(std::move(*decoded),
                    [this, mine](const result<infer_response>& given) { answered(mine, given); });
  bool is_late = false;
  {
    const std::lock_guard lock{mutex_};
    mine->taken = taken;
    is_late = is_cancelled_;
  }
  if (is_late) taken.cancel();
}

void inference_stream::answered(const pending_ptr& mine, const result<infer_response>& given) {
  auto& response = *mine->out->mutable_infer_response();
  if (given) {
    encode(*given, response);
  } else {
    mine->out->set_error_message(given.error().message);
    response.set_id(mine->in->id());
  }
  (*response.mutable_parameters())["triton_final_response"].set_bool_param(true);
  steps due;
  {
    const std::lock_guard lock{mutex_};
    mine->is_answered = true;
    --unanswered_;
    due = go_on();
  }
  perform(due);
}

inference_stream::steps inference_stream::go_on() {
  steps due;
  if (is_finished_) return due;
  if (is_cancelled_) {
    // Nobody reads any more; whatever is under way comes back first.
    if (is_reading_ || is_writing_ || is_submitting_ || unanswered_ > 0) return due;
    is_finished_ = true;
    due.finish = {grpc::StatusCode::CANCELLED, "the client took the stream back"};
    return due;
  }
  if (!is_writing_ && !pending_.empty() && pending_.front()->is_answered) {
    is_writing_ = true;
    due.write = pending_.front()->out;
  }
  if (!is_reading_ && !is_submitting_ && !is_read_out_ && !is_ending_ &&
      pending_.size() < most_in_flight) {
    is_reading_ = true;
    due.read = reading_->in;
  }
  if (is_read_out_ && pending_.empty()) {
    is_finished_ = true;
    due.finish = grpc::Status::OK;
  } else if (is_ending_ && !is_submitting_ && pending_.empty()) {
    is_finished_ = true;
    due.finish = {grpc::StatusCode::UNAVAILABLE, "the server ends; all that it took is answered"};
  }
  return due;
}

void inference_stream::end() {
  steps due;
  {
    const std::lock_guard lock{mutex_};
    is_ending_ = true;
    due = go_on();
  }
  perform(due);
}

void inference_stream::OnWriteDone(bool ok) {
  steps due;
  {
    const std::lock_guard lock{mutex_};
    is_writing_ = false;
    pending_.pop_front();
    if (!ok) is_cancelled_ = true;
    due = go_on();
  }
  perform(due);
}

void inference_stream::OnCancel() {
  std::vector<inference_server::ticket> open;
  {
    const std::lock_guard lock{mutex_};
    is_cancelled_ = true;
    for (const auto& each : pending_)
      if (!each->is_answered) open.push_back(each->taken);
  }
  for (const auto& each : open)
    each.cancel(); // answers it here, so not with the mutex held
  steps due;
  {
    const std::lock_guard lock{mutex_};
    due = go_on();
  }
  perform(due);
}

} // namespace

grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
open_inference_stream(grpc_door& door, inference_server& server, std::string client) {
  auto* call = new inference_stream{door, server, std::move(client)};
  door.calls().add(*call);
  return call;
}

} // namespace engram
