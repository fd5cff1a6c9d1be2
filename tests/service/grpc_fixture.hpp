#pragma once

#include "engram/service/grpc/grpc_server.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>

#include <memory>
#include <string>

#include "server_fixture.hpp"

namespace engram::testing {

/// The server of server_fixture.hpp with a gRPC door on a free port, and a channel to it.
class grpc_fixture : public server_test {
protected:
  void SetUp() override {
    server_test::SetUp();
    models = std::make_unique<inference_server>(*pipe, protocol, door.max_body_bytes);
    auto listening = engram::grpc_server::start(*pipe, *models, door, *keeper);
    ASSERT_TRUE(listening) << listening.error().message;
    grpc_door = std::move(*listening);
    grpc_door->hold_readiness(false);
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(grpc_door->port()),
                                  grpc::InsecureChannelCredentials());
  }

  oip_options protocol; ///< derived classes change it as they are made
  std::unique_ptr<inference_server> models;
  std::unique_ptr<engram::grpc_server> grpc_door;
  std::shared_ptr<grpc::Channel> channel;
};

} // namespace engram::testing
