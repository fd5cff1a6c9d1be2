#pragma once

#include "engram/base/error.hpp"

#include <google/protobuf/arena.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>

namespace engram {

/// A message and the arena it lies in, which whoever refers to its numbers keeps.
template <class Message>
struct arena_message {
  std::shared_ptr<google::protobuf::Arena> arena = std::make_shared<google::protobuf::Arena>();
  Message* message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
};

/// Reads a message out of `bytes`, which it empties; `invalid_argument` if they are none.
template <class Message>
result<arena_message<Message>> read_message(grpc::ByteBuffer& bytes) {
  arena_message<Message> out;
  if (!grpc::SerializationTraits<Message>::Deserialize(&bytes, out.message).ok())
    return error{ec::invalid_argument, "the message cannot be read as a " +
                                           out.message->GetTypeName() +
                                           ": it is damaged, or has text that is not UTF-8"};
  return out;
}

/// Returns the bytes of `message`; `internal` if it has more of them than fit into one.
template <class Message>
result<grpc::ByteBuffer> write_message(const Message& message) {
  grpc::ByteBuffer out;
  bool is_own = false;
  if (const auto status = grpc::SerializationTraits<Message>::Serialize(message, &out, &is_own);
      !status.ok())
    return error{ec::internal, status.error_message()};
  return out;
}

/// Returns `bytes`, which are not copied.
inline grpc::ByteBuffer to_buffer(std::unique_ptr<std::string> bytes) {
  auto& text = *bytes;
  const grpc::Slice all{text.data(), text.size(),
                        [](void* owner) { delete static_cast<std::string*>(owner); },
                        bytes.release()};
  return {&all, 1};
}

} // namespace engram
