#include <array>
#include <atomic>
#include <set>
#include <sstream>
#include <thread>

#include "server_fixture.hpp"

namespace engram::testing {

using nlohmann::json;

class http_routes : public server_test {};

TEST_F(http_routes, search_returns_ids_labels_and_scores_best_first) {
  const auto out = post_json("/v1/search", R"({"collection":"animals","query":[1,0,0],"k":2})");
  const auto& hits = out.at("results").at(0).at("hits");
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0], (json{{"id", 0}, {"label", "dog"}, {"score", 1}}));
  EXPECT_EQ(hits[1].at("id"), 3);
  EXPECT_EQ(hits[1].at("label"), "\"puppy\"\n");
  EXPECT_FLOAT_EQ(hits[1].at("score").get<float>(), 0.6f);
}

TEST_F(http_routes, search_answers_every_query_in_order) {
  const auto out = post_json(
      "/v1/search",
      R"({"collection":"animals","queries":[[0,1,0],[0,0,2]],"k":1,"tenant":"t","priority":-8})");
  ASSERT_EQ(out.at("results").size(), 2u);
  EXPECT_EQ(out["results"][0]["hits"][0]["label"], "cat");
  EXPECT_EQ(out["results"][1]["hits"][0]["label"], "fish");
}

TEST_F(http_routes, search_embeds_text_with_the_collections_embedder) {
  const auto out = post_json("/v1/search", R"({"collection":"stories","text":"dog barks","k":1})");
  EXPECT_EQ(out["results"][0]["hits"][0]["label"], "a dog barks");
}

TEST_F(http_routes, similarity_scores_targets_in_order) {
  const auto out =
      post_json("/v1/similarity", R"({"query":[1,0],"targets":[[0,3],[2,0],[-1,0],[0,0]]})");
  EXPECT_EQ(out.at("scores"), (json{0, 1, -1, 0}));
}

TEST_F(http_routes, score_answers_in_the_order_of_the_ids) {
  const auto out =
      post_json("/v1/score", R"({"collection":"animals","query":[0,1,0],"ids":[1,0,1]})");
  const auto& hits = out.at("hits");
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_EQ(hits[0], (json{{"id", 1}, {"label", "cat"}, {"score", 1}}));
  EXPECT_EQ(hits[1], (json{{"id", 0}, {"label", "dog"}, {"score", 0}}));
  EXPECT_EQ(hits[2], hits[0]);
}

TEST_F(http_routes, spread_lights_up_neighbours) {
  const auto out = post_json(
      "/v1/spread",
      R"({"graph":"animals-graph","seeds":[{"node":0,"amount":0.5}],"decay":1,"max_hops":1})");
  const auto& result = out.at("results").at(0);
  EXPECT_EQ(result.at("hops"), 1);
  ASSERT_EQ(result.at("hits").size(), 3u);
  EXPECT_EQ(result["hits"][0],
            (json{{"node", 0}, {"label", "dog, domestic dog"}, {"activation", 0.5}}));
  EXPECT_EQ(result["hits"][1].at("node"), 2);
}

TEST_F(http_routes, spread_of_a_collections_name_takes_the_graph_beside_it) {
  const auto out = post_json("/v1/spread", R"({"graph":"animals","seeds":[{"node":1}]})");
  EXPECT_EQ(out["results"][0]["hits"][0]["label"], "cat");
}

TEST_F(http_routes, spread_finds_seeds_by_any_of_their_names) {
  const auto out = post_json("/v1/spread", R"({"graph":"animals","seed_sets":[
      [{"label":"DOG"}],[{"label":"wild dog","amount":0.25},{"label":"cat","amount":0.5}]],"max_hops":1,"top":1})");
  ASSERT_EQ(out.at("results").size(), 2u);
  EXPECT_EQ(out["results"][0]["hits"][0]["node"], 0);
  EXPECT_EQ(out["results"][1]["hits"][0]["node"], 1);
}

