#include "engram/service/http/http_server.hpp"

#include "engram/base/clock.hpp"
#include "engram/service/access/tls_context.hpp"
#include "engram/service/guarded.hpp"
#include "engram/service/http/admission.hpp"
#include "engram/service/http/compression.hpp"
#include "engram/service/http/connection_watch.hpp"
#include "engram/service/http/http_body.hpp"
#include "engram/service/http/http_door.hpp"
#include "engram/service/http/http_writing.hpp"
#include "engram/service/http/request_id.hpp"
#include "engram/service/http/routes.hpp"
#include "engram/service/listen_address.hpp"

#include <civetweb.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <istream>
#include <mutex>
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

std::string_view text_or_nothing(const char* text) {
  return text ? std::string_view{text} : std::string_view{};
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

/// Returns the request on a connection, but for its body and what its route makes of it.
http_request request_on(const mg_connection* connection, std::string_view id) {
  const auto* info = mg_get_request_info(connection);
  http_request out;
  out.method = info->request_method;
  out.path = info->local_uri;
  out.query = text_or_nothing(info->query_string);
  out.id = id;
  out.peer.address = info->remote_addr;
  out.peer.port = static_cast<std::uint16_t>(info->remote_port);
  if (info->client_cert) out.peer.certificate_subject = text_or_nothing(info->client_cert->subject);
  out.header = [connection](const char* name) { return header(connection, name); };
  return out;
}

/// Makes CivetWeb ready for TLS, once in a process.
result<void> enable_tls() {
  static const result<void> done = []() -> result<void> {
    if (auto known = make_openssl_known_to_civetweb(); !known) return known;
    if ((mg_init_library(MG_FEATURES_TLS) & MG_FEATURES_TLS) == 0)
      return error{ec::unavailable,
                   "TLS cannot be had over HTTP: CivetWeb does not find in OpenSSL "
                   "what it needs"};
    return {};
  }();
  return done;
}

} // namespace

struct http_server::impl {
  impl(pipeline& pipe, const server_options& options, doorkeeper& who_may_enter)
      : door(pipe), keeper(who_may_enter), faults(pipe.http_faults()),
        max_body_bytes(options.max_body_bytes),
        watch(clock, from_seconds(options.slow_client_ms / 1000)) {}

  class counted_request;
  struct exchange;

  int on_request(mg_connection* connection);
  int serve(exchange& now, counted_request& counted);
  static int fail(exchange& now, const error& why);
  bool is_stopped_by(fault_point& site);
  http_reply reply_to(exchange& now, const result<http_router::match>& match, bool is_spared);
  http_reply no_route(const error& why, std::string_view path) const;
  http_reply reply_of_route(exchange& now, const http_route& route);
  http_reply reply_to_body(exchange& now, const http_route& route);
  void stream(exchange& now, const http_reply& reply, const answer_frame& frame);

  http_door door;
  http_router router;
  doorkeeper& keeper;
  std::optional<tls_context> tls; ///< outlives `context`
  const pipeline::door_faults faults;
  std::uint64_t max_body_bytes;
  request_ids ids;
  steady_clock_source clock;
  connection_watch watch;
  mg_context* context = nullptr;
  std::string host;
  std::uint16_t port = 0;

  std::mutex mutex;
  std::condition_variable became_idle;
  std::condition_variable became_ending;
  std::size_t active = 0;
  std::size_t streams = 0; ///< of those, answers without an end
  std::size_t most_streams = 1;
  bool is_ending = false;      ///< answers without an end are to end
  std::optional<bool> stopped; ///< what `stop` returned
};

/// A request that is being served: the end waits for it.
class http_server::impl::counted_request {
public:
  explicit counted_request(impl& all) : all_(all) {
    const std::lock_guard lock{all_.mutex};
    ++all_.active;
  }
  ~counted_request() {
    const std::lock_guard lock{all_.mutex};
    all_.streams -= is_stream_ ? 1 : 0;
    if (--all_.active == 0) all_.became_idle.notify_all();
  }
  counted_request(const counted_request&) = delete;
  counted_request& operator=(const counted_request&) = delete;

