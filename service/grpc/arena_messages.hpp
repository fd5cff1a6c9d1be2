#pragma once

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/message_allocator.h>

#include <memory>

namespace engram {

/// The messages of one call, which live until the call is over and nobody refers to their numbers
/// any more.
template <class Request, class Response>
class arena_messages final : public grpc::MessageHolder<Request, Response> {
public:
  arena_messages() {
    this->set_request(google::protobuf::Arena::CreateMessage<Request>(arena_.get()));
    this->set_response(google::protobuf::Arena::CreateMessage<Response>(arena_.get()));
  }
  void Release() override { delete this; }
  /// Keeps both messages.
  std::shared_ptr<const void> owner() const noexcept { return arena_; }

private:
  std::shared_ptr<google::protobuf::Arena> arena_ = std::make_shared<google::protobuf::Arena>();
};

template <class Request, class Response>
class arena_allocator final : public grpc::MessageAllocator<Request, Response> {
public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override {
    return new arena_messages<Request, Response>;
  }
  /// Returns what keeps the messages of a call that this made.
  static std::shared_ptr<const void> owner_of(grpc::CallbackServerContext& context) {
    return static_cast<arena_messages<Request, Response>*>(context.GetRpcAllocatorState())->owner();
  }
};

} // namespace engram