TEST_F(http_routes, every_answer_says_how_it_came_about) {
  const auto trace = post_json("/v1/similarity", R"({"query":[1],"targets":[[1]]})").at("trace");
  EXPECT_EQ(trace.at("device"), "cpu");
  EXPECT_EQ(trace.at("reason"), "no_gpu");
  EXPECT_EQ(trace.at("attempts"), 1);
  EXPECT_EQ(trace.at("fell_back"), false);
  EXPECT_GE(trace.at("batch_items"), 1);
  for (const char* time : {"queue_ms", "window_ms", "transfer_ms", "kernel_ms", "total_ms"})
    EXPECT_TRUE(trace.at(time).is_number()) << time;
}

TEST_F(http_routes, datasets_lists_kinds_shapes_and_residency) {
  const auto out = json::parse(get(port, "/v1/datasets").body).at("datasets");
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].at("name"), "animals");
  EXPECT_EQ(out[0].at("kind"), "vectors");
  EXPECT_EQ(out[0].at("rows"), 4);
  EXPECT_EQ(out[0].at("dim"), 3);
  EXPECT_EQ(out[1].at("kind"), "graph");
  EXPECT_EQ(out[1].at("edges"), 3);
  EXPECT_EQ(out[2].at("takes_text"), true);
  EXPECT_TRUE(out[2].at("devices").is_array());
}

TEST_F(http_routes, health_and_readiness_tell_devices_and_state) {
  EXPECT_EQ(get(port, "/healthz").status, 200);
  const auto ready = get(port, "/readyz");
  EXPECT_EQ(ready.status, 200);
  const auto body = json::parse(ready.body);
  EXPECT_EQ(body.at("state"), "ready");
  EXPECT_EQ(body.at("devices").at(0).at("name"), "cpu");
}

TEST_F(http_routes, a_pipeline_that_gave_up_is_not_healthy_and_says_so) {
  EXPECT_EQ(json::parse(get(port, "/healthz").body), (json{{"live", true}, {"state", "ready"}}));
  ASSERT_TRUE(pipe->arm_fault("actor.batcher=exit"));
  const auto answer = post_json(
      "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":1,"deadline_ms":60000})", 503);
  EXPECT_EQ(answer.at("code"), "unavailable");
  const auto health = get(port, "/healthz");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(json::parse(health.body), (json{{"live", false}, {"state", "unavailable"}}));
  EXPECT_EQ(get(port, "/readyz").status, 503);
  EXPECT_EQ(json::parse(get(port, "/readyz").body).at("state"), "unavailable");
  EXPECT_EQ(post(port, "/v1/search", R"({"collection":"animals","query":[1,0,0],"k":1})").status,
            503)
      << "refused";
  EXPECT_EQ(get(port, "/metrics").status, 200) << "a person still sees what happened";
}

TEST_F(http_routes, a_door_is_not_ready_before_it_is_said_to_be) {
  auto listening = http_server::start(*pipe, door, *keeper);
  ASSERT_TRUE(listening) << listening.error().message;
  const auto held = get((*listening)->port(), "/readyz");
  EXPECT_EQ(held.status, 503);
  EXPECT_EQ(json::parse(held.body).at("state"), "loading");
  (*listening)->hold_readiness({});
  EXPECT_EQ(get((*listening)->port(), "/readyz").status, 200);
}

TEST_F(http_routes, readiness_can_be_held_while_requests_are_served) {
  server->hold_readiness("draining");
  const auto held = get(port, "/readyz");
  EXPECT_EQ(held.status, 503);
  EXPECT_EQ(json::parse(held.body).at("state"), "draining");
  EXPECT_EQ(get(port, "/healthz").status, 200);
  EXPECT_TRUE(is_alive());
  server->hold_readiness({});
  EXPECT_EQ(get(port, "/readyz").status, 200);
}