  /// Counts its answer as one without an end; returns false if there are as many as may be: each
  /// keeps a thread from others.
  bool becomes_stream() {
    const std::lock_guard lock{all_.mutex};
    if (all_.streams == all_.most_streams) return false;
    ++all_.streams;
    return is_stream_ = true;
  }

private:
  impl& all_;
  bool is_stream_ = false;
};

/// A request and what has become of it.
struct http_server::impl::exchange {
  explicit exchange(mg_connection* with)
      : connection(with), body(framing_of(with)),
        is_body_left(body.chunked || body.length.value_or(0) > 0) {}

  mg_connection* connection;
  framing body;
  bool is_body_left;
  bool is_cut = false; ///< nothing more is to be sent
  std::string id;
  http_request in;
  std::optional<connection_watch::serving> served;
};

/// Nothing is thrown beyond it: CivetWeb is C.
int http_server::impl::on_request(mg_connection* connection) {
  exchange now{connection};
  int status = 0;
  {
    counted_request counted{*this};
    try {
      status = serve(now, counted);
    } catch (...) {
      status = fail(now, thrown_error());
    }
  }
  // A client that waits for "100 Continue" has not sent anything to drop.
  if (now.served && !now.is_cut && now.is_body_left && header(connection, "Expect").empty())
    drop_rest_of_body(connection, *now.served, clock, longest_drop_time);
  return status;
}

int http_server::impl::serve(exchange& now, counted_request& counted) {
  now.id = ids.accept(header(now.connection, "X-Request-Id"));
  now.in = request_on(now.connection, now.id);
  now.served.emplace(watch, now.in.peer.address, now.in.peer.port);
  const auto match = router.find(now.in.method, now.in.path);
  // Trouble can be taken back by the routes that it spares.
  const bool is_spared = match && match->route->needs == role::admin;
  auto reply = reply_to(now, match, is_spared);
  if (reply.stream && !counted.becomes_stream())
    reply = error_reply(503, {ec::overloaded, "as many clients follow events as may, a quarter of "
                                              "server.threads: try again later"});
  now.is_cut = !is_spared && is_stopped_by(faults.send);

  answer_frame frame{now.in.path, now.id, now.in.header("Accept-Encoding")};
  frame.with_body = now.in.method != "HEAD";
  frame.keep_alive =
      !now.is_cut && !now.is_body_left && !reply.stream && wants_keep_alive(now.connection);
  if (!frame.keep_alive) mg_disable_connection_keep_alive(now.connection);
  const int status = reply.status;
  if (!now.is_cut && reply.stream)
    stream(now, reply, frame);
  else if (!now.is_cut)
    write_reply(now.connection, std::move(reply), frame, &*now.served);
  return status;
}

/// Answers a request that something was thrown for, unless its answer has begun: that cannot be
/// taken back, and the connection's end says that it is not whole.
int http_server::impl::fail(exchange& now, const error& why) {
  mg_disable_connection_keep_alive(now.connection);
  if (now.is_cut) return 500;
  try {
    auto reply = error_reply(why);
    const int status = reply.status;
    const auto* path = mg_get_request_info(now.connection)->local_uri;
    write_reply(now.connection, std::move(reply), {text_or_nothing(path), now.id, {}},
                now.served ? &*now.served : nullptr);
    return status;
  } catch (...) { // no memory to say so either
    now.is_cut = true;
    return 500;
  }
}

http_reply http_server::impl::reply_to(exchange& now, const result<http_router::match>& match,
                                       bool is_spared) {
  if (!is_spared && is_stopped_by(faults.accept))
    return error_reply(
        {ec::unavailable, "the request was not taken: fault point http.accept is armed"});
  if (!match) return no_route(match.error(), now.in.path);
  auto admitted = admit(keeper.access(), now.in, match->route->needs);
  if (admitted.refusal) return std::move(*admitted.refusal);
  now.in.peer.identity = admitted.identity;
  now.in.parameters = match->parameters;
  return reply_of_route(now, *match->route);
}

