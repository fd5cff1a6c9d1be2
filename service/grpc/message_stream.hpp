#pragma once

#include "engram/base/error.hpp"
#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/open_calls.hpp"
#include "engram/service/grpc/status.hpp"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace engram {

using stream_reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

/// A call in which messages come and go for as long as both sides like: reads one after the other
/// while there is room, and writes what becomes ready. A derived class knows what the messages say.
///
/// It ends once all that it took is answered and written: with OK when the client has half-closed,
/// with UNAVAILABLE when the door closes, with INVALID_ARGUMENT after a message that cannot be
/// read; and with CANCELLED, unwritten, when the client is gone.
///
/// An operation is decided on with the mutex held and started without it, and is counted in
/// between; Finish is decided on while none is, and nothing is decided on after it. So nothing is
/// started on a call that is finished, which may be gone: gRPC frees it through OnDone, which comes
/// after Finish and after all reactions. Whoever else calls a member has taken something that is
/// not answered yet, which keeps Finish away, or is told by `open_calls`, which OnDone waits for.
class message_stream : public stream_reactor, public open_stream_call {
public:
  ~message_stream() override = default;

  void OnReadDone(bool ok) final;
  void OnWriteDone(bool ok) final;
  void OnCancel() final;
  void OnDone() final;
  void end() final;

protected:
  explicit message_stream(grpc_door& door) : door_(door) { StartRead(&in_); }

  grpc_door& door() const noexcept { return door_; }

  // -- what a derived class does without the mutex --

  /// Takes the requests of a message, from one thread at a time, and empties it. What it returns,
  /// or throws, ends the stream.
  virtual result<void> take(grpc::ByteBuffer& message) = 0;
  /// Takes back what is not answered yet.
  virtual void take_back() = 0;

  // -- and with it --

  /// Returns true if another message may be read.
  virtual bool has_room() const = 0;
  /// Returns true if nothing that was taken lacks its answer.
  virtual bool is_answered() const = 0;
  /// Puts the next message to write into `out`; returns false if none is ready.
  virtual bool next_message(grpc::ByteBuffer& out) = 0;

  // -- for derived classes --

  /// Changes what the functions above return, and starts what is due thereby. The stream may be
  /// gone when it returns.
  template <class Change>
  void update(const Change& change) {
    std::unique_lock lock{mutex_};
    change();
    go_on(lock);
  }
  /// Locks the mutex. Nothing may change thereby that makes an operation due.
  std::unique_lock<std::mutex> lock() { return std::unique_lock{mutex_}; }
  /// With the mutex held: the client is gone, and answers are wanted no more.
  bool is_cancelled() const noexcept { return is_cancelled_; }
  /// With the mutex held: reads no further, and ends the call with `why` once all is answered.
  void end_with(const error& why) noexcept { last_word_ = to_status(why); }

private:
  /// Starts what is due. The mutex is held when it is called, and when it returns unless the stream
  /// may be gone.
  void go_on(std::unique_lock<std::mutex>& lock);
  /// Each decides on an operation, if one is due.
  bool begin_read();
  bool begin_write();
  /// Where no operation is due: what to finish the call with, if that is.
  std::optional<grpc::Status> end_due() const;

  grpc_door& door_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;

  std::mutex mutex_;
  bool is_reading_ = true;
  bool is_taking_ = false; ///< a message that was read
  bool is_writing_ = false;
  bool is_cancelled_ = false;
  bool is_finished_ = false; ///< Finish is called, or about to be
  int starting_ = 0;         ///< threads that start operations
  /// What the call ends with; nothing is read any more.
  std::optional<grpc::Status> last_word_;
};

/// Begins a stream: asks the door, and hands what `make` makes, told whose the requests are, to
/// gRPC and to the door that closes one day.
stream_reactor*
begin_stream(grpc_door& door, grpc::CallbackServerContext& context,
             const std::function<std::unique_ptr<message_stream>(std::string client)>& make);

} // namespace engram