TEST_F(http_routes, metrics_are_prometheus_text_with_unique_series) {
  ASSERT_TRUE(is_alive());
  const auto response = get(port, "/metrics");
  ASSERT_EQ(response.status, 200);
  EXPECT_TRUE(response.has_header("Content-Type: text/plain; version=0.0.4"));
  std::istringstream lines{response.body};
  std::set<std::string> series;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("# HELP ") || line.starts_with("# TYPE ")) continue;
    const auto blank = line.rfind(' ');
    ASSERT_NE(blank, std::string::npos) << line;
    char* end = nullptr;
    std::strtod(line.c_str() + blank + 1, &end);
    EXPECT_EQ(*end, '\0') << line;
    EXPECT_TRUE(series.insert(line.substr(0, blank)).second) << "twice: " << line;
  }
  EXPECT_FALSE(series.empty());
}

TEST_F(http_routes, head_gives_the_head_of_get) {
  const auto response =
      talk(port, "HEAD /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.body.empty());
}

TEST_F(http_routes, one_connection_serves_many_requests) {
  http_connection connection{port};
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(connection.send(post_text("/v1/similarity", R"({"query":[1],"targets":[[1]]})")));
    ASSERT_EQ(connection.receive().status, 200) << i;
  }
}

TEST_F(http_routes, a_chunked_body_is_read_to_its_end) {
  const auto response =
      talk(port, "POST /v1/similarity HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "c\r\n{\"query\":[1]\r\n10\r\n,\"targets\":[[2]]\r\n1\r\n}\r\n0\r\n\r\n");
  EXPECT_EQ(response.status, 200) << response.body;
}

TEST_F(http_routes, a_client_that_waits_for_100_continue_gets_it) {
  http_connection connection{port};
  const std::string body = R"({"query":[1],"targets":[[1]]})";
  connection.send(
      "POST /v1/similarity HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  std::this_thread::sleep_for(
      std::chrono::milliseconds{1}); // the body goes out later than the head
  connection.send(body);
  EXPECT_EQ(connection.receive().status, 200);
}

TEST_F(http_routes, concurrent_clients_each_get_their_own_answer) {
  std::vector<std::jthread> clients;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 12; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        const int row = (c + i) % 3;
        const std::array<const char*, 3> queries{"[1,0,0]", "[0,1,0]", "[0,0,1]"};
        const auto response = post(port, "/v1/search",
                                   std::string{R"({"collection":"animals","k":1,"query":)"} +
                                       queries[static_cast<std::size_t>(row)] + "}");
        const auto out = json::parse(response.body, nullptr, false);
        if (response.status != 200 || out["results"][0]["hits"][0]["id"] != row) ++wrong;
      }
    });
  }
  clients.clear();
  EXPECT_EQ(wrong, 0);
}

TEST_F(http_routes, a_stopped_pipeline_refuses_with_503_until_the_server_stops) {
  EXPECT_TRUE(pipe->stop());
  const auto out = post(port, "/v1/similarity", R"({"query":[1],"targets":[[1]]})");
  EXPECT_EQ(out.status, 503);
  EXPECT_TRUE(out.has_header("Retry-After: 1"));
  EXPECT_EQ(json::parse(out.body).at("code"), "shutting_down");
  EXPECT_EQ(get(port, "/readyz").status, 503);
  EXPECT_TRUE(server->stop());
  EXPECT_FALSE(http_connection{port}.connected());
}

TEST_F(http_routes, a_taken_port_is_one_sentence_with_address_and_port) {
  server_options same;
  same.port = port;
  const auto second = http_server::start(*pipe, same, *keeper);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ec::unavailable);
  EXPECT_EQ(second.error().message,
            "address 127.0.0.1:" + std::to_string(port) +
                " is taken by another program: stop it or choose another port");
}

TEST_F(http_routes, a_host_of_another_machine_is_named) {
  server_options elsewhere;
  elsewhere.port = 0;
  elsewhere.host = "192.0.2.1"; // an address kept for documentation
  const auto refused = http_server::start(*pipe, elsewhere, *keeper);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("192.0.2.1"), std::string::npos)
      << refused.error().message;
}

} // namespace engram::testing
