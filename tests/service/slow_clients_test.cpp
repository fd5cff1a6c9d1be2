#include <gmock/gmock.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>

#include "server_fixture.hpp"

namespace engram::testing {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// A few threads, and little patience with clients.
class slow_clients : public server_test {
protected:
  slow_clients() {
    door.threads = 4;
    door.slow_client_ms = 500;
  }

  /// Sends a byte of `bytes` after the other until the server hangs up or answers, and returns what
  /// it says.
  static http_response trickle(http_connection& connection, std::string_view bytes) {
    for (const char each : bytes) {
      if (!connection.send({&each, 1}) || connection.has_answer()) break;
      std::this_thread::sleep_for(50ms);
    }
    return connection.receive();
  }
};

TEST_F(slow_clients, a_body_that_trickles_is_408_however_steadily_it_comes) {
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n");
  const auto begin = clock::now();
  EXPECT_EQ(trickle(connection, std::string(1000, ' ')).status, 408);
  EXPECT_LT(clock::now() - begin, 10s);
}

TEST_F(slow_clients, a_body_in_chunks_that_trickles_is_408_too) {
  http_connection connection{port};
  connection.send("POST /v1/search HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string chunks;
  for (int i = 0; i < 200; ++i)
    chunks += "1\r\n \r\n";
  EXPECT_EQ(trickle(connection, chunks).status, 408);
}

TEST_F(slow_clients, a_head_that_trickles_is_given_up) {
  http_connection connection{port};
  const auto begin = clock::now();
  const auto response =
      trickle(connection, "GET /healthz HTTP/1.1\r\nHost: " + std::string(1000, 'x'));
  EXPECT_THAT(response.status, ::testing::AnyOf(0, 400));
  EXPECT_LT(clock::now() - begin, 10s);
}

TEST_F(slow_clients, an_answer_that_is_not_taken_is_given_up) {
  // One request after the other over a connection of which nothing is read.
  std::string body = R"({"collection":"animals","k":4,"queries":[[1,0,0])";
  for (int i = 0; i < 1000; ++i)
    body += ",[1,0,0]";
  body += "]}";
  http_connection connection{port};
  const std::string request = post_text("/v1/search", body);
  const auto begin = clock::now();
  while (connection.send(request) && clock::now() - begin < 60s) {
  }
  EXPECT_LT(clock::now() - begin, 60s) << "the server never hung up";
  EXPECT_TRUE(is_alive());
}

/// A server with a long answer.
class slow_takers : public server_test {
protected:
  static constexpr std::size_t long_answer = 6u << 20;
  slow_takers() { door.slow_client_ms = 500; } // so 3 s for the answer
  void add_routes(http_router& router) override {
    router.add({"GET", "/long", role::none, "much", [](const http_request&) {
                  return http_reply{200, std::string(long_answer, 'x'), "text/plain"};
                }});
  }

  /// Asks for it, takes `bytes` of it each time after a pause, and returns how much came.
  std::size_t take(std::size_t bytes, std::chrono::milliseconds pause) const {
    http_connection connection{port, nullptr, 1400};
    connection.send("GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    std::size_t taken = 0;
    while (const auto more = connection.receive_some(bytes)) {
      taken += more;
      std::this_thread::sleep_for(pause);
    }
    return taken;
  }
};

TEST_F(slow_takers, are_given_up_however_steadily_they_take) {
  const auto taken = take(16 * 1024, 13ms); // every piece in time, and 5 s for all
  EXPECT_GT(taken, long_answer / 4);
  EXPECT_LT(taken, long_answer);
  EXPECT_TRUE(is_alive());
}

TEST_F(slow_takers, get_all_of_an_answer_that_they_take_in_time) {
  EXPECT_GT(take(1 << 20, 0ms), long_answer);
}

/// As patient with clients as can be: what frees threads is that clients share them.
class many_connections : public server_test {
protected:
  many_connections() {
    door.threads = 4;
    door.slow_client_ms = 60'000;
  }
  void open(std::size_t count, const char* from) {
    for (std::size_t i = 0; i < count; ++i)
      connections.emplace_back(port, from).send("GET /healthz HTTP/1.1\r\nHost: ");
  }
  std::deque<http_connection> connections;
};

TEST_F(many_connections, a_client_that_holds_every_thread_makes_room_for_another) {
  open(12, "127.0.0.2");
  const auto begin = clock::now();
  EXPECT_EQ(get(port, "/healthz").status, 200);
  EXPECT_TRUE(is_alive());
  EXPECT_LT(clock::now() - begin, 15s);
}

TEST_F(many_connections, a_client_alone_keeps_what_it_has) {
  open(12, "127.0.0.2");
  std::this_thread::sleep_for(1s); // several looks at the sockets
  for (auto& each : connections)
    each.send("test\r\nConnection: close\r\n\r\n");
  for (auto& each : connections)
    EXPECT_EQ(each.receive().status, 200);
}

class bounded_connections : public many_connections {
protected:
  bounded_connections() { door.client_connections = 2; }
};

TEST_F(bounded_connections, no_client_has_more_than_the_bound) {
  open(5, "127.0.0.2");
  std::size_t ended = 0;
  for (const auto until = clock::now() + 15s; ended < 3 && clock::now() < until;) {
    ended = 0;
    for (auto& each : connections)
      ended += each.has_answer_or_end();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(ended, 3u);
  EXPECT_TRUE(is_alive());
}

} // namespace engram::testing
