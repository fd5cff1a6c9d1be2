#include "engram/service/grpc/message_stream.hpp"

#include <utility>

namespace engram {

namespace {

/// A stream that does not begin.
class refused_stream final : public stream_reactor {
public:
  explicit refused_stream(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

} // namespace

void message_stream::OnReadDone(bool ok) {
  if (!ok)
    return update([this] {
      is_reading_ = false;
      if (!last_word_) last_word_ = grpc::Status::OK; // all that the client sent is read
    });
  {
    const auto held = lock();
    if (is_finished_) return; // the door closed while it was on its way
    is_reading_ = false;
    is_taking_ = true;
  }
  const auto taken = guarded([this] { return take(in_); });
  update([&] {
    is_taking_ = false;
    if (!taken) end_with(taken.error());
  });
}

void message_stream::OnWriteDone(bool ok) {
  update([&] {
    is_writing_ = false;
    if (!ok) is_cancelled_ = true;
  });
}

void message_stream::OnCancel() {
  {
    const auto held = lock();
    is_cancelled_ = true;
  }
  // Answers here what is taken back, so not with the mutex held. What is not, is answered anyway.
  (void)guarded([this] { take_back(); });
  update([] {});
}

void message_stream::end() {
  update([this] {
    if (!last_word_)
      last_word_ = {grpc::StatusCode::UNAVAILABLE, "the server ends; all that it took is answered"};
  });
}

void message_stream::OnDone() {
  door_.calls().remove(*this);
  delete this;
}

void message_stream::go_on(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    const bool reads = begin_read(), writes = begin_write();
    if (!reads && !writes) break;
    ++starting_;
    lock.unlock();
    if (reads) StartRead(&in_);
    if (writes) StartWrite(&out_);
    lock.lock();
    --starting_;
  }
  if (const auto status = end_due()) {
    is_finished_ = true;
    lock.unlock();
    Finish(*status); // the call may be gone from here on
  }
}

bool message_stream::begin_read() {
  if (is_cancelled_ || last_word_ || is_reading_ || is_taking_ || !has_room()) return false;
  is_reading_ = true;
  return true;
}

bool message_stream::begin_write() {
  if (is_cancelled_ || is_writing_ || !next_message(out_)) return false;
  is_writing_ = true;
  return true;
}

std::optional<grpc::Status> message_stream::end_due() const {
  if (is_finished_ || starting_ > 0 || is_taking_ || is_writing_ || !is_answered())
    return std::nullopt;
  if (!is_cancelled_) return last_word_; // nothing is left to write
  if (is_reading_) return std::nullopt;
  return grpc::Status{grpc::StatusCode::CANCELLED, "the client took the stream back"};
}

stream_reactor*
begin_stream(grpc_door& door, grpc::CallbackServerContext& context,
             const std::function<std::unique_ptr<message_stream>(std::string client)>& make) {
  std::unique_ptr<message_stream> made;
  std::optional<grpc::Status> refusal;
  const auto begun = status_of(context, [&] {
    auto admitted = door.admit(context, role::query);
    refusal = std::move(admitted.refusal);
    if (refusal) return;
    auto stream = make(std::move(admitted.client));
    door.calls().add(*stream);
    made = std::move(stream);
  });
  if (made) return made.release();
  return new refused_stream{refusal.value_or(begun)};
}

} // namespace engram