/// Returns the refusal of a request whose path or method `why` complains of.
http_reply http_server::impl::no_route(const error& why, std::string_view path) const {
  if (why.code == ec::not_found) return error_reply(why);
  auto reply = error_reply(405, why);
  reply.headers = "Allow: " + router.methods_of(path) + "\r\n";
  return reply;
}

/// Makes the trouble that `site` is armed with; returns true if the request ends there.
bool http_server::impl::is_stopped_by(fault_point& site) {
  const auto action = site.fire();
  if (action.what == fault_action::kind::delay) {
    std::unique_lock lock{mutex};
    became_ending.wait_for(lock, action.wait, [this] { return stopped.has_value(); });
  }
  return action.what == fault_action::kind::fail;
}

http_reply http_server::impl::reply_of_route(exchange& now, const http_route& route) {
  const bool lacks_body = !now.body.chunked && now.in.header("Content-Length").empty();
  if (!wants_body(now.in.method) || (lacks_body && route.may_lack_body)) {
    std::istream nothing{nullptr};
    now.in.body = &nothing;
    return route.handler(now.in);
  }
  if (!now.body.chunked && !now.body.length)
    return error_reply(411, {ec::invalid_argument, "the request has no usable Content-Length"});
  if (now.body.length.value_or(0) > max_body_bytes) return too_large(max_body_bytes);
  return reply_to_body(now, route);
}

http_reply http_server::impl::reply_to_body(exchange& now, const http_route& route) {
  const auto coding_name = now.in.header("Content-Encoding");
  const bool is_coded = !coding_name.empty() && coding_name != "identity";
  if (is_coded && !coding_named(coding_name))
    return error_reply(415, {ec::invalid_argument, "Content-Encoding \"" +
                                                       std::string{coding_name.substr(0, 40)} +
                                                       "\" is not understood: send gzip, deflate "
                                                       "or a body as it is"});
  if (equals_ignoring_case(now.in.header("Expect"), "100-continue"))
    mg_printf(now.connection, "HTTP/1.1 100 Continue\r\n\r\n");

  http_body raw{now.connection, *now.served, max_body_bytes, clock, longest_body_time};
  std::optional<inflated_body> inflated;
  if (is_coded) inflated.emplace(raw, max_body_bytes);
  std::istream stream{inflated ? static_cast<std::streambuf*>(&*inflated) : &raw};
  now.in.body = &stream;
  http_reply reply = route.handler(now.in);
  if (raw.is_too_large() || (inflated && inflated->is_too_large()))
    return too_large(max_body_bytes);
  if (raw.is_broken())
    return error_reply(408, {ec::invalid_argument, "the body did not arrive whole and in time"});
  // The server skips what was not read of a body whose length is known, and so within bounds.
  now.is_body_left = now.body.chunked && !raw.is_finished();
  if (inflated && inflated->is_broken())
    return error_reply(
        {ec::invalid_argument, "the body is not whole " + std::string{coding_name} + " data"});
  return reply;
}

namespace {

/// An answer in chunks over one connection.
class chunked_stream final : public http_stream {
public:
  using waiter = std::function<bool(duration)>;

  chunked_stream(mg_connection* connection, connection_watch::serving& served,
                 waiter wait_until_ending)
      : connection_(connection), served_(served), wait_(std::move(wait_until_ending)) {}

  bool write(std::string_view bytes) override {
    const connection_watch::waiting limited{served_, connection_watch::waiting::direction::taking};
    return bytes.empty() ||
           mg_send_chunk(connection_, bytes.data(), static_cast<unsigned>(bytes.size())) > 0;
  }
  bool wait(duration time) override { return wait_(time); }

private:
  mg_connection* connection_;
  connection_watch::serving& served_;
  waiter wait_;
};

} // namespace

