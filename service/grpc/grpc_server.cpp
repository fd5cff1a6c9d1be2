#include "engram/service/grpc/grpc_server.hpp"

#include "engram/service/grpc/admin_service.hpp"
#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/engram_service.hpp"
#include "engram/service/grpc/inference_service.hpp"
#include "engram/service/grpc/library_log.hpp"
#include "engram/service/listen_address.hpp"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

namespace engram {

namespace {

/// Whoever asks for health streams changes as they come; this is how late they may come.
constexpr std::chrono::milliseconds health_period{100};

/// For the calls that come just before the door closes.
constexpr std::chrono::milliseconds last_patience{50};

/// Before the first server of a process: what is set here applies to every server.
void prepare_process() {
  static const bool done = [] {
    log_libraries();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(done);
}

/// Returns how the server proves who it is, and what it asks of its clients.
std::shared_ptr<grpc::ServerCredentials> credentials_of(const tls_files* tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options{
      tls->client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                             : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY};
  options.pem_root_certs = tls->client_ca;
  options.pem_key_cert_pairs.push_back({tls->key, tls->certificate});
  return grpc::SslServerCredentials(options);
}

/// gRPC bounds what a compressed message has on the wire and not what becomes of it. A call that
/// announces compression ends with UNIMPLEMENTED and gRPC's sentence, and nothing is decompressed.
void refuse_compressed_messages(grpc::ServerBuilder& builder) {
  for (const auto each : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP})
    builder.SetCompressionAlgorithmSupportStatus(each, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

} // namespace

struct grpc_server::impl {
  impl(pipeline& pipe, inference_server& models, doorkeeper& keeper, admin* actions)
      : door(pipe, keeper), engram(door), inference(door, models) {
    if (actions) steering.emplace(door, *actions);
  }

  void follow_readiness(const std::stop_token& stopped);
  void show_readiness();

  grpc_door door;
  engram_service engram;
  inference_service inference;
  std::optional<admin_service> steering;
  std::unique_ptr<grpc::Server> server;
  int port = 0;

  std::mutex mutex;
  std::condition_variable_any became_stopped;
  std::optional<bool> stopped; ///< what `stop` returned
  std::mutex showing;          ///< so that what was asked last is shown last
  std::jthread readiness;
};

void grpc_server::impl::show_readiness() {
  const std::lock_guard lock{showing};
  server->GetHealthCheckService()->SetServingStatus(door.is_ready());
}

void grpc_server::impl::follow_readiness(const std::stop_token& token) {
  std::unique_lock lock{mutex};
  while (!token.stop_requested()) {
    show_readiness();
    became_stopped.wait_for(lock, token, health_period, [] { return false; });
  }
}

grpc_server::grpc_server() = default;

result<std::unique_ptr<grpc_server>> grpc_server::start(pipeline& pipe, inference_server& models,
                                                        const server_options& options,
                                                        doorkeeper& keeper, admin* actions) {
  // gRPC's own complaint about an address is for the log only.
  auto address = usable_listen_address(options.host, options.grpc_port);
  if (!address) return address.error();
  prepare_process();

  std::unique_ptr<grpc_server> started{new grpc_server};
  started->impl_ = std::make_unique<impl>(pipe, models, keeper, actions);
  auto& self = *started->impl_;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(*address, credentials_of(keeper.tls()), &self.port);
  builder.RegisterService(&self.engram);
  builder.RegisterService(&self.inference);
  if (self.steering) builder.RegisterService(&*self.steering);
  constexpr std::uint64_t most = std::numeric_limits<int>::max();
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min(options.max_body_bytes, most)));
  refuse_compressed_messages(builder);
  // Two servers on one port would share its calls at random.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  self.server = builder.BuildAndStart();
  if (!self.server)
    return error{ec::unavailable, "cannot listen on " + *address +
                                      ": the port is taken, or this process may not have it"};
  self.show_readiness(); // gRPC's own health begins with yes
  self.readiness =
      std::jthread{[&self](const std::stop_token& token) { self.follow_readiness(token); }};
  return started;
}

grpc_server::~grpc_server() {
  if (impl_ && impl_->server) stop(std::chrono::milliseconds{0});
}

std::uint16_t grpc_server::port() const noexcept {
  return static_cast<std::uint16_t>(impl_->port);
}

void grpc_server::hold_readiness(bool is_held) {
  impl_->door.hold_readiness(is_held);
  impl_->show_readiness();
}

bool grpc_server::stop(std::chrono::milliseconds patience) {
  auto& self = *impl_;
  if (self.readiness.joinable()) {
    self.readiness.request_stop();
    self.readiness.join();
  }
  const std::lock_guard lock{self.mutex};
  if (self.stopped) return *self.stopped;
  self.door.calls().end_streams();
  self.stopped = self.door.calls().wait_until_none(patience);
  // Whoever still watches health waits for no answer, and is cut off.
  self.server->Shutdown(std::chrono::system_clock::now() + last_patience);
  self.server->Wait();
  return *self.stopped;
}

} // namespace engram
