#pragma once

#include "engram/service/http/connection_watch.hpp"
#include "engram/service/http/http_message.hpp"

#include <string>
#include <string_view>

struct mg_connection;

namespace engram {

/// What an answer says besides what its handler said.
struct answer_frame {
  std::string_view path;            ///< of the request; says how errors are worded
  std::string_view id;              ///< of the request
  std::string_view accept_encoding; ///< of the request; empty: as it is
  bool keep_alive = false;
  bool with_body = true; ///< false: the answer to HEAD
};

/// Returns the answer to a request that went wrong, worded for the clients of `path`.
http_reply worded_failure(const http_reply& reply, std::string_view path, std::string_view id,
                          std::string_view title);

/// Writes an answer, compressed if the client likes that. A client that does not take it in time
/// gets no more of it; without `served` there is no such limit.
void write_reply(mg_connection* connection, http_reply reply, const answer_frame& frame,
                 connection_watch::serving* served);

/// Writes the head of an answer that comes in chunks; the connection ends with it.
void write_stream_head(mg_connection* connection, const http_reply& reply,
                       const answer_frame& frame);

} // namespace engram
