#include "engram/service/http_server.hpp"

#include "engram/base/clock.hpp"
#include "engram/service/http_body.hpp"
#include "engram/service/listen_address.hpp"
#include "engram/service/routes.hpp"

#include <civetweb.h>
#include <strings.h>

#include <array>
#include <condition_variable>
#include <exception>
#include <istream>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace engram {

namespace {

constexpr duration longest_body_time = std::chrono::seconds{30};
constexpr duration longest_drop_time = std::chrono::seconds{5};

/// Returns the value of a request header, empty if it is not there.
std::string_view header(const mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value ? std::string_view{value} : std::string_view{};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// Returns true if the client expects to send its next request on this connection.
bool wants_keep_alive(const mg_connection* connection) {
  const std::string_view wish = header(connection, "Connection");
  if (!wish.empty()) return equals_ignoring_case(wish, "keep-alive");
  return std::string_view{mg_get_request_info(connection)->http_version} == "1.1";
}

void write_reply(mg_connection* connection, const http_reply& reply, bool keep_alive,
                 bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                     mg_get_response_code_text(connection, reply.status) +
                     "\r\nContent-Type: " + reply.content_type +
                     "\r\nContent-Length: " + std::to_string(reply.body.size()) +
                     "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n" +
                     reply.headers + "\r\n";
  // In one piece: a reply in two writes waits for the first one's acknowledgement.
  if (with_body) text += reply.body;
  mg_write(connection, text.data(), text.size());
}

/// How the client says where its body ends.
struct framing {
  bool chunked = false;
  std::optional<std::uint64_t> length;
};

framing framing_of(const mg_connection* connection) {
  framing out;
  out.chunked = !header(connection, "Transfer-Encoding").empty();
  const long long length = mg_get_request_info(connection)->content_length;
  if (!out.chunked && !header(connection, "Content-Length").empty() && length >= 0)
    out.length = static_cast<std::uint64_t>(length);
  return out;
}

http_reply too_large(std::uint64_t limit) {
  return error_reply(
      413, {ec::invalid_argument, "the body is larger than " + std::to_string(limit) +
                                      " bytes: send less at once or raise server.max_body_bytes"});
}

} // namespace

struct http_server::impl {
  impl(pipeline& pipe, std::uint64_t max_body)
      : pages(pipe), faults(pipe.http_faults()), max_body_bytes(max_body) {}

  int on_request(mg_connection* connection);
  bool is_stopped_by(fault_point& site);
  http_reply reply_to(mg_connection* connection, std::string_view method, std::string_view path,
                      bool& is_body_left);
  http_reply serve(mg_connection* connection, std::string_view method, std::string_view path,
                   const framing& body_framing, bool& is_body_left);

  routes pages;
  const pipeline::door_faults faults;
  std::uint64_t max_body_bytes;
  steady_clock_source clock;
  mg_context* context = nullptr;
  std::string host;
  std::uint16_t port = 0;