void http_server::impl::stream(exchange& now, const http_reply& reply, const answer_frame& frame) {
  write_stream_head(now.connection, reply, frame);
  if (!frame.with_body) return;
  now.is_cut = true; // until its end is written
  chunked_stream out{now.connection, *now.served, [this](duration time) {
                       std::unique_lock lock{mutex};
                       return !became_ending.wait_for(lock, time, [this] { return is_ending; });
                     }};
  reply.stream(out);
  mg_send_chunk(now.connection, "", 0);
  now.is_cut = false;
}

http_server::http_server() = default;

result<std::unique_ptr<http_server>>
http_server::start(pipeline& pipe, const server_options& options, doorkeeper& keeper,
                   const std::function<void(http_router&, http_door&)>& more_routes) {
  auto address = usable_listen_address(options.host, options.port);
  if (!address) return address.error();

  std::unique_ptr<http_server> server{new http_server};
  server->impl_ = std::make_unique<impl>(pipe, options, keeper);
  auto& self = *server->impl_;
  self.host = options.host;
  self.most_streams = std::max<std::size_t>(1, options.threads / 4);
  add_health_routes(self.router, self.door);
  add_operation_routes(self.router, self.door);
  add_index_routes(self.router);
  if (more_routes) more_routes(self.router, self.door);

  mg_callbacks callbacks{};
  callbacks.begin_request = [](mg_connection* connection) {
    return static_cast<impl*>(mg_get_user_context_data(connection))->on_request(connection);
  };
  // What CivetWeb refuses by itself: request lines and headers that are none.
  callbacks.http_error = [](mg_connection* connection, int status, const char* text) {
    mg_disable_connection_keep_alive(connection);
    const ec code = status >= 500 ? ec::internal : ec::invalid_argument;
    try {
      write_reply(connection, error_reply(status, {code, text}), {}, nullptr);
    } catch (...) { // no memory to say so: the connection just ends
    }
    return 0;
  };
  callbacks.log_message = [](const mg_connection*, const char*) { return 1; };

  std::string where = *address;
  if (keeper.tls()) {
    if (auto ready = enable_tls(); !ready) return ready.error();
    auto context = tls_context::make(*keeper.tls());
    if (!context) return context.error();
    self.tls = std::move(*context);
    callbacks.external_ssl_ctx = [](void** context_out, void* data) {
      *context_out = static_cast<impl*>(data)->tls->get();
      return 1; // and it stays ours
    };
    where += 's';
  }

  const std::string threads = std::to_string(options.threads);
  const auto patience =
      std::chrono::ceil<std::chrono::milliseconds>(from_seconds(options.slow_client_ms / 1000));
  const std::string patience_ms = std::to_string(patience.count());
  const std::array<const char*, 17> settings{"listening_ports",
                                             where.c_str(),
                                             "num_threads",
                                             threads.c_str(),
                                             "enable_keep_alive",
                                             "yes",
                                             "keep_alive_timeout_ms",
                                             "1000",
                                             "request_timeout_ms",
                                             patience_ms.c_str(),
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
  self.watch.start(self.port,
                   {.threads = options.threads, .most_per_client = options.client_connections});
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
  return (impl_->tls ? "https://" : "http://") + (is_v6 ? '[' + impl_->host + ']' : impl_->host) +
         ':' + std::to_string(impl_->port);
}

void http_server::hold_readiness(std::string state) {
  impl_->door.hold_readiness(std::move(state));
}

bool http_server::stop(std::chrono::milliseconds patience) {
  std::unique_lock lock{impl_->mutex};
  if (impl_->stopped) return *impl_->stopped;
  impl_->is_ending = true;
  impl_->became_ending.notify_all();
  const bool idle =
      impl_->became_idle.wait_for(lock, patience, [this] { return impl_->active == 0; });
  impl_->stopped = idle;
  lock.unlock();
  impl_->became_ending.notify_all();
  if (impl_->context) {
    // CivetWeb looks up from waiting for connections only every two seconds.
    const std::jthread waker{[this](const std::stop_token& stopped) {
      while (!stopped.stop_requested()) {
        knock(impl_->host, impl_->port);
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      }
    }};
    mg_stop(impl_->context);
    impl_->watch.stop();
  }
  return idle;
}

} // namespace engram
