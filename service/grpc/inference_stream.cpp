#include "engram/service/grpc/inference_stream.hpp"

#include "engram/service/grpc/inference_messages.hpp"
#include "engram/service/grpc/wire.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engram {

namespace {

/// One inference of the stream, in the order of arrival until its answer is written.
struct stream_inference {
  std::string id;        ///< the client's
  std::size_t bytes = 0; ///< that the request takes, and then those of the answer
  inference_server::ticket taken;
  std::optional<grpc::ByteBuffer> answer;
};

class inference_stream final : public message_stream {
public:
  inference_stream(grpc_door& door, inference_server& server, std::string client)
      : message_stream(door), server_(server), client_(std::move(client)) {}

private:
  /// Inferences whose answers are not written yet at which reading pauses: the transport then slows
  /// the client down.
  static constexpr std::size_t most_inferences = 1024;
  /// The same for the memory that they and their answers take.
  static constexpr std::size_t most_bytes = std::size_t{64} << 20;
  using inference_ptr = std::shared_ptr<stream_inference>;

  result<void> take(grpc::ByteBuffer& message) override;
  void take_back() override;
  bool has_room() const override {
    return pending_.size() < most_inferences && bytes_ < most_bytes;
  }
  bool is_answered() const override { return unanswered_ == 0; }
  bool next_message(grpc::ByteBuffer& out) override;

  result<void> submit(const inference_ptr& mine,
                      const arena_message<inference::ModelInferRequest>& in);
  void answered(const inference_ptr& mine, const result<infer_response>& given);

  inference_server& server_;
  const std::string client_;

  // With the mutex held:
  std::deque<inference_ptr> pending_; ///< the first one's answer goes out next
  std::size_t unanswered_ = 0;
  std::size_t bytes_ = 0;
};

/// Returns the message that answers an inference.
result<grpc::ByteBuffer> encoded(const std::string& id, const result<infer_response>& given) {
  arena_message<inference::ModelStreamInferResponse> out;
  auto& response = *out.message->mutable_infer_response();
  if (given) {
    encode(*given, response);
  } else {
    out.message->set_error_message(given.error().message);
    response.set_id(id);
  }
  (*response.mutable_parameters())["triton_final_response"].set_bool_param(true);
  return write_message(*out.message);
}

result<void> inference_stream::take(grpc::ByteBuffer& message) {
  const auto mine = std::make_shared<stream_inference>();
  mine->bytes = message.Length();
  const auto in = read_message<inference::ModelInferRequest>(message);
  if (!in) return in.error();
  mine->id = in->message->id();
  mine->bytes += in->arena->SpaceUsed();
  {
    const auto held = lock();
    pending_.push_back(mine);
    ++unanswered_;
    bytes_ += mine->bytes;
  }
  const auto submitted = guarded([&] { return submit(mine, *in); });
  if (!submitted) answered(mine, submitted.error());
  return {};
}

result<void> inference_stream::submit(const inference_ptr& mine,
                                      const arena_message<inference::ModelInferRequest>& in) {
  if (door().access().charge(client_)) return error{ec::overloaded, std::string{too_many_requests}};
  auto decoded = decode_inference(*in.message, in.arena, server_.regions());
  if (!decoded) return decoded.error();
  // What lies in shared memory was copied.
  std::size_t copied = 0;
  for (const auto& each : decoded->inputs)
    if (each.owner != in.arena) copied += each.bytes.size();
  {
    const auto held = lock();
    mine->bytes += copied;
    bytes_ += copied;
  }
  auto taken =
      server_.infer(std::move(*decoded),
                    [this, mine](const result<infer_response>& given) { answered(mine, given); });
  bool is_late = false;
  {
    const auto held = lock();
    mine->taken = taken;
    is_late = is_cancelled();
  }
  if (is_late) taken.cancel();
  return {};
}

void inference_stream::answered(const inference_ptr& mine, const result<infer_response>& given) {
  std::optional<grpc::ByteBuffer> answer;
  const auto encode_into_answer = [&](const result<infer_response>& what) -> result<void> {
    auto out = encoded(mine->id, what);
    if (!out) return out.error();
    answer = std::move(*out);
    return {};
  };
  auto done = guarded([&] { return encode_into_answer(given); });
  if (!done) done = guarded([&] { return encode_into_answer(done.error()); });
  update([&] {
    if (mine->answer) return;
    if (!done) {
      const grpc::Slice nothing;
      answer.emplace(&nothing, 1);
      end_with(done.error());
    }
    bytes_ -= mine->bytes;
    mine->bytes = answer->Length();
    bytes_ += mine->bytes;
    mine->answer = std::move(answer);
    --unanswered_;
  });
}

bool inference_stream::next_message(grpc::ByteBuffer& out) {
  if (pending_.empty() || !pending_.front()->answer) return false;
  out.Swap(&*pending_.front()->answer);
  bytes_ -= pending_.front()->bytes;
  pending_.pop_front();
  return true;
}

void inference_stream::take_back() {
  std::vector<inference_server::ticket> open;
  {
    const auto held = lock();
    for (const auto& each : pending_)
      if (!each->answer) open.push_back(each->taken);
  }
  for (const auto& each : open)
    each.cancel(); // answers it here, so not with the mutex held
}

} // namespace

std::unique_ptr<message_stream> make_inference_stream(grpc_door& door, inference_server& server,
                                                      std::string client) {
  return std::make_unique<inference_stream>(door, server, std::move(client));
}

} // namespace engram