  std::mutex mutex;
  std::condition_variable became_idle;
  std::condition_variable became_stopped;
  std::size_t active = 0;
  std::optional<bool> stopped; ///< what `stop` returned
};

int http_server::impl::on_request(mg_connection* connection) {
  {
    const std::lock_guard lock{mutex};
    ++active;
  }
  const auto* info = mg_get_request_info(connection);
  const std::string_view method = info->request_method;
  bool is_body_left = false;
  const http_reply reply = reply_to(connection, method, info->local_uri, is_body_left);
  const bool is_cut = !routes::is_admin(info->local_uri) && is_stopped_by(faults.send);
  const bool keep_alive = !is_cut && !is_body_left && wants_keep_alive(connection);
  if (!keep_alive) mg_disable_connection_keep_alive(connection);
  if (!is_cut) write_reply(connection, reply, keep_alive, method != "HEAD");
  {
    const std::lock_guard lock{mutex};
    if (--active == 0) became_idle.notify_all();
  }
  // A client that waits for "100 Continue" has not sent anything to drop.
  if (!is_cut && is_body_left && header(connection, "Expect").empty())
    drop_rest_of_body(connection, clock, longest_drop_time);
  return reply.status;
}

/// Makes the trouble that `site` is armed with; returns true if the request ends there. The admin
/// routes are spared, so that trouble can be taken back.
bool http_server::impl::is_stopped_by(fault_point& site) {
  const auto action = site.fire();
  if (action.what == fault_action::kind::delay) {
    std::unique_lock lock{mutex};
    became_stopped.wait_for(lock, action.wait, [this] { return stopped.has_value(); });
  }
  return action.what == fault_action::kind::fail;
}

http_reply http_server::impl::reply_to(mg_connection* connection, std::string_view method,
                                       std::string_view path, bool& is_body_left) {
  const framing body = framing_of(connection);
  is_body_left = body.chunked || body.length.value_or(0) > 0;
  if (!routes::is_admin(path) && is_stopped_by(faults.accept))
    return error_reply(
        {ec::unavailable, "the request was not taken: fault point http.accept is armed"});
  if (auto refused = pages.refusal(method, path)) return std::move(*refused);
  try {
    if (!routes::wants_body(method)) {
      std::istream nothing{nullptr};
      return pages.serve(method, path, nothing);
    }
    if (!body.chunked && !body.length)
      return error_reply(411, {ec::invalid_argument, "the request has no usable Content-Length"});
    if (body.length.value_or(0) > max_body_bytes) return too_large(max_body_bytes);
    return serve(connection, method, path, body, is_body_left);
  } catch (const std::bad_alloc&) {
    return error_reply(
        {ec::resource_exhausted, "no memory for this request: ask for less at once"});
  } catch (const std::exception& why) {
    return error_reply({ec::internal, std::string{"unexpected: "} + why.what()});
  }
}

http_reply http_server::impl::serve(mg_connection* connection, std::string_view method,
                                    std::string_view path, const framing& body_framing,
                                    bool& is_body_left) {
  if (equals_ignoring_case(header(connection, "Expect"), "100-continue"))
    mg_printf(connection, "HTTP/1.1 100 Continue\r\n\r\n");
  http_body body{connection, max_body_bytes, clock, longest_body_time};
  std::istream stream{&body};
  http_reply reply = pages.serve(method, path, stream);
  if (body.is_too_large()) return too_large(max_body_bytes);
  if (body.is_broken())
    return error_reply(408, {ec::invalid_argument, "the body did not arrive whole and in time"});
  // The server skips what was not read of a body whose length is known, and so within bounds.
  is_body_left = body_framing.chunked && !body.is_finished();
  return reply;
}

http_server::http_server() = default;

result<std::unique_ptr<http_server>> http_server::start(pipeline& pipe,
                                                        const server_options& options) {
  auto address = usable_listen_address(options.host, options.port);
  if (!address) return address.error();

  std::unique_ptr<http_server> server{new http_server};
  server->impl_ = std::make_unique<impl>(pipe, options.max_body_bytes);
  auto& self = *server->impl_;
  self.host = options.host;

  mg_callbacks callbacks{};
  callbacks.begin_request = [](mg_connection* connection) {
    return static_cast<impl*>(mg_get_user_context_data(connection))->on_request(connection);
  };
  // What CivetWeb refuses by itself: request lines and headers that are none.
  callbacks.http_error = [](mg_connection* connection, int status, const char* text) {
    mg_disable_connection_keep_alive(connection);
    const ec code = status >= 500 ? ec::internal : ec::invalid_argument;
    write_reply(connection, error_reply(status, {code, text}), false, true);
    return 0;
  };
  callbacks.log_message = [](const mg_connection*, const char*) { return 1; };

  const std::string threads = std::to_string(options.threads);
  const std::array<const char*, 17> settings{"listening_ports",
                                             address->c_str(),
                                             "num_threads",
                                             threads.c_str(),
                                             "enable_keep_alive",
                                             "yes",
                                             "keep_alive_timeout_ms",
                                             "1000",
                                             "request_timeout_ms",
                                             "10000",
                                             "tcp_nodelay",
                                             "1",
                                             "listen_backlog",
                                             "512",
                                             "connection_queue",
                                             "512",
                                             nullptr};
  std::array<char, 256> why{};
  mg_error_data trouble{nullptr, why.data(), why.size()};
  mg_init_data init{&callbacks, &self, const_cast<const char**>(settings.data())};
  self.context = mg_start2(&init, &trouble);
  if (!self.context)
    return error{ec::unavailable, "cannot listen on " + *address + ": " + why.data()};

  mg_server_port listening{};
  mg_get_server_ports(self.context, 1, &listening);
  self.port = static_cast<std::uint16_t>(listening.port);
  return server;
}

http_server::~http_server() {
  if (impl_) stop(std::chrono::milliseconds{0});
}

std::uint16_t http_server::port() const noexcept {
  return impl_->port;
}

std::string http_server::address() const {
  const bool is_v6 = impl_->host.find(':') != std::string::npos;
  return "http://" + (is_v6 ? '[' + impl_->host + ']' : impl_->host) + ':' +
         std::to_string(impl_->port);
}

void http_server::hold_readiness(std::string state) {
  impl_->pages.hold_readiness(std::move(state));
}

bool http_server::stop(std::chrono::milliseconds patience) {
  std::unique_lock lock{impl_->mutex};
  if (impl_->stopped) return *impl_->stopped;
  const bool idle =
      impl_->became_idle.wait_for(lock, patience, [this] { return impl_->active == 0; });
  impl_->stopped = idle;
  lock.unlock();
  impl_->became_stopped.notify_all();
  if (impl_->context) {
    // CivetWeb looks up from waiting for connections only every two seconds.
    const std::jthread waker{[this](const std::stop_token& stopped) {
      while (!stopped.stop_requested()) {
        knock(impl_->host, impl_->port);
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      }
    }};
    mg_stop(impl_->context);
  }
  return idle;
}

} // namespace engram
