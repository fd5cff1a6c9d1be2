#pragma once

#include "engram/datasets/text_embedder.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/http/http_server.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "http_client.hpp"

namespace engram::testing {

/// A server on a free port with three small datasets: the collection "animals" (4 rows of dimension
/// 3, with labels), the collection "stories" (with an embedder) and the graph "animals-graph".
class server_test : public ::testing::Test {
protected:
  static constexpr std::uint64_t max_body = 64 * 1024;

  server_test() {
    options.gpu.enabled = false;
    options.cpu.threads = 1;
    door.port = 0;
    door.grpc_port = 0;
    door.threads = 8;
    door.max_body_bytes = max_body;
  }

  void SetUp() override {
    auto started = pipeline::start(options);
    ASSERT_TRUE(started) << started.error().message;
    pipe = std::move(*started);
    publish_animals();
    publish_stories();

    auto called = doorkeeper::make(door, std::chrono::system_clock::now());
    ASSERT_TRUE(called) << called.error().message;
    keeper = std::move(*called);
    auto listening =
        http_server::start(*pipe, door, *keeper, [this](http_router& to, http_door& shared) {
          http = &shared;
          add_routes(to);
        });
    ASSERT_TRUE(listening) << listening.error().message;
    server = std::move(*listening);
    server->hold_readiness({});
    port = server->port();
  }

  /// What the door serves beside the routes that every door has.
  virtual void add_routes(http_router&) {}

  void publish_animals() {
    const std::array<float, 12> rows{1, 0, 0, 0, 1, 0, 0, 0, 1, 0.6f, 0.8f, 0};
    auto made = vector_collection::make(matrix_view<const float>{rows.data(), 4, 3},
                                        element_type::f32, {"dog", "cat", "fish", "\"puppy\"\n"});
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(pipe->publish("animals", *made));

    auto graph = activation_graph::make(4, {{0, 1, 0.5f}, {0, 2, 0.9f}, {2, 3, 1.0f}},
                                        {"dog, domestic dog", "cat", "wolf, Wild_Dog", "howl"});
    ASSERT_TRUE(graph) << graph.error().message;
    ASSERT_TRUE(pipe->publish("animals-graph", *graph));
  }

  void publish_stories() {
    const std::vector<std::string> texts{"a dog barks", "a cat sleeps", "the moon shines"};
    const auto embedder = std::make_shared<const text_embedder>(text_embedder::fit(16, texts));
    std::vector<float> rows;
    for (const auto& text : texts) {
      const auto row = embedder->embed(text);
      ASSERT_TRUE(row) << row.error().message;
      rows.insert(rows.end(), row->begin(), row->end());
    }
    auto made = vector_collection::make(matrix_view<const float>{rows.data(), texts.size(), 16},
                                        element_type::f32, texts, embedder);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(pipe->publish("stories", *made));
  }

  /// Posts and returns the parsed body, after checking the status.
  nlohmann::json post_json(std::string_view path, std::string_view body, int status = 200) {
    const auto response = post(port, path, body);
    EXPECT_EQ(response.status, status) << path << ' ' << body << " -> " << response.body;
    return nlohmann::json::parse(response.body, nullptr, false);
  }

  bool is_alive() {
    return post(port, "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":1})").status ==
           200;
  }

  server_options door; ///< both doors'; derived classes change it as they are made
  std::unique_ptr<doorkeeper> keeper;
  pipeline_options options; ///< of the pipeline; derived classes change them as they are made
  std::unique_ptr<pipeline> pipe;
  std::unique_ptr<http_server> server;
  http_door* http = nullptr; ///< the server's own
  std::uint16_t port = 0;
};

} // namespace engram::testing
