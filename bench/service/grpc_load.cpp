#include "grpc_load.hpp"

#include <google/protobuf/arena.h>
#include <grpcpp/client_context.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace engram::bench {

namespace {

/// Counts the work that is under way and lets somebody wait for its end.
class latch_down {
public:
  void up() {
    const std::lock_guard lock{mutex_};
    ++count_;
  }
  void down() {
    const std::lock_guard lock{mutex_};
    if (--count_ == 0) zero_.notify_all();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    zero_.wait(lock, [this] { return count_ == 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable zero_;
  std::size_t count_ = 0;
};

/// One unary call after the other.
struct unary_slot {
  v1::Engram::Stub& stub;
  const v1::SimilarityRequest& what;
  std::atomic<bool>& stop;
  latch_down& running;
  std::unique_ptr<grpc::ClientContext> context = {};
  v1::SimilarityResponse out = {};
  std::uint64_t done = 0, failed = 0;

  void ask() {
    context = std::make_unique<grpc::ClientContext>();
    stub.async()->Similarity(context.get(), &what, &out, [this](const grpc::Status& status) {
      ++done;
      if (!status.ok()) ++failed;
      if (stop)
        running.down();
      else
        ask();
    });
  }
};

/// Fills a message with `count` copies of `what`.
v1::StreamRequest message_of(const v1::SimilarityRequest& what, std::size_t count) {
  v1::StreamRequest out;
  for (std::size_t i = 0; i < count; ++i) {
    auto& each = *out.add_requests();
    each.set_id(i);
    *each.mutable_similarity() = what;
  }
  return out;
}

/// A message to read into. It lies in an arena, because this shares its cores with what it measures
/// and ought to take little of them.
class read_buffer {
public:
  v1::StreamResponse* operator->() const noexcept { return message_; }
  v1::StreamResponse* get() const noexcept { return message_; }
  /// Forgets what was read.
  void clear() {
    arena_.Reset();
    message_ = google::protobuf::Arena::CreateMessage<v1::StreamResponse>(&arena_);
  }

private:
  std::array<char, std::size_t{256} << 10> room_; ///< kept by Reset
  google::protobuf::Arena arena_{room_.data(), room_.size()};
  v1::StreamResponse* message_ =
      google::protobuf::Arena::CreateMessage<v1::StreamResponse>(&arena_);
};

/// Keeps a window of requests under way on one stream.
class full_stream final : public grpc::ClientBidiReactor<v1::StreamRequest, v1::StreamResponse> {
public:
  full_stream(v1::Engram::Stub& stub, const v1::SimilarityRequest& what, stream_shape shape,
              latch_down& running)
      : shape_(shape), message_(message_of(what, shape.per_message)), running_(running) {
    running_.up();
    stub.async()->Stream(&context_, this);
    AddHold();
    StartRead(in_.get());
    go_on();
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      const std::lock_guard lock{mutex_};
      const auto count = static_cast<std::size_t>(in_->responses_size());
      answered_ += count;
      for (const auto& each : in_->responses())
        failed_ += each.has_error();
    }
    in_.clear();
    StartRead(in_.get());
    go_on();
  }
  void OnWriteDone(bool) override {
    {
      const std::lock_guard lock{mutex_};
      is_writing_ = false;
    }
    go_on();
  }
  void OnDone(const grpc::Status& status) override {
    if (!status.ok()) failed_ += 1;
    running_.down();
  }

  std::uint64_t answered() {
    const std::lock_guard lock{mutex_};
    return answered_;
  }
  std::uint64_t failed() {
    const std::lock_guard lock{mutex_};
    return failed_;
  }
  void stop() {
    {
      const std::lock_guard lock{mutex_};
      is_stopped_ = true;
    }
    go_on();
  }

private:
  void go_on() {
    bool write = false, end = false;
    {
      const std::lock_guard lock{mutex_};
      if (is_writing_ || is_ended_) return;
      if (is_stopped_)
        end = is_ended_ = true;
      else if (sent_ - answered_ + shape_.per_message <= shape_.window) {
        write = is_writing_ = true;
        sent_ += shape_.per_message;
      }
    }
    if (write) StartWrite(&message_);
    if (end) {
      StartWritesDone();
      RemoveHold();
    }
  }

  const stream_shape shape_;
  const v1::StreamRequest message_;
  latch_down& running_;
  grpc::ClientContext context_;
  read_buffer in_;
  std::mutex mutex_;
  std::uint64_t sent_ = 0, answered_ = 0, failed_ = 0;
  bool is_writing_ = false, is_stopped_ = false, is_ended_ = false;
};

/// Sends messages when they are due. The id of a request is the message's number, by which its
/// answer finds the time.
class paced_stream final : public grpc::ClientBidiReactor<v1::StreamRequest, v1::StreamResponse> {
public:
  paced_stream(v1::Engram::Stub& stub, paced_result& out, std::size_t messages)
      : out_(out), due_(messages) {
    stub.async()->Stream(&context_, this);
    AddHold();
    StartRead(in_.get());
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const auto now = clock_type::now();
    for (const auto& each : in_->responses()) {
      if (each.has_error()) {
        ++out_.load.failed;
        continue;
      }
      const auto took = static_cast<std::uint64_t>((now - due_[each.id()]).count());
      const double inside = double{each.similarity().trace().total_ms()} * 1e6;
      out_.response.record(took);
      out_.outside.record(took > inside ? took - static_cast<std::uint64_t>(inside) : 0);
    }
    in_.clear();
    StartRead(in_.get());
  }
  void OnWriteDone(bool) override {
    const std::lock_guard lock{mutex_};
    is_writing_ = false;
    written_.notify_one();
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock{mutex_};
    if (!status.ok()) ++out_.load.failed;
    is_done_ = true;
    written_.notify_one();
  }

  void send(v1::StreamRequest& message, std::size_t number, time_point due) {
    for (auto& each : *message.mutable_requests())
      each.set_id(number);
    std::unique_lock lock{mutex_};
    due_[number] = due;
    is_writing_ = true;
    lock.unlock();
    StartWrite(&message);
    lock.lock();
    written_.wait(lock, [this] { return !is_writing_; });
  }
  void finish() {
    StartWritesDone();
    RemoveHold();
    std::unique_lock lock{mutex_};
    written_.wait(lock, [this] { return is_done_; });
  }

private:
  paced_result& out_;
  std::vector<time_point> due_;
  grpc::ClientContext context_;
  read_buffer in_;
  std::mutex mutex_;
  std::condition_variable written_;
  bool is_writing_ = false, is_done_ = false;
};

duration of_seconds(double seconds) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds});
}

