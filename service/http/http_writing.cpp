#include "engram/service/http/http_writing.hpp"

#include "engram/service/http/compression.hpp"
#include "engram/service/json_writer.hpp"

#include <civetweb.h>

#include <optional>
#include <utility>

namespace engram {

namespace {

/// Below this an answer fits one packet anyway.
constexpr std::size_t least_worth_compressing = 1400;

/// What a client has to take within the connection watch's patience, but for what the system's
/// buffers take; a whole answer has a limit too. Answers that are not long go in one write.
constexpr std::size_t most_at_once = std::size_t{64} * 1024;

bool is_compressible(const http_reply& reply) {
  return !reply.content_type.starts_with("image/") &&
         reply.headers.find("Content-Encoding") == std::string::npos;
}

/// Returns the name of what went wrong. Who may not come in is told by the door itself, in words
/// that no answer of the pipeline has; gRPC's `engram-code` says the same.
std::string_view code_of(const http_reply& reply) {
  switch (reply.status) {
  case 401:
    return "unauthenticated";
  case 403:
    return "forbidden";
  default:
    return to_string(reply.failure->code);
  }
}

/// Returns all of the head but what says where the body ends.
std::string head_of(mg_connection* connection, const http_reply& reply, const answer_frame& frame) {
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                     mg_get_response_code_text(connection, reply.status) +
                     "\r\nContent-Type: " + reply.content_type +
                     "\r\nConnection: " + (frame.keep_alive ? "keep-alive" : "close") +
                     "\r\nX-Content-Type-Options: nosniff\r\n";
  if (!frame.id.empty()) head.append("X-Request-Id: ").append(frame.id).append("\r\n");
  return head + reply.headers;
}

} // namespace

http_reply worded_failure(const http_reply& reply, std::string_view path, std::string_view id,
                          std::string_view title) {
  json_writer out;
  http_reply worded = reply;
  if (path.starts_with("/v2")) {
    worded.body = out.begin_object().field("error", reply.failure->message).end_object().take();
    return worded;
  }
  out.begin_object()
      .field("type", "about:blank")
      .field("title", title)
      .field("status", reply.status)
      .field("detail", reply.failure->message)
      .field("code", code_of(reply));
  if (!id.empty()) out.field("request_id", id);
  worded.body = out.end_object().take();
  worded.content_type = "application/problem+json";
  return worded;
}

void write_reply(mg_connection* connection, http_reply reply, const answer_frame& frame,
                 connection_watch::serving* served) {
  if (reply.failure)
    reply = worded_failure(reply, frame.path, frame.id,
                           mg_get_response_code_text(connection, reply.status));
  if (reply.body.size() >= least_worth_compressing && is_compressible(reply)) {
    reply.headers += "Vary: Accept-Encoding\r\n";
    if (const auto coding = preferred_coding(frame.accept_encoding)) {
      reply.body = compress(*coding, reply.body);
      reply.headers.append("Content-Encoding: ").append(name_of(*coding)).append("\r\n");
    }
  }
  std::string text = head_of(connection, reply, frame) +
                     "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
  // In one piece: a reply in two writes waits for the first one's acknowledgement.
  if (frame.with_body) text += reply.body;
  const auto latest = served ? served->due_for(text.size()) : time_point::max();
  for (std::string_view rest = text; !rest.empty();) {
    const auto piece = rest.substr(0, most_at_once);
    std::optional<connection_watch::waiting> limited;
    if (served) limited.emplace(*served, connection_watch::waiting::direction::taking, latest);
    if (mg_write(connection, piece.data(), piece.size()) != static_cast<int>(piece.size())) return;
    rest.remove_prefix(piece.size());
  }
}

void write_stream_head(mg_connection* connection, const http_reply& reply,
                       const answer_frame& frame) {
  const std::string text = head_of(connection, reply, frame) + "Transfer-Encoding: chunked\r\n\r\n";
  mg_write(connection, text.data(), text.size());
}

} // namespace engram
