#include "engram/service/grpc/engram_stream.hpp"

#include "engram/service/error_words.hpp"
#include "engram/service/grpc/status.hpp"
#include "engram/service/grpc/wire.hpp"

#include <google/protobuf/arena.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace engram {

namespace {

struct request_message;

/// One request until it is answered: what its answer needs, and how to take it back.
struct stream_request {
  std::list<request_message>::iterator message; ///< that brought it
  std::uint64_t id = 0;                         ///< the client's
  bool omit_trace = false;
  bool is_answered = false;
  dataset_ptr data;        ///< lends the labels
  std::vector<row_id> ids; ///< of a score whose labels are wanted
  ticket taken;
};

/// What one message brought, until all of it is answered.
struct request_message {
  request_message(std::size_t count, std::size_t memory)
      : requests(count), unanswered(count), bytes(memory) {}

  std::vector<stream_request> requests;
  std::size_t unanswered;
  std::size_t bytes; ///< that it takes
  bool is_submitted = false;
};

/// Answers that are ready, encoded one after the other.
struct response_message {
  std::unique_ptr<std::string> bytes; ///< so that writing them needs no memory
  std::size_t responses = 0;
};

/// Returns a v1::StreamResponse with one response, which `fill` writes, as bytes. Several of them
/// in a row are one message with all their responses.
template <class Fill>
std::string encoded(std::uint64_t id, const Fill& fill) {
  alignas(std::max_align_t) std::array<char, 2048> room; // enough for most, without the heap
  google::protobuf::Arena arena{room.data(), room.size()};
  auto& message = *google::protobuf::Arena::CreateMessage<v1::StreamResponse>(&arena);
  auto& out = *message.add_responses();
  out.set_id(id);
  fill(out);
  return message.SerializeAsString();
}

void fail(v1::Response& out, const error& why, std::uint32_t retry_after) {
  auto& to = *out.mutable_error();
  to.set_status(grpc_code(why.code));
  to.set_code(std::string{to_string(why.code)});
  to.set_message(why.message);
  to.set_retry_after_ms(retry_after);
}

void encode(const stream_request& from, const answer& given, v1::Response& out) {
  if (!given.ok()) return fail(out, given.failure, retry_after_ms(given.failure.code));
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

/// Hands each request over as it comes, and writes the answers as they come: those that become
/// ready while a message is on its way go out together in the next one.
class engram_stream final : public message_stream {
public:
  engram_stream(grpc_door& door, const grpc_decoder& decoder, std::string client)
      : message_stream(door), decoder_(decoder), client_(std::move(client)) {}

private:
  /// Requests whose answers are not written yet at which reading pauses, so that a client that
  /// sends faster than it is served, or fetches no answers, is slowed down by the transport and not
  /// by refusals. The last message that is read may exceed it; one by itself is refused above it.
  static constexpr std::size_t most_requests = 8192;
  /// The same for the memory that they and the answers take.
  static constexpr std::size_t most_bytes = std::size_t{64} << 20;
  /// Answers go into one message up to this, which clients take by default.
  static constexpr std::size_t most_message_bytes = std::size_t{1} << 20;

  result<void> take(grpc::ByteBuffer& message) override;
  void take_back() override;
  bool has_room() const override {
    return unanswered_ + unwritten_ < most_requests && bytes_ < most_bytes;
  }
  bool is_answered() const override { return unanswered_ == 0; }
  bool next_message(grpc::ByteBuffer& out) override;

  void submit(stream_request& mine, const v1::Request& in,
              const std::shared_ptr<const void>& owner);
  /// Decodes a request that its client may make now; else says why not, and how long to wait.
  result<grpc_request> accept(const v1::Request& in, const std::shared_ptr<const void>& owner,
                              std::uint32_t& retry_after);
  /// Answers with what `fill` writes into a v1::Response.
  template <class Fill>
  void answer_with(stream_request& mine, const Fill& fill);

  // With the mutex held:
  void put(std::string&& response);
  void forget_if_done(std::list<request_message>::iterator message);

  const grpc_decoder& decoder_;
  const std::string client_;

  // Guarded by the mutex, but for a request in `taken_`, which belongs to the thread that submits
  // it and then to the one that answers it.
  std::list<request_message> taken_;
  std::size_t unanswered_ = 0;
  std::deque<response_message> ready_;
  std::size_t unwritten_ = 0; ///< responses in `ready_`
  std::size_t bytes_ = 0;     ///< of `taken_` and `ready_`
};

result<void> engram_stream::take(grpc::ByteBuffer& message) {
  const auto sent = message.Length();
  const auto in = read_message<v1::StreamRequest>(message);
  if (!in) return in.error();
  const auto& requests = in->message->requests();
  if (requests.empty()) return {};
  const auto count = static_cast<std::size_t>(requests.size());
  if (count > most_requests)
    return invalid("a message of a stream has " + std::to_string(count) +
                   " requests: send at most " + std::to_string(most_requests) + " in one");
  std::list<request_message> fresh;
  fresh.emplace_back(count, sent + in->arena->SpaceUsed() + count * sizeof(stream_request));
  const auto mine = fresh.begin();
  {
    const auto held = lock();
    unanswered_ += count;
    bytes_ += mine->bytes;
    taken_.splice(taken_.end(), fresh);
  }
  for (std::size_t i = 0; i < count; ++i) {
    mine->requests[i].message = mine;
    submit(mine->requests[i], requests[static_cast<int>(i)], in->arena);
  }
  bool is_late = false;
  {
    const auto held = lock();
    mine->is_submitted = true;
    forget_if_done(mine);
    is_late = is_cancelled();
  }
  if (is_late) take_back();
  return {};
}

result<grpc_request> engram_stream::accept(const v1::Request& in,
                                           const std::shared_ptr<const void>& owner,
                                           std::uint32_t& retry_after) {
  if (const auto wait = door().access().charge(client_)) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(*wait);
    retry_after = static_cast<std::uint32_t>(whole.count());
    return error{ec::overloaded, std::string{too_many_requests}};
  }
  auto decoded = decoder_.decode(in, owner);
  if (!decoded) retry_after = retry_after_ms(decoded.error().code);
  return decoded;
}

void engram_stream::submit(stream_request& mine, const v1::Request& in,
                           const std::shared_ptr<const void>& owner) {
  mine.id = in.id();
  std::uint32_t retry_after = 0;
  const auto submitted = guarded([&]() -> result<void> {
    auto decoded = accept(in, owner, retry_after);
    if (!decoded) return decoded.error();
    mine.omit_trace = decoded->omit_trace;
    mine.data = std::move(decoded->data);
    if (mine.data && in.has_score())
      mine.ids.assign(in.score().ids().begin(), in.score().ids().end());
    mine.taken = door().pipe().submit(std::move(decoded->what), [this, &mine](const answer& given) {
      answer_with(mine, [&](v1::Response& out) { encode(mine, given, out); });
    });
    return {};
  });
  if (submitted) return;
  answer_with(mine, [&](v1::Response& out) { fail(out, submitted.error(), retry_after); });
}

template <class Fill>
void engram_stream::answer_with(stream_request& mine, const Fill& fill) {
  std::string response;
  auto done = guarded([&] { response = encoded(mine.id, fill); });
  if (!done)
    done = guarded([&] {
      response = encoded(mine.id, [&](v1::Response& out) { engram::fail(out, done.error(), 0); });
    });
  update([&] {
    if (std::exchange(mine.is_answered, true)) return;
    --unanswered_;
    if (done) done = guarded([&] { put(std::move(response)); });
    if (!done) end_with(done.error());
    --mine.message->unanswered;
    forget_if_done(mine.message);
  });
}

void engram_stream::put(std::string&& response) {
  const auto size = response.size();
  if (ready_.empty() || ready_.back().bytes->size() + size > most_message_bytes)
    ready_.push_back({std::make_unique<std::string>(std::move(response))});
  else
    *ready_.back().bytes += response;
  ++ready_.back().responses;
  ++unwritten_;
  bytes_ += size;
}

void engram_stream::forget_if_done(std::list<request_message>::iterator message) {
  if (message->unanswered > 0 || !message->is_submitted) return;
  bytes_ -= message->bytes;
  taken_.erase(message);
}

bool engram_stream::next_message(grpc::ByteBuffer& out) {
  if (ready_.empty()) return false;
  auto next = std::move(ready_.front());
  ready_.pop_front();
  unwritten_ -= next.responses;
  bytes_ -= next.bytes->size();
  out = to_buffer(std::move(next.bytes));
  return true;
}

void engram_stream::take_back() {
  std::vector<ticket> open;
  {
    const auto held = lock();
    for (const auto& message : taken_)
      if (message.is_submitted)
        for (const auto& each : message.requests)
          if (!each.is_answered) open.push_back(each.taken);
  }
  for (const auto& each : open)
    each.cancel(); // answers it here, so not with the mutex held
}

} // namespace

std::unique_ptr<message_stream> make_engram_stream(grpc_door& door, const grpc_decoder& decoder,
                                                   std::string client) {
  return std::make_unique<engram_stream>(door, decoder, std::move(client));
}

} // namespace engram