double seconds_since(time_point begin) {
  return std::chrono::duration<double>(clock_type::now() - begin).count();
}

} // namespace

load_result unary_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                       std::size_t concurrency, double seconds) {
  std::atomic<bool> stop{false};
  latch_down running;
  std::vector<std::unique_ptr<unary_slot>> slots;
  const auto begin = clock_type::now();
  for (std::size_t i = 0; i < concurrency; ++i) {
    slots.push_back(std::make_unique<unary_slot>(stub, what, stop, running));
    running.up();
    slots.back()->ask();
  }
  std::this_thread::sleep_for(of_seconds(seconds));
  stop = true;
  running.wait();
  const double took = seconds_since(begin);
  std::uint64_t done = 0;
  load_result out;
  for (const auto& slot : slots) {
    done += slot->done;
    out.failed += slot->failed;
  }
  out.requests_per_second = static_cast<double>(done) / took;
  return out;
}

load_result stream_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                        stream_shape shape, double seconds) {
  latch_down running;
  const auto begin = clock_type::now();
  full_stream stream{stub, what, shape, running};
  std::this_thread::sleep_for(of_seconds(seconds));
  const double rate = static_cast<double>(stream.answered()) / seconds_since(begin);
  stream.stop();
  running.wait();
  return {rate, stream.failed()};
}

void paced_stream_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                       std::size_t per_message, double rate, double seconds, paced_result& out) {
  const auto messages = static_cast<std::size_t>(rate * seconds / static_cast<double>(per_message));
  auto message = message_of(what, per_message);
  paced_stream stream{stub, out, messages};
  const auto begin = clock_type::now();
  for (std::size_t i = 0; i < messages; ++i) {
    const auto due = begin + of_seconds(static_cast<double>(i * per_message) / rate);
    std::this_thread::sleep_until(due);
    stream.send(message, i, due);
  }
  const double took = seconds_since(begin);
  stream.finish();
  out.load.requests_per_second = static_cast<double>(messages * per_message) / took;
}

} // namespace engram::bench
