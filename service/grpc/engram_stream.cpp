#include "engram/service/grpc/engram_stream.hpp"

#include "engram/service/grpc/status.hpp"

#include <google/protobuf/arena.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engram {

namespace {

/// A message and the arena it lies in.
template <class Message>
struct arena_message {
  std::shared_ptr<google::protobuf::Arena> arena = std::make_shared<google::protobuf::Arena>();
  Message* message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
};

/// One request of the stream from its submission to its answer. A place is used again once both the
/// submission has returned and the answer is there, whichever is second.
struct place {
  std::uint64_t id = 0; ///< the client's
  bool omit_trace = false;
  bool is_submitted = false;
  bool is_answered = false;
  dataset_ptr data;        ///< lends the labels
  std::vector<row_id> ids; ///< of a score whose labels are wanted
  ticket taken;
};

/// Reads requests, hands each over as it comes, and writes the answers as they come: those that
/// become ready while a message is on its way go out together in the next one.
class stream_call final : public grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>,
                          public open_stream_call {
public:
  stream_call(grpc_door& door, const grpc_decoder& decoder, std::string client)
      : door_(door), decoder_(decoder), client_(std::move(client)) {
    StartRead(in_.message);
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
  /// Requests in flight at which reading pauses, so that a client that sends faster than it is
  /// served is slowed down by the transport and not by refusals. A message may exceed it.
  static constexpr std::size_t most_in_flight = 8192;
  /// The same for answers that the client does not fetch.
  static constexpr std::size_t most_unwritten_bytes = std::size_t{64} << 20;

  /// What is to be done once the mutex is free: a call that is finished may be gone at once.
  struct steps {
    v1::StreamResponse* write = nullptr;
    v1::StreamRequest* read = nullptr;
    std::optional<grpc::Status> finish;
  };
  void perform(const steps& due);

  void submit(const v1::Request& in, const std::shared_ptr<const void>& owner);
  /// Decodes a request that its client may make now; else says why not, and how long to wait.
  result<grpc_request> accept(const v1::Request& in, const std::shared_ptr<const void>& owner,
                              std::uint32_t& retry_after);
  void take(std::uint32_t at, ticket taken);
  void answered(std::uint32_t at, const answer& given);
  std::uint32_t open_place();
  void free_place(std::uint32_t at);

  // With the mutex held:
  v1::Response& next_response() { return *filling_.message->add_responses(); }
  static void fail(v1::Response& out, const error& why, std::uint32_t retry_after);
  void encode_result(const place& from, const answer& given, v1::Response& out);
  bool has_room() const {
    const auto unwritten = static_cast<std::size_t>(filling_.message->responses_size());
    return in_flight_ + unwritten < most_in_flight &&
           filling_.arena->SpaceUsed() < most_unwritten_bytes;
  }
  /// Says what is due now: to write, to read on or to end the call.
  steps go_on();

  grpc_door& door_;
  const grpc_decoder& decoder_;
  const std::string client_;
  arena_message<v1::StreamRequest> in_;

  std::mutex mutex_;
  std::deque<place> places_; ///< a deque: a place stays where it is
  std::vector<std::uint32_t> free_places_;
  arena_message<v1::StreamResponse> filling_, writing_;
  std::size_t in_flight_ = 0;
  bool is_reading_ = true;
  bool is_submitting_ = false;
  bool is_writing_ = false;
  bool is_read_out_ = false; ///< the client has half-closed
  bool is_cancelled_ = false;
  bool is_ending_ = false; ///< the door closes
  bool is_finished_ = false;
};

void stream_call::perform(const steps& due) {
  // The read first: until the write is done nobody finishes the call.
  if (due.read) StartRead(due.read);
  if (due.write) StartWrite(due.write);
  if (due.finish) Finish(*due.finish);
}

void stream_call::OnReadDone(bool ok) {
  if (ok) {
    // The batch refers to the numbers in the message: the next one needs memory of its own.
    const auto message = std::exchange(in_, {});
    {
      const std::lock_guard lock{mutex_};
      if (is_finished_) return; // the door closed while it was on its way
      is_submitting_ = true;
      in_flight_ += static_cast<std::size_t>(message.message->requests_size());
    }
    for (const auto& each : message.message->requests())
      submit(each, message.arena);
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

result<grpc_request> stream_call::accept(const v1::Request& in,
                                         const std::shared_ptr<const void>& owner,
                                         std::uint32_t& retry_after) {
  if (const auto wait = door_.access().charge(client_)) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(*wait);
    retry_after = static_cast<std::uint32_t>(whole.count());
    return error{ec::overloaded, std::string{too_many_requests}};
  }
  auto decoded = decoder_.decode(in, owner);
  if (!decoded) retry_after = retry_after_ms(decoded.error().code);
  return decoded;
}

void stream_call::submit(const v1::Request& in, const std::shared_ptr<const void>& owner) {
  std::uint32_t retry_after = 0;
  auto decoded = accept(in, owner, retry_after);
  std::uint32_t at = 0;
  {
    const std::lock_guard lock{mutex_};
    if (!decoded) {
      auto& out = next_response();
      out.set_id(in.id());
      fail(out, decoded.error(), retry_after);
      --in_flight_;
      return;
    }
    at = open_place();
    auto& mine = places_[at];
    mine.id = in.id();
    mine.omit_trace = decoded->omit_trace;
    mine.data = std::move(decoded->data);
    if (mine.data && in.has_score())
      mine.ids.assign(in.score().ids().begin(), in.score().ids().end());
  }
  take(at, door_.pipe().submit(std::move(decoded->what),
                               [this, at](const answer& given) { answered(at, given); }));
}

void stream_call::take(std::uint32_t at, ticket taken) {
  bool is_late = false;
  {
    const std::lock_guard lock{mutex_};
    auto& mine = places_[at];
    mine.is_submitted = true;
    if (mine.is_answered) {
      free_place(at);
      return;
    }
    mine.taken = taken;
    is_late = is_cancelled_;
  }
  if (is_late) taken.cancel();
}

void stream_call::answered(std::uint32_t at, const answer& given) {
  steps due;
  {
    const std::lock_guard lock{mutex_};
    auto& mine = places_[at];
    auto& out = next_response();
    out.set_id(mine.id);
    if (given.ok())
      encode_result(mine, given, out);
    else
      fail(out, given.failure, retry_after_ms(given.failure.code));
    mine.is_answered = true;
    if (mine.is_submitted) free_place(at);
    --in_flight_;
    due = go_on();
  }
  perform(due);
}

std::uint32_t stream_call::open_place() {
  if (free_places_.empty()) {
    places_.emplace_back();
    return static_cast<std::uint32_t>(places_.size() - 1);
  }
  const auto at = free_places_.back();
  free_places_.pop_back();
  return at;
}

void stream_call::free_place(std::uint32_t at) {
  places_[at] = {};
  free_places_.push_back(at);
}

void stream_call::fail(v1::Response& out, const error& why, std::uint32_t retry_after) {
  auto& to = *out.mutable_error();
  to.set_status(grpc_code(why.code));
  to.set_code(std::string{to_string(why.code)});
  to.set_message(why.message);
  to.set_retry_after_ms(retry_after);
}

void stream_call::encode_result(const place& from, const answer& given, v1::Response& out) {
  const auto with_trace = [&](auto& to) {
    if (!from.omit_trace) encode_trace(given, *to.mutable_trace());
  };
  const dataset* data = from.data.get();
  switch (given.op) {
  case operation::search:
    encode(given, data, *out.mutable_search());
    return with_trace(*out.mutable_search());
  case operation::similarity:
    encode(given, data, *out.mutable_similarity());
    return with_trace(*out.mutable_similarity());
  case operation::score:
    encode(given, data, from.ids, *out.mutable_score());
    return with_trace(*out.mutable_score());
  case operation::spread:
    encode(given, data, *out.mutable_spread());
    return with_trace(*out.mutable_spread());
  }
}

stream_call::steps stream_call::go_on() {
  steps due;
  if (is_finished_) return due;
  if (is_cancelled_) {
    // Nobody reads any more; whatever is under way comes back first.
    if (is_reading_ || is_writing_ || is_submitting_ || in_flight_ > 0) return due;
    is_finished_ = true;
    due.finish = {grpc::StatusCode::CANCELLED, "the client took the stream back"};
    return due;
  }
  if (!is_writing_ && filling_.message->responses_size() > 0) {
    is_writing_ = true;
    writing_ = std::exchange(filling_, {});
    due.write = writing_.message;
  }
  if (!is_reading_ && !is_submitting_ && !is_read_out_ && !is_ending_ && has_room()) {
    is_reading_ = true;
    due.read = in_.message;
  }
  if (is_read_out_ && in_flight_ == 0 && !is_writing_) {
    is_finished_ = true;
    due.finish = grpc::Status::OK;
  } else if (is_ending_ && !is_submitting_ && in_flight_ == 0 && !is_writing_) {
    is_finished_ = true;
    due.finish = {grpc::StatusCode::UNAVAILABLE, "the server ends; all that it took is answered"};
  }
  return due;
}

void stream_call::end() {
  steps due;
  {
    const std::lock_guard lock{mutex_};
    is_ending_ = true;
    due = go_on();
  }
  perform(due);
}

void stream_call::OnWriteDone(bool ok) {
  steps due;
  {
    const std::lock_guard lock{mutex_};
    is_writing_ = false;
    if (!ok) is_cancelled_ = true;
    due = go_on();
  }
  perform(due);
}

void stream_call::OnCancel() {
  std::vector<ticket> open;
  {
    const std::lock_guard lock{mutex_};
    is_cancelled_ = true;
    for (const auto& each : places_)
      if (each.is_submitted && !each.is_answered) open.push_back(each.taken);
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

grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
open_stream(grpc_door& door, const grpc_decoder& decoder, std::string client) {
  auto* call = new stream_call{door, decoder, std::move(client)};
  door.calls().add(*call);
  return call;
}

} // namespace engram
